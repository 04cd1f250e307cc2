"""Cases of dropouts."""

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


@st.composite
def channel_dropout_cases(draw: DrawFn, dims: int = 2) -> Case:
    """Draw a dropout of whole channels and its input: a batch, or (where that is no deprecated guess) one sample.

    Args:
        draw: hypothesis's own.
        dims: how many spatial dimensions.
    """
    batch = [draw(st.integers(0, 3))] if dims == 2 or draw(st.booleans()) else []
    x = draw(tensors((*batch, draw(st.integers(0, 5)), *(draw(st.integers(0, 3)) for _ in range(dims)))))
    return Case((x,), (), {"p": draw(st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0])), "inplace": draw(st.booleans())})
