"""Cases of layers that change the shape and nothing else."""

import math

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


@st.composite
def unflatten_cases(draw: DrawFn) -> Case:
    """Draw a dimension to split, the sizes that it falls into, and an input that has it.

    Args:
        draw: hypothesis's own.
    """
    falls = draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
    shape = draw(st.lists(st.integers(0, 3), max_size=3))
    dim = draw(st.integers(0, len(shape)))
    shape.insert(dim, math.prod(falls))
    if draw(st.booleans()):
        falls[draw(st.integers(0, len(falls) - 1))] = -1
    kind = draw(st.sampled_from([tuple, list]))
    return Case((draw(tensors(tuple(shape))),), (draw(st.sampled_from([dim, dim - len(shape)])), kind(falls)))
