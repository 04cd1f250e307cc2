"""The race of a window's elements on channels-last images: who is the largest, and what the winner hands back.

pooling_largest.py says what is wanted; this file does it where neighbours in memory are the channels of one place, so
that every pass runs through all of them, a chunk of the batch at a time, in memory that is lent. The elements of all
windows race in reading order, along the last dimension first: a later one takes the lead if it is larger than all
before it, or NaN. Comparisons are written in the images' own type, which runs four times as fast as with booleans, and
their bits are then compared as whole numbers: the later one leads where "it is larger" and "it is a number" say the
same, both yes, or for NaN both no. From there on who leads is 1 or 0, and

    winner ← max(winner, lead · later winner)

picks the leader's offset, as who led last is the farthest behind.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple, cast

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

    Example:
        >>> elements(torch.tensor([1.0, 5.0, 2.0, 0.0]), [Even(4, 2, 2, 2, 0, 1)])
        [(0, tensor([1., 2.])), (1, tensor([5., 0.]))]
    """
    outer, start = x.ndim - len(spans), x.storage_offset()
    sizes, strides = [*x.shape[:outer]], [*x.stride()]
    sizes += [span.windows for span in spans]
    places = [(0, start)]  # behind the window's start in the image, and in memory
    for stride, span, unit in zip(strides[outer:], spans, units(spans), strict=True):
        steps = [i * span.dilation for i in range(span.kernel)]
        places = [(offset + i * unit, place + i * stride) for offset, place in places for i in steps]
    strides[outer:] = [stride * span.stride for stride, span in zip(strides[outer:], spans, strict=True)]
    return [(offset, x.as_strided(sizes, strides, place)) for offset, place in places]


class Lane(NamedTuple):
    """Memory that is lent, seen as numbers of the images' type and as whole numbers of as many bytes."""

    numbers: Tensor
    bits: Tensor


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
    lent = [torch.empty_like(best[:step]) for _ in range(1 + 2 * len(laps))]
    lanes = [Lane(lane, lane.view(BITS[x.dtype.itemsize])) for lane in lent]
    views = [view for _, view in elements(x, spans)]
    for best_, offsets_, *race in _chunks([best, offsets, *views], step):
        here = len(best_)
        winner, *others = lanes if here == step else [Lane(lane[:here], bits[:here]) for lane, bits in lanes]
        offsets_.copy_(cast(Tensor, _run(race, laps, best_, winner, others)[1]))
    return best, offsets


def _run(
    race: list[Tensor], laps: list[tuple[int, int]], best: Tensor, winner: Lane, lent: list[Lane]
) -> tuple[Tensor, Tensor | None]:
    """Let a window's elements race: first those in line with each other, then the winners of the lines.

    Args:
        race: the elements in reading order.
        laps: how many race along each dimension, and how far apart they stand.
        best: where the largest one goes.
        winner: where its offset goes.
        lent: other memory, two lanes for each dimension.

    Returns:
        the largest element and its offset; None where there was a single one.
    """
    if not laps:
        return race[0], None
    (runners, pitch), (first, second, *rest) = laps[0], lent
    size = len(race) // runners
    lines = [race[start : start + size] for start in range(0, len(race), size)]
    leading, behind = _run(lines[0], laps[1:], best, winner, lent)
    for i, line in enumerate(lines[1:], start=1):
        value, inner = _run(line, laps[1:], first.numbers, second, rest)
        lead, spare = (winner, first) if behind is None else (first, second) if inner is None else (rest[0], first)
        torch.gt(value, leading, out=lead.numbers)
        leading = torch.maximum(leading, value, out=best)
        torch.eq(value, value, out=spare.numbers)  # over the value itself, where it is no longer needed
        leads = torch.eq(lead.bits, spare.bits, out=lead.bits)
        if inner is not None:
            leads = inner.add_(i * pitch).mul_(leads)
        elif i * pitch > 1:
            leads.mul_(i * pitch)
        behind = leads if behind is None else torch.maximum(behind, leads, out=winner.bits)
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
    for axis, (size, span) in enumerate(zip(sizes, spans, strict=True), start=-len(spans)):
        start = span.windows * span.kernel if once else 0  # where windows share elements, these are summed up
        if start < size:
            x.narrow(axis, start, size - start).zero_()
    gradient, step = gradient.resolve_neg(), _step(gradient)  # no bits are viewed of what is only marked as negative
    wide, won = (torch.empty_like(winners[:step], dtype=bits) for _ in range(2))
    offsets, views = zip(*elements(x.view(bits) if once else x, spans), strict=True)
    for g, winners_, *shares in _chunks([gradient.view(bits), winners, *views], step):
        w, own = wide[: len(g)].copy_(winners_), won[: len(g)]
        for offset, view in zip(offsets, shares, strict=True):
            torch.eq(w, offset, out=own)  # whole numbers, for infinity times 0 is no number
            if once:
                torch.mul(g, own, out=view)
            else:
                view.add_(torch.mul(g, own, out=own).view(x.dtype))
    if any(map(any, (span.pads() for span in spans))):
        for axis, span in zip(range(-len(spans), 0), spans, strict=True):
            x = x.narrow(axis, span.padding, span.size)
    return x


def _chunks(tensors: Sequence[Tensor], step: int) -> Iterator[Sequence[Tensor]]:
    """Go through several batches together, so many samples at a time."""
    samples = len(tensors[0])
    if samples <= step:
        yield tensors
        return
    for start in range(0, samples, step):
        yield [tensor[start : start + step] for tensor in tensors]


def _step(windows: Tensor) -> int:
    """Say how many images go together, all chunks of about one size."""
    chunks = -(-windows.numel() // CHUNK)
    return max(1, -(-windows.shape[0] // max(1, chunks)))
