"""Maximum pooling in any number of dimensions: who wins a window, and what the winner hands back.

Windows are narrowed down one dimension after the other, the last one first: the best of each row of a window, then
the best of the rows. A later element takes the lead only if it is larger than all before it (or NaN), in rows as among
them, so that the winner is the first of equals in reading order and the last NaN.

Winners are kept as offsets from the window's start, mostly one byte each; the start is known.
"""

import functools
import math
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor

from minimodels.functional import pooling_race
from minimodels.functional.layout import image_layout
from minimodels.functional.pooling_compiled import gathers, handed_back
from minimodels.functional.pooling_race import units
from minimodels.functional.pooling_spans import Even, Spans, Uneven, in_chunks, padded
from minimodels.functional.transforms import apply, owned, plain_autograd, steps_aside
from minimodels.tap import listened, tap


def largest(x: Tensor, spans: Spans, return_indices: bool) -> Tensor | tuple[Tensor, Tensor]:
    """Take the largest element of each window, and where it stands, i·W + j, if that is asked for.

    Args:
        x: the input.
        spans: the windows along each of its last dimensions.
        return_indices: give the winners' places too.

    Shape:
        - x: [*, *size]
        - Output: [*, *counts]; places: the same, int64

    Cost: about Σ kernel comparisons per output; one byte per output (more where rows are long) is kept for the backward
        pass.

    See: tests/functional/test_pooling.py.

    Example:
        >>> from minimodels.functional.pooling_spans import Uneven
        >>> largest(torch.tensor([[1.0, 5.0, 2.0, 0.0]]), (Uneven(size=4, windows=2),), return_indices=True)
        (tensor([[5., 2.]]), tensor([[1, 2]]))
    """
    differentiated = x.requires_grad and torch.is_grad_enabled()
    if listened() or not plain_autograd():
        output, places = _gathered(x, spans)
    elif differentiated or return_indices:
        output, winners = cast(tuple[Tensor, Tensor], apply(_Largest, x, spans))
        places = _places(winners, spans) if return_indices else winners
    else:
        (output,) = in_chunks(lambda part: (_best(part, spans),), x)
    layout = image_layout(x)
    output = output.contiguous(memory_format=layout)
    return (output, places.contiguous(memory_format=layout)) if return_indices else output


def _gathered(x: Tensor, spans: Spans) -> tuple[Tensor, Tensor]:
    """Find the winners without a derivative and gather them: every derivative of every order, and in others' sight."""
    with torch.no_grad():
        _, winners = _winners(x, spans)
        places = _places(winners, spans)
    places = tap("pooling.indices", places.contiguous(memory_format=image_layout(x)))
    flat = -len(spans)
    output = x.flatten(flat).gather(-1, places.flatten(flat)).unflatten(-1, places.shape[flat:])
    return output, places


