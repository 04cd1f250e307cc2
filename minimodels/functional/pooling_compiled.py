"""Pooling's way back as a compiler likes it: every element gathers what it gets, in one loop and without a scatter.

Windows of k elements at steps of s, behind b elements of padding: element t is read as element i of window p if
t + b = s·p + i. With t + b = s·v + r, r below s, these are the windows p = v − a as element i = s·a + r, for
a = 0 … ⌈k/s⌉ − 1. So the window's gradients, each repeated for r = 0 … s − 1 and shifted by a·s, and where something
was won compared with i, add up to the gradient of the input.
"""

import functools
import itertools
import math
import operator

import torch
from torch import Tensor

from minimodels.functional.pooling_spans import Even, Spans

MANY = 16
"""Windows that read an element, from which the one loop would be too long."""


def gathers(spans: Spans, most: int = MANY) -> bool:
    """Say whether the loop serves these windows: even ones without gaps inside, few of which share an element.

    With the channels in front, neighbours in memory are elements of a line, which steps of s take apart: there it is
    slower than a scatter of what was won, and than one dimension after the other where means overlap. Milliseconds
    compiled, forward and backward, two threads of an Intel Xeon, before and by the loop: maxima, 8x64x112x112, 3x3 at
    steps of 2, 49 and 66, 64x64x11x11, 2x2, 0.9 and 1.5; means, 8x64x112x112, 3x3 at steps of 2, 11.5 and 16, but 2x2
    7.4 and 5.0; 2x32x16x56x56, 2x2x2, 5.1 and 1.9.

    Args:
        spans: the windows along each dimension.
        most: how many windows may share an element.

    Example:
        >>> gathers((Even(size=5, windows=2, kernel=3, stride=2, padding=0, dilation=1),))
        True
    """
    even = [span for span in spans if isinstance(span, Even) and span.dilation == 1 and span.windows]
    return len(even) == len(spans) and math.prod([_sharing(span) for span in even]) <= most


def handed_back(
    gradient: Tensor,
    spans: Spans,
    layout: torch.memory_format = torch.contiguous_format,
    winners: Tensor | None = None,
    units: tuple[int, ...] = (),
) -> Tensor:
    """Give each element the gradients of the windows that read it, or of those only that it won.

    Args:
        gradient: the windows' gradients.
        spans: the windows, which must be such that `gathers` says so.
        layout: the order in memory; a compiler does not like to be asked for that of a gradient.
        winners: how far behind its window's start each winner stands; None where all elements count.
        units: how far apart neighbours along each dimension are, in this sense.

    Shape:
        - gradient, winners: [*, *counts]
        - Output: [*, *size]

    Cost: ⌈kernel/stride⌉ additions and comparisons per element and dimension, multiplied over the dimensions; compiled,
        no memory beyond the output.

    See: pooling_largest.py, pooling_mean.py; tests/functional/test_pooling_compiled.py.

    Example:
        >>> span = Even(size=4, windows=3, kernel=2, stride=1, padding=0, dilation=1)
        >>> handed_back(torch.tensor([1.0, 10.0, 100.0]), (span,))
        tensor([  1.,  11., 110., 100.])
    """
    even = [span for span in spans if isinstance(span, Even)]
    last = layout is not torch.contiguous_format
    first = 1 if last else gradient.ndim - len(even)
    operands = [t.movedim(1, -1) if last else t for t in (gradient, winners) if t is not None]
    if winners is not None:
        operands[0] = _written_down(operands[0])
    opened = [_opened(t, first, len(even)) for t in operands]  # [*, P, 1, Q, 1, *]
    shares = []
    for turn in itertools.product(*(range(_sharing(span)) for span in even)):
        share = _share(opened, first, even, turn, units)
        shares.append(_placed(share, first, even, turn))
    x = functools.reduce(operator.add, shares)
    for axis, span in enumerate(even, start=first):
        x = x.narrow(axis, span.padding, span.size)
    return x.movedim(-1, 1) if last else x


def _sharing(span: Even) -> int:
    """How many windows may read an element: ⌈k/s⌉."""
    return -(-span.kernel // span.stride)


def _written_down(t: Tensor) -> Tensor:
    """Have a compiler write a tensor down before it is read, as it does for strided views.

    What is only a loop to a compiler it would otherwise run again for every element that reads it.
    """
    return t.contiguous().as_strided(t.shape, [math.prod(t.shape[axis + 1 :]) for axis in range(t.ndim)])


def _opened(t: Tensor, first: int, dims: int) -> Tensor:
    """Put a dimension for the elements of a step behind each dimension of windows."""
    for axis in range(first, first + dims):
        t = t.unsqueeze(2 * axis - first + 1)
    return t


def _share(
    opened: list[Tensor], first: int, spans: list[Even], turn: tuple[int, ...], units: tuple[int, ...]
) -> Tensor:
    """Say what the a-th of the windows that read an element gives it, [*, P, s, Q, s, *], at most k − a·s of s."""
    gradient, *winners = opened
    widths = [min(span.stride, span.kernel - a * span.stride) for span, a in zip(spans, turn, strict=True)]
    shape = list(gradient.shape)
    for axis, width in enumerate(widths):
        shape[first + 2 * axis + 1] = width
    if not winners:
        return gradient.expand(shape)
    offset = torch.zeros((), dtype=torch.int32, device=gradient.device)
    for axis, (span, a, width, unit) in enumerate(zip(spans, turn, widths, units, strict=True)):
        elements = torch.arange(a * span.stride, a * span.stride + width, dtype=torch.int32, device=gradient.device)
        offset = offset + (elements * unit).view(-1, *[1] * (len(shape) - first - 2 * axis - 2))
    return torch.where(winners[0].to(torch.int32) == offset, gradient, 0)


def _placed(share: Tensor, first: int, spans: list[Even], turn: tuple[int, ...]) -> Tensor:
    """Lay the shares out along the padded dimensions, a·s elements further back; elsewhere is nothing."""
    whole: list[slice] = [slice(None)] * first
    for width in share.shape[first + 1 : first + 2 * len(spans) : 2]:
        whole += [slice(None), slice(0, width)]
    steps = [n for span in spans for n in (span.windows, span.stride)]
    share = _inside(share, [*share.shape[:first], *steps, *share.shape[first + len(steps) :]], whole)
    for axis in range(len(spans)):
        share = share.flatten(first + axis, first + axis + 1)
    sizes = [max((span.windows + _sharing(span) - 1) * span.stride, span.padding + span.size) for span in spans]
    places = [slice(a * span.stride, (a + span.windows) * span.stride) for span, a in zip(spans, turn, strict=True)]
    shape = [*share.shape[:first], *sizes, *share.shape[first + len(sizes) :]]
    return _inside(share, shape, [*[slice(None)] * first, *places])


def _inside(t: Tensor, shape: list[int], places: list[slice]) -> Tensor:
    """Lay zeros around a tensor, if there is room for any."""
    if list(t.shape) == shape:
        return t
    x = t.new_zeros(shape)
    x[tuple(places)] = t
    return x
