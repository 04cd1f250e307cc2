"""Average pooling in any number of dimensions: sums along one dimension after the other, then one division.

A sum over windows is linear; its derivative gives every element the sum of the gradients of the windows that read it,
and the derivative of that is the sum over windows again. So two operations are each other's derivatives.
"""

import functools
import operator
from typing import Any

import torch
from torch import Tensor

from minimodels.functional.layout import image_layout
from minimodels.functional.pooling_compiled import MANY, gathers, handed_back
from minimodels.functional.pooling_spans import Even, Spans, Uneven, in_chunks, padded
from minimodels.functional.precision import accumulator
from minimodels.functional.transforms import apply, owned, steps_aside


def mean(x: Tensor, spans: Spans, padding_counts: bool = True, divisor: int | None = None) -> Tensor:
    """Take the mean of each window.

    Args:
        x: the input.
        spans: the windows along each of its last dimensions.
        padding_counts: zeros of the padding count as elements.
        divisor: what to divide the sum by instead of the number of elements.

    Shape:
        - x: [*, *size]
        - Output: [*, *counts]

    Raises:
        RuntimeError: the divisor is zero.
        TypeError: the divisor is a fraction.

    Cost: about Σ kernel additions per output, the same for the derivative; 16-bit numbers are added up in float32.

    See: tests/functional/test_pooling.py.

    Example:
        >>> from minimodels.functional.pooling_spans import Uneven
        >>> mean(torch.tensor([[1.0, 5.0, 2.0, 0.0]]), (Uneven(size=4, windows=2),))
        tensor([[3., 1.]])
    """
    if divisor == 0:
        raise RuntimeError("divisor must be not zero")
    if all(map(_covers_everything, spans)):
        total = x.sum(tuple(range(-len(spans), 0)), keepdim=True, dtype=accumulator(x.dtype))  # one reduction
    else:
        total = _total(x, spans) if steps_aside(x) else apply(_Total, x, spans)
    number = _elements(x, spans, padding_counts) if divisor is None else operator.index(divisor)
    y = total / number if x.is_floating_point() else torch.div(total, number, rounding_mode="trunc")
    return y.to(x.dtype).contiguous(memory_format=image_layout(x))


class _Total(torch.autograd.Function):
    """Sums over windows."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, spans: Spans) -> Tensor:
        ctx.spans, ctx.dtype, ctx.layout = spans, x.dtype, image_layout(x)
        return in_chunks(lambda part: (_total(part, spans),), x)[0]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        if steps_aside(gradient):
            return _spread_by_autograd(gradient, ctx.spans, ctx.dtype), None
        return apply(_Spread, gradient, ctx.spans, ctx.dtype, ctx.layout), None


class _Spread(torch.autograd.Function):
    """The same backwards: every element's sum over the windows that read it."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, spans: Spans, dtype: torch.dtype, layout: torch.memory_format) -> Tensor:
        ctx.spans = spans
        if torch.compiler.is_compiling() and gathers(spans, 1 if layout is torch.contiguous_format else MANY):
            return owned(handed_back(gradient, spans, layout).to(dtype))
        return in_chunks(lambda part: (_spread(part, spans, dtype),), gradient)[0]

    @staticmethod
    def backward(ctx: Any, second: Tensor) -> tuple[Tensor, None, None, None]:
        third = _total(second, ctx.spans) if steps_aside(second) else apply(_Total, second, ctx.spans)
        return third, None, None, None


def _total(x: Tensor, spans: Spans) -> Tensor:
    """Add up every window, rows first: they are read without gaps."""
    x = padded(x.to(accumulator(x.dtype)), spans, 0)
    for axis, span in zip(range(-len(spans), 0), spans, strict=True):
        x = span.total(x, axis)
    return x


def _spread(gradient: Tensor, spans: Spans, dtype: torch.dtype) -> Tensor:
    """Hand the windows' gradients back, columns first: the last step, the largest, is then without gaps."""
    layout = image_layout(gradient)
    for axis, span in reversed(list(zip(range(-len(spans), 0), spans, strict=True))):
        gradient = span.spread(gradient, axis)
    return gradient.to(dtype).contiguous(memory_format=layout)


def _spread_by_autograd(gradient: Tensor, spans: Spans, dtype: torch.dtype) -> Tensor:
    """Let autograd hand the gradients back: sums are linear, so that it does not matter where."""
    shape = (*gradient.shape[: -len(spans)], *(span.size for span in spans))
    with torch.enable_grad():
        x = torch.zeros(shape, dtype=dtype, device=gradient.device, requires_grad=True)
        (carried,) = torch.autograd.grad(_total(x, spans), x, gradient, create_graph=True)
    return carried


def _covers_everything(span: Even | Uneven) -> bool:
    """Whether there is one window and it reads the whole dimension and nothing else."""
    return span.windows == 1 and span.reach() + 1 == span.size and not any(span.pads())


def _elements(x: Tensor, spans: Spans, padding_counts: bool) -> int | Tensor:
    """Count the elements of each window, a product over the dimensions."""
    lengths = [span.lengths(x.device, padding_counts) for span in spans]
    shaped = [n if isinstance(n, int) else n.view(-1, *[1] * i) for i, n in enumerate(reversed(lengths))]
    return functools.reduce(operator.mul, shaped)
