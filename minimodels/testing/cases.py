"""Cases: constructor arguments and inputs of a layer, valid by construction, drawn by hypothesis.

Sizes are small (a mistake in an index shows at 3 as it does at 300) and never filtered: sizes are drawn first and
whatever depends on them afterwards. Numbers come from a drawn seed, so that a failing case prints in one line.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from torch import Tensor

from minimodels.shapes import effective_kernel_size


@dataclass(frozen=True)
class Case:
    """One way to build a layer and one input to run it on.

    Args:
        inputs: the arguments of `forward`, float64 where they are real numbers.
        args: positional arguments of the constructor.
        kwargs: its keyword arguments.

    Example:
        >>> Case((torch.zeros(2, 3),), (3, 4), {"bias": False})
        Case(3, 4, bias=False)([2, 3] float32 zeros)
    """

    inputs: tuple[Any, ...]
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        arguments = [repr(a) for a in self.args] + [f"{k}={_shown(v)}" for k, v in self.kwargs.items()]
        return f"Case({', '.join(arguments)})({', '.join(map(_shown, self.inputs))})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))  # what hypothesis shows of a failing case: one line, not all its numbers

    def to(self, dtype: torch.dtype, device: torch.device | str = "cpu") -> "Case":
        """Cast all real numbers, inputs and arguments alike.

        Args:
            dtype: the floating-point type to cast to.
            device: where the tensors go.
        """

        def cast(value: Any) -> Any:
            if not isinstance(value, Tensor):
                return value
            return value.to(device, dtype if value.is_floating_point() else value.dtype)

        return Case(tuple(map(cast, self.inputs)), self.args, {name: cast(v) for name, v in self.kwargs.items()})


def _shown(value: Any) -> str:
    if not isinstance(value, Tensor):
        return repr(value)
    numbers = (
        "zeros" if not value.any() else "contiguous" if value.is_contiguous() else f"strides {list(value.stride())}"
    )
    return f"{list(value.shape)} {str(value.dtype).removeprefix('torch.')} {numbers}"


sizes = st.integers(1, 4)
seeds = st.integers(0, 2**31 - 1)


@st.composite
def tensors(draw: DrawFn, shape: tuple[int, ...], layouts: bool = True, dtype: torch.dtype = torch.float64) -> Tensor:
    """Draw a tensor of normal numbers in some memory layout.

    Args:
        draw: hypothesis's own.
        shape: its shape.
        layouts: lay it out in other ways than contiguously too: transposed, with gaps, channels-last.
        dtype: its floating-point type.

    Example:
        >>> from hypothesis import given
        >>> @given(tensors((2, 3)))
        ... def check(x):
        ...     assert x.shape == (2, 3)
        >>> check()
    """
    generator = torch.Generator().manual_seed(draw(seeds))
    layout = draw(st.sampled_from(["contiguous", "transposed", "gaps", "channels-last"])) if layouts else "contiguous"
    if layout == "gaps" and shape:
        return torch.randn(*shape[:-1], 2 * shape[-1] + 1, generator=generator, dtype=dtype)[..., 1::2]
    x = torch.randn(shape, generator=generator, dtype=dtype)
    if layout == "transposed" and len(shape) > 1:
        return x.transpose(0, -1).contiguous().transpose(0, -1)
    if layout == "channels-last" and len(shape) == 4:
        return x.contiguous(memory_format=torch.channels_last)
    return x


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


@st.composite
def linear_cases(draw: DrawFn) -> Case:
    """Draw a fully connected layer and its input, of any number of leading dimensions.

    Args:
        draw: hypothesis's own.
    """
    features, outputs = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    leading = draw(st.lists(st.integers(0, 4), max_size=3).map(tuple))
    return Case((draw(tensors((*leading, features))),), (features, outputs), {"bias": draw(st.booleans())})


@st.composite
def elementwise_cases(draw: DrawFn) -> Case:
    """Draw an input of any shape for a layer without arguments; zeros among the numbers, where derivatives jump.

    Args:
        draw: hypothesis's own.
    """
    x = draw(tensors(draw(st.lists(st.integers(0, 4), max_size=4).map(tuple))))
    return Case((x.round() if draw(st.booleans()) else x,))


@st.composite
def softmax_cases(draw: DrawFn) -> Case:
    """Draw a softmax over one dimension, with scores of any size, −∞ among them.

    Args:
        draw: hypothesis's own.
    """
    shape = draw(st.lists(sizes, min_size=1, max_size=4).map(tuple))
    x = draw(tensors(shape)) * draw(st.sampled_from([1.0, 30.0, 1000.0]))
    if draw(st.booleans()) and shape[-1] > 1:
        x[..., 0] = -torch.inf  # a masked score; the others keep the slice alive
        return Case((x,), (), {"dim": len(shape) - 1})
    return Case((x,), (), {"dim": draw(st.integers(-len(shape), len(shape) - 1))})


@st.composite
def dropout_cases(draw: DrawFn) -> Case:
    """Draw a dropout layer and its input.

    Args:
        draw: hypothesis's own.
    """
    x = draw(tensors(draw(st.lists(st.integers(0, 5), max_size=4).map(tuple))))
    return Case((x,), (), {"p": draw(st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]))})


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
def cross_entropy_cases(draw: DrawFn) -> Case:
    """Draw a cross-entropy loss with scores and targets: indices (some ignored) or distributions.

    Args:
        draw: hypothesis's own.
    """
    classes = draw(st.integers(1, 5))
    places = draw(st.lists(sizes, max_size=3).map(tuple))
    shape = (places[0], classes, *places[1:]) if places else (classes,)
    scores = draw(tensors(shape))
    kwargs: dict[str, Any] = {
        "reduction": draw(st.sampled_from(["none", "mean", "sum"])),
        "label_smoothing": draw(st.sampled_from([0.0, 0.1, 1.0])),
        "weight": draw(st.sampled_from([None, torch.linspace(0.5, 2.0, classes, dtype=torch.float64)])),
    }
    if draw(st.booleans()):
        return Case((scores, draw(tensors(shape)).softmax(1 if places else 0)), (), kwargs)
    generator = torch.Generator().manual_seed(draw(seeds))
    target = torch.randint(0, classes, places, generator=generator)
    kwargs["ignore_index"] = draw(st.sampled_from([-100, 0, classes - 1]))
    if kwargs["ignore_index"] == -100 and draw(st.booleans()):
        target = target.where(torch.rand(places, generator=generator) < 0.7, -100)
    return Case((scores, target), (), kwargs)
