"""Cases of dropout."""

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from minimodels.testing.cases.case import Case, tensors


@st.composite
def dropout_cases(draw: DrawFn) -> Case:
    """Draw a dropout layer and its input.

    Args:
        draw: hypothesis's own.
    """
    x = draw(tensors(draw(st.lists(st.integers(0, 5), max_size=4).map(tuple))))
    return Case((x,), (), {"p": draw(st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]))})
