"""The race of a window's elements on channels-last images: who is the largest, and what the winner hands back.

pooling_largest.py says what is wanted; this file does it where neighbours in memory are the channels of one place, so
that every pass runs through all of them, a chunk of the batch at a time, in memory that is lent. The elements of all
windows race in reading order, along the last dimension first: a later one takes the lead if it is larger than all
before it, or NaN. Who leads is 1 or 0 in the images' own type, which runs four times as fast as with booleans, and

    winner ← winner + lead · (later winner − winner)

picks the leader's offset in one pass.
"""

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from minimodels.functional.pooling_spans import Even, Spans

CHUNK = 1 << 17
"""Windows at a time: seven tensors of theirs stay in two cores' caches.

Milliseconds for 64x32x26x26, windows of 2x2, by 16, 48, 64, 96, 128 and 192 Ki windows, on two threads of an Intel Xeon
with 2 MiB a core: who wins 2.62, 1.03, 0.90, 0.89, 0.90, 0.90; what it hands back 1.95, 0.68, 0.62, 0.57, 0.56, 0.58.
"""

BITS = {2: torch.int16, 4: torch.int32, 8: torch.int64}
"""Whole numbers of as many bytes."""


def units(spans: Spans | Sequence[Even]) -> list[int]:
    """Say how far apart in the flattened image two neighbours along each dimension stand: W·H, W, 1.

    Args:
        spans: the windows along each dimension.
    """
    return [math.prod([span.size for span in spans[i:]]) for i in range(1, len(spans) + 1)]


def elements(x: Tensor, spans: Sequence[Even]) -> list[tuple[int, Tensor]]:
    """List a window's elements in reading order: how far behind its start each stands, and what all windows see there.

    Args:
        x: the images, padded.
        spans: the windows along each of the last dimensions.
    """
    found = [(0, x)]
    for axis, span, unit in zip(range(-len(spans), 0), spans, units(spans), strict=True):
        offsets = [i * span.dilation * unit for i in range(span.kernel)]
        found = [(o + i, y) for o, x in found for i, y in zip(offsets, span.elements(x, axis), strict=True)]
    return found


def winners(x: Tensor, spans: Sequence[Even]) -> tuple[Tensor, Tensor]:
    """Find each window's largest element and how far behind the window's start it stands.

    Args:
        x: channels-last images of floating-point numbers on a CPU, [N, C, *size].
        spans: windows of several elements without padding, all less than 256 behind their starts.

    Returns:
        the elements and the offsets, one byte each, [N, C, *counts], channels-last.

    Example:
        >>> x = torch.tensor([[[[1.0, 5.0, 2.0, 0.0]]]])
        >>> winners(x, [Even(1, 1, 1, 1, 0, 1), Even(4, 2, 2, 2, 0, 1)])
        (tensor([[[[5., 2.]]]]), tensor([[[[1, 0]]]], dtype=torch.uint8))
    """
    best = x.new_empty(x.shape[0], *(span.windows for span in spans), x.shape[1]).movedim(-1, 1)
    offsets = torch.empty_like(best, dtype=torch.uint8)
    laps = [(span.kernel, span.dilation * unit) for span, unit in zip(spans, units(spans), strict=True)]
    laps = [(runners, pitch) for runners, pitch in laps if runners > 1]
    step = _step(best)
    lent = [torch.empty_like(best[:step]) for _ in range(4 * len(laps) - 1)]
    views = (view.split(step) for _, view in elements(x, spans))
    for best_, offsets_, *race in zip(best.split(step), offsets.split(step), *views, strict=True):
        winner, *lanes = (lane[: len(best_)] for lane in lent)
        offsets_.copy_(cast(Tensor, _run(race, laps, [best_, winner], lanes)[1]))
    return best, offsets


def _run(
    race: list[Tensor], laps: list[tuple[int, int]], into: list[Tensor], lent: list[Tensor]
) -> tuple[Tensor, Tensor | None]:
    """Let a window's elements race: first those in line with each other, then the winners of the lines.

    Args:
        race: the elements in reading order.
        laps: how many race along each dimension, and how far apart they stand.
        into: where the largest one goes, and its offset.
        lent: other memory, two tensors and four for each dimension but the first.

    Returns:
        the largest element and its offset; None where there was a single one.
    """
    if not laps:
        return race[0], None
    (runners, pitch), (lead, spare, *lanes) = laps[0], lent
    best, winner = into
    rest, size = [lead, spare, *lanes[4:]], len(race) // runners
    lines = [race[start : start + size] for start in range(0, len(race), size)]
    leading, behind = _run(lines[0], laps[1:], lanes[:2], rest)
    for i, line in enumerate(lines[1:], start=1):
        value, inner = _run(line, laps[1:], lanes[2:4], rest)
        leads = torch.gt(value, leading, out=winner if behind is None else lead)
        leads.add_(torch.ne(value, value, out=spare if leading is best else best))  # memory that is warm
        if behind is None:
            behind = leads.mul_(i * pitch)
        elif inner is None:  # who led last is the farthest behind
            behind = torch.maximum(behind, leads.mul_(i * pitch), out=winner)
        else:
            behind = torch.lerp(behind, inner.add_(i * pitch), leads, out=winner)
        leading = torch.maximum(leading, value, out=best)
    return leading, behind


def handed_back(gradient: Tensor, winners: Tensor, spans: list[Even], layout: torch.memory_format) -> Tensor:
    """Go through a window's elements, and give each the gradient of the windows that it won.

    Channels-last, neighbours in memory are the channels of one place, and every pass runs through all of them. Where
    neighbours are places of a line, of which a stride leaves gaps, it is faster to scatter.

    Args:
        gradient: the windows' gradients.
        winners: how far behind a window's start its largest element stands.
        spans: the windows along each of the last dimensions.
        layout: the images'.
    """
    sizes = [span.size + sum(span.pads()) for span in spans]
    shape = (*gradient.shape[: -len(spans)], *sizes)
    x = torch.empty(shape, dtype=gradient.dtype, device=gradient.device, memory_format=layout)
    once, bits = all(span.tiles() for span in spans), BITS[gradient.dtype.itemsize]
    for axis, span in zip(range(-len(spans), 0), spans, strict=True):
        start = span.windows * span.kernel if once else 0  # where windows share elements, these are summed up
        x.narrow(axis, start, x.shape[axis] - start).zero_()
    step = _step(gradient)
    wide, won = (torch.empty_like(winners[:step], dtype=bits) for _ in range(2))
    offsets, views = zip(*elements(x.view(bits) if once else x, spans), strict=True)
    chunks = zip(*(t.split(step) for t in (gradient.view(bits), winners, *views)), strict=True)
    for g, winners_, *shares in chunks:
        w, own = wide[: len(g)].copy_(winners_), won[: len(g)]
        for offset, view in zip(offsets, shares, strict=True):
            torch.eq(w, offset, out=own)  # whole numbers, for infinity times 0 is no number
            if once:
                torch.mul(g, own, out=view)
            else:
                view.add_(torch.mul(g, own, out=own).view(x.dtype))
    for axis, span in zip(range(-len(spans), 0), spans, strict=True):
        x = x.narrow(axis, span.padding, span.size)
    return x


def _step(windows: Tensor) -> int:
    """Say how many images go together, all chunks of about one size."""
    chunks = -(-windows.numel() // CHUNK)
    return max(1, -(-windows.shape[0] // max(1, chunks)))
