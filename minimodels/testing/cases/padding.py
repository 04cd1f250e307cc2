"""Cases of padding."""

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from minimodels.testing.cases.case import Case, sizes, tensors


@st.composite
def pad_cases(draw: DrawFn, dims: int = 2, mode: str = "constant", value: bool = False) -> Case:
    """Draw a padding layer and its input; sizes may be negative, but leave something.

    Args:
        draw: hypothesis's own.
        dims: how many spatial dimensions.
        mode: "constant", "reflect", "replicate" or "circular", which say how much is there to be shown.
        value: the layer takes the number that it pads with.
    """
    size = tuple(draw(st.integers(3, 6)) for _ in range(dims))
    shown = mode in ("reflect", "circular")  # these cannot show more than there is, and negative sizes cut first
    pads = [draw(st.integers(-1, n - 2 if shown else 4)) for n in reversed(size) for _ in range(2)]
    padding = draw(st.sampled_from([tuple(pads), draw(st.integers(0, 2))]))
    batch = draw(st.sampled_from([(), (1,), (3,)]))
    x = draw(tensors((*batch, draw(sizes), *size)))
    return Case((x,), (padding, draw(st.sampled_from([0.0, -2.5, 3]))) if value else (padding,))
