"""Cases of convolutions."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from minimodels.shapes import effective_kernel_size
from minimodels.testing.cases.case import Case, tensors


@st.composite
def conv_cases(draw: DrawFn, dims: int = 2) -> Case:
    """Draw a convolution layer and its input: every stride, padding, dilation, group and padding mode.

    Args:
        draw: hypothesis's own.
        dims: how many spatial dimensions.
    """
    groups = draw(st.integers(1, 3))
    inputs, outputs = (groups * draw(st.integers(1, 3)) for _ in range(2))
    kernel, dilation = (tuple(draw(st.integers(1, 3)) for _ in range(dims)) for _ in range(2))
    mode = draw(st.sampled_from(["zeros", "zeros", "reflect", "replicate", "circular"]))
    padding: str | tuple[int, ...] = draw(st.sampled_from(["same", "valid", "numbers", "numbers"]))
    if padding == "numbers":
        padding = tuple(draw(st.integers(0, 3)) for _ in range(dims))
    stride = tuple(1 if padding == "same" else draw(st.integers(1, 3)) for _ in range(dims))
    spans = [effective_kernel_size(k, d) for k, d in zip(kernel, dilation, strict=True)]
    needed = max(spans) if mode != "zeros" else 1  # reflection cannot show more than there is
    margins = padding if isinstance(padding, tuple) else tuple(0 for _ in range(dims))
    floor = [max(needed, 4 if mode != "zeros" else 1, span - 2 * m) for span, m in zip(spans, margins, strict=True)]
    size = tuple(low + draw(st.integers(0, 4)) for low in floor)
    batch = draw(st.sampled_from([(), (1,), (2,), (3,)]))
    kwargs: dict[str, Any] = {
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
        "bias": draw(st.booleans()),
        "padding_mode": mode,
    }
    return Case((draw(tensors((*batch, inputs, *size))),), (inputs, outputs, kernel), kwargs)
