"""Cases of layers that connect every input with every output."""

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from minimodels.testing.cases.case import Case, tensors


@st.composite
def linear_cases(draw: DrawFn) -> Case:
    """Draw a fully connected layer and its input, of any number of leading dimensions.

    Args:
        draw: hypothesis's own.
    """
    features, outputs = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    leading = draw(st.lists(st.integers(0, 4), max_size=3).map(tuple))
    return Case((draw(tensors((*leading, features))),), (features, outputs), {"bias": draw(st.booleans())})
