"""Cases of pooling."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from minimodels.shapes import effective_kernel_size
from minimodels.testing.cases.case import Case, sizes, tensors


@st.composite
def pool_cases(draw: DrawFn, dims: int = 2) -> Case:
    """Draw a maximum-pooling layer and its input; every window covers an element of the input.

    Args:
        draw: hypothesis's own.
        dims: how many spatial dimensions.
    """
    kernel, dilation, stride = (tuple(draw(st.integers(1, 3)) for _ in range(dims)) for _ in range(3))
    spans = [effective_kernel_size(k, d) for k, d in zip(kernel, dilation, strict=True)]
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    size = tuple(max(span, 3) + draw(st.integers(0, 5)) for span in spans)
    channels, batch = draw(sizes), draw(st.sampled_from([(), (1,), (3,)]))
    x = draw(tensors((*batch, channels, *size)))
    if draw(st.booleans()):
        x = x.round()  # ties: which of two equal elements wins is part of the contract
    kwargs: dict[str, Any] = {
        "stride": draw(st.sampled_from([stride, None])),
        "padding": padding,
        "dilation": dilation,
        "ceil_mode": draw(st.booleans()),
        "return_indices": draw(st.booleans()),
    }
    return Case((x,), (kernel,), kwargs)
