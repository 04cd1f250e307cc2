"""Cases of pooling."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from torch import Tensor

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
    x = draw(_signals(tuple(max(span, 3) + draw(st.integers(0, 5)) for span in spans)))
    kwargs: dict[str, Any] = {
        "stride": draw(st.sampled_from([stride, None])),
        "padding": tuple(draw(st.integers(0, k // 2)) for k in kernel),
        "dilation": dilation,
        "ceil_mode": draw(st.booleans()),
        "return_indices": draw(st.booleans()),
    }
    return Case((x,), (kernel,), kwargs)


@st.composite
def average_pool_cases(draw: DrawFn, dims: int = 2) -> Case:
    """Draw an average-pooling layer and its input, in more than one dimension with a divisor of its own at times.

    Args:
        draw: hypothesis's own.
        dims: how many spatial dimensions.
    """
    kernel, stride = (tuple(draw(st.integers(1, 4)) for _ in range(dims)) for _ in range(2))
    x = draw(_signals(tuple(max(k, 3) + draw(st.integers(0, 5)) for k in kernel)))
    kwargs: dict[str, Any] = {
        "stride": draw(st.sampled_from([stride, None])),
        "padding": tuple(draw(st.integers(0, k // 2)) for k in kernel),
        "ceil_mode": draw(st.booleans()),
        "count_include_pad": draw(st.booleans()),
    }
    if dims > 1:
        kwargs["divisor_override"] = draw(st.sampled_from([None, None, 3, -2]))
    return Case((x,), (kernel,), kwargs)


@st.composite
def adaptive_pool_cases(draw: DrawFn, dims: int = 2, indices: bool = False) -> Case:
    """Draw an adaptive pooling layer and its input: fewer windows than elements, as many, and more.

    Args:
        draw: hypothesis's own.
        dims: how many spatial dimensions.
        indices: the layer can give places too.
    """
    x = draw(_signals(tuple(draw(st.integers(1, 9)) for _ in range(dims))))
    count = st.integers(1, 6) if dims == 1 else st.integers(1, 6) | st.none()  # None keeps the size
    output_size = draw(st.integers(1, 4) | st.tuples(*[count] * dims))
    return Case((x,), (output_size,), {"return_indices": draw(st.booleans())} if indices else {})


@st.composite
def _signals(draw: DrawFn, size: tuple[int, ...]) -> Tensor:
    """Draw a batch of signals, images or volumes of a size, or a single one; equals among the numbers at times."""
    batch, channels = draw(st.sampled_from([None, 1, 3])), draw(sizes)
    x: Tensor = draw(tensors((batch or 2, channels, *size)))
    x = x.round() if draw(st.booleans()) else x  # which of two equal elements wins is part of the contract
    return x[0] if batch is None else x