class _Largest(torch.autograd.Function):
    """The largest elements and their offsets; the derivative goes to the winners alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, spans: Spans) -> tuple[Tensor, Tensor]:
        even = [span for span in spans if isinstance(span, Even)]
        if len(even) == len(spans) and _race(x, even):
            output, winners = pooling_race.winners(x, even)
        else:
            output, winners = in_chunks(lambda part: _winners(part, spans), x)
        ctx.save_for_backward(winners)
        ctx.mark_non_differentiable(winners)
        ctx.spans, ctx.layout = spans, image_layout(x)
        return owned(output), winners

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, _: Any) -> tuple[Tensor, None]:
        (winners,) = ctx.saved_tensors
        last = ctx.layout is not torch.contiguous_format
        if torch.compiler.is_compiling() and last and gathers(ctx.spans):
            return handed_back(gradient, ctx.spans, ctx.layout, winners, tuple(units(ctx.spans))), None
        even = [span for span in ctx.spans if isinstance(span, Even)]
        plain = not gradient.requires_grad and not _aside(gradient) and winners.itemsize <= gradient.itemsize
        if plain and last and even == [*ctx.spans]:
            return pooling_race.handed_back(gradient, winners, even, ctx.layout), None
        flat = -len(ctx.spans)
        places = _places(winners, ctx.spans).flatten(flat)
        outer, size = gradient.shape[:flat], [span.size for span in ctx.spans]
        if len(outer) == 1 or ctx.layout is torch.contiguous_format:
            x = gradient.new_zeros(*outer, math.prod(size))
        else:
            x = gradient.new_zeros(outer[0], math.prod(size), outer[1]).transpose(1, 2)
        return x.scatter_add_(-1, places, gradient.reshape(places.shape)).reshape(*outer, *size), None


def _best(x: Tensor, spans: Spans) -> Tensor:
    """Take the maximum alone, where nobody asks who it was; rows first: they are read without gaps."""
    x = padded(x, spans, _lowest(x.dtype))
    for axis, span in zip(range(-len(spans), 0), spans, strict=True):
        x = functools.reduce(torch.maximum, span.elements(x, axis))
    return x if any(span.reach() for span in spans) else x.clone()  # never the input itself


def _winners(x: Tensor, spans: Spans) -> tuple[Tensor, Tensor]:
    """Find each window's largest element and how far behind the window's start it stands."""
    pitches, aside = units(spans), _aside(x)
    kept = _offset_type(spans, pitches)
    small = torch.int32 if aside else kept  # compiled code computes with 32 bits, and stores fewer
    x = padded(x, spans, _lowest(x.dtype))
    winner: Tensor | None = None  # nobody has been overtaken yet
    for axis, span, unit in reversed(list(zip(range(-len(spans), 0), spans, pitches, strict=True))):
        along = [-1, *[1] * (-axis - 1)]
        first, *offsets = [
            (offset * unit).to(small).view(along) if isinstance(offset, Tensor) else offset * unit
            for offset in (span.first(x.device), *span.offsets(x.device)[1:])
        ]
        behind: Sequence[int | Tensor] = [0] * (len(offsets) + 1) if winner is None else span.elements(winner, axis)
        x, *others = span.elements(x, axis, dense=True)
        start = behind[0] + first
        winner = start.expand(x.shape) if isinstance(start, Tensor) else None
        for value, inner, offset in zip(others, behind[1:], offsets, strict=True):
            if aside:
                before = x.new_zeros((), dtype=small) if winner is None else winner
                winner = torch.where((value > x) | (value != value), inner + offset, before)
            else:
                lead = _leads(value, x, small) * (inner + offset)
                winner = lead if winner is None else torch.maximum(winner, lead)  # who led last is the farthest behind
            x = torch.maximum(x, value)
    winner = x.new_zeros(x.shape, dtype=small) if winner is None else winner
    return (x if any(span.reach() for span in spans) else x.clone()), winner.to(kept)


def _race(x: Tensor, spans: list[Even]) -> bool:
    """Say whether the elements may race in lent memory: channels-last, without padding, and in a byte's reach."""
    return (
        x.is_cpu
        and x.is_floating_point()
        and image_layout(x) is not torch.contiguous_format
        and not _aside(x)
        and not any(any(span.pads()) for span in spans)
        and any(span.kernel > 1 for span in spans)
        and _offset_type(spans, units(spans)) is torch.uint8
    )


def _leads(value: Tensor, x: Tensor, small: torch.dtype) -> Tensor:
    """Say where a later element takes the lead, 1 or 0: NaN beats everything, also an earlier NaN.

    A comparison that is written in the type of its operands runs four times as fast as one that is written as booleans.
    """
    larger, missing = torch.empty_like(x), torch.empty_like(x)
    return torch.maximum(torch.gt(value, x, out=larger), torch.ne(value, value, out=missing), out=larger).to(small)


def _aside(x: Tensor) -> bool:
    """Whether memory that is lent with `out` would be in the way: of a compiler, or of what follows every operation."""
    return torch.compiler.is_compiling() or steps_aside(x)


def _offset_type(spans: Sequence[Even | Uneven], units: list[int]) -> torch.dtype:
    """Choose the smallest integers that hold every offset within a window."""
    reach = sum(span.reach() * unit for span, unit in zip(spans, units, strict=True))
    return torch.uint8 if reach < 1 << 8 else torch.int16 if reach < 1 << 15 else torch.int32


def _places(winners: Tensor, spans: Spans) -> Tensor:
    """Add the windows' starts to the winners' offsets: their places in the flattened image."""
    starts = torch.zeros((), dtype=torch.int64, device=winners.device)
    for span, unit in zip(spans, units(spans), strict=True):
        starts = starts.unsqueeze(-1) + span.starts(winners.device) * unit  # [*counts]; negative in the padding
    return winners + starts


def _lowest(dtype: torch.dtype) -> float:
    """What no element is smaller than."""
    return -torch.inf if dtype.is_floating_point else torch.iinfo(dtype).min
