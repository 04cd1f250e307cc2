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
    kernel, dilation = draw(_kernels(dims))
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


@st.composite
def conv_transpose_cases(draw: DrawFn, dims: int = 2) -> Case:
    """Draw a transposed convolution layer and its input, some with a wanted output size beside it.

    Args:
        draw: hypothesis's own.
        dims: how many spatial dimensions.
    """
    groups = draw(st.integers(1, 3))
    inputs, outputs = (groups * draw(st.integers(1, 3)) for _ in range(2))
    kernel, dilation = draw(_kernels(dims))
    stride = tuple(draw(st.integers(1, 3)) for _ in range(dims))
    size = tuple(draw(st.integers(1, 5 if dims < 3 else 3)) for _ in range(dims))
    rest = tuple(draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True))
    whole = [
        (n - 1) * s + effective_kernel_size(k, d) for n, s, k, d in zip(size, stride, kernel, dilation, strict=True)
    ]
    padding = tuple(draw(st.integers(0, min(3, (least - 1) // 2))) for least in whole)  # leaves an element at least
    batch = draw(st.sampled_from([(), (1,), (2,), (3,)]))
    kwargs: dict[str, Any] = {
        "stride": stride,
        "padding": padding,
        "output_padding": rest,
        "groups": groups,
        "bias": draw(st.booleans()),
        "dilation": dilation,
    }
    x = draw(tensors((*batch, inputs, *size)))
    if not draw(st.booleans()):
        return Case((x,), (inputs, outputs, kernel), kwargs)
    wanted = [least - 2 * p + draw(st.integers(0, s - 1)) for least, p, s in zip(whole, padding, stride, strict=True)]
    front = draw(st.sampled_from([[], [*batch, outputs]]))
    return Case((x, front + wanted), (inputs, outputs, kernel), kwargs)


@st.composite
def _kernels(draw: DrawFn, dims: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Draw the size of a kernel and its dilation, which has a meaning only where there are two elements.

    PyTorch 2.13's float16 kernel crashes at some sizes with one element and a dilation.
    """
    kernel = tuple(draw(st.integers(1, 3)) for _ in range(dims))
    return kernel, tuple(1 if k == 1 else draw(st.integers(1, 3)) for k in kernel)
