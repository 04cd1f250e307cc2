"""Cases of layers that change the shape and nothing else."""

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from minimodels.testing.cases.case import Case, tensors


@st.composite
def flatten_cases(draw: DrawFn) -> Case:
    """Draw a range of dimensions to merge and an input that has them.

    Args:
        draw: hypothesis's own.
    """
    shape = draw(st.lists(st.integers(0, 4), min_size=1, max_size=5).map(tuple))
    start = draw(st.integers(0, len(shape) - 1))
    end = draw(st.integers(start, len(shape) - 1))
    start, end = (draw(st.sampled_from([d, d - len(shape)])) for d in (start, end))
    return Case((draw(tensors(shape)),), (), {"start_dim": start, "end_dim": end})
