"""The memory of a fast sequence: a state's values step by step, and the projection of the inputs ahead of the loop."""

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from minimodels.functional import placement
from minimodels.functional.matmul import product_into
from minimodels.functional.precision import accumulator
from minimodels.functional.recurrence.parts import Steps


class Trail:
    """A state's values before and after each step, each value stored once: what is after one step is before the next.

    One buffer of rows + N rows, cut into blocks. Forwards, block t + 1 is what step t makes, and its first rows
    are what step t + 1 starts from. Backwards, block t + 1 is what step t starts from: what step t + 1 made, and below
    it the first states of the sequences that begin at step t.

    Args:
        initial: the first state of each sequence.
        steps: the steps and their direction.
        keep: store every step; without it one block is overwritten over and over.

    Shape:
        - initial: [N, features]
    """

    def __init__(self, initial: Tensor, steps: Steps, keep: bool = True) -> None:
        sizes = steps.sizes
        self.steps, self.keep = steps, keep
        if not keep:
            self.buffer = initial.clone()
            self.before = self.after = [self.buffer[:n] for n in sizes]
            return
        self.buffer = initial.new_empty(sizes[0] + sum(sizes), initial.shape[1])
        blocks = self.buffer.split((sizes[0], *sizes))
        if not steps.reverse:
            blocks[0].copy_(initial)
            self.before, self.after = [b[:n] for b, n in zip(blocks, sizes, strict=False)], list(blocks[1:])
            return
        self.before, self.after = list(blocks[1:]), [b[:n] for b, n in zip(blocks, sizes, strict=False)]
        for block, n, later in zip(self.before, sizes, (*sizes[1:], 0), strict=True):
            if later < n:
                block[later:].copy_(initial[later:n])

    def rows_before(self) -> Tensor:
        """Give the values before the steps, packed: [rows, features]."""
        return self._packed(self.before, self.steps.reverse)

    def rows_after(self) -> Tensor:
        """Give the values after the steps, packed: [rows, features]."""
        return self._packed(self.after, not self.steps.reverse)

    def final(self) -> Tensor:
        """Give each sequence's last value: [N, features], in memory of its own."""
        sizes = self.steps.sizes
        if not self.keep or self.steps.reverse or self.steps.even():
            return self.after[self.steps.order()[-1]].clone() if self.keep else self.buffer
        ends = [block[n:] for block, n in zip(self.after, (*sizes[1:], 0), strict=True)]
        return torch.cat(ends[::-1])

    def _packed(self, blocks: list[Tensor], last: bool) -> Tensor:
        """Give blocks as one tensor: a view where they lie side by side, as all do in an even batch."""
        n = self.steps.sizes[0]
        if last or self.steps.even():
            return self.buffer[n:] if last else self.buffer[:-n]
        return torch.cat(blocks)


def blocks(like: Tensor, features: int, steps: Steps, keep: bool) -> tuple[Tensor, Sequence[Tensor]]:
    """Give memory for some numbers of each step.

    Args:
        like: a tensor of their type.
        features: how many numbers a row.
        steps: the steps.
        keep: memory of its own for each step; without it they share one block.

    Returns:
        all of it, packed, and each step's share.
    """
    buffer = like.new_empty(sum(steps.sizes) if keep else steps.sizes[0], features)
    return buffer, buffer.split(steps.sizes) if keep else [buffer[:n] for n in steps.sizes]


CHUNK = 1 << 19
"""Numbers at a time: 2 MiB of float32, what one core's share of the cache holds.

On an accelerator `placement.PIECE`: in chunks of a step or two, 100 steps of an LSTM forward and back took 57 ms on an
NVIDIA H100 (512 sequences, 128 wide), and in one, where a step has 13 launches, 23 on an H200.
"""

ROWS = 2048
"""Rows that a product of 16 bits takes at least: only large ones keep the processor's units for them busy.

6,400 rows in all, of 512 features for 2,048 gates, milliseconds on two threads of an Intel Xeon with AMX (of 128
features for 512 gates in brackets), in pieces of so many rows:

                     128          256          512          1024         2048         6400
    x·Wᵀ + b     20.8 (4.3)   16.1 (3.1)   24.6 (1.9)   10.0 (1.5)    9.4 (1.1)   21.2 (0.8)
    ∂W += ∂aᵀ·x  38.4 (5.0)   25.4 (3.2)   19.0 (2.5)   17.7 (2.1)   16.4 (1.5)   19.8 (1.2)
    ∂a·W         17.1 (3.4)   20.6 (2.4)   17.8 (1.3)   15.4 (1.0)    7.9 (0.8)    7.6 (0.5)
"""


class Chunk(NamedTuple):
    """Steps that are worked on together, while their rows are in the cache.

    Args:
        steps: their numbers, in the order in which they are taken.
        rows: where they lie in the packed batch.
        sizes: how many rows each has, by ascending number.
    """

    steps: list[int]
    rows: slice
    sizes: tuple[int, ...]

    def split(self, rows: Tensor) -> dict[int, Tensor]:
        """Give each step its share of the chunk's rows.

        Args:
            rows: [rows of the chunk, ...].
        """
        return dict(zip(range(min(self.steps), max(self.steps) + 1), rows.split(self.sizes), strict=True))


def rows_at_a_time(steps: Steps, width: int, narrow: bool = False) -> int:
    """Give how many rows the largest of the chunks may have.

    Args:
        steps: the steps.
        width: how many numbers a row needs in the cache.
        narrow: the rows are factors of products in 16 bits, see `ROWS`.
    """
    return min(sum(steps.sizes), max(_rows(steps, width, narrow), steps.sizes[0]))


def _rows(steps: Steps, width: int, narrow: bool) -> int:
    numbers = placement.PIECE if steps.launched else CHUNK
    return max(numbers // width, ROWS if narrow else 0)


def chunks(steps: Steps, width: int, narrow: bool = False) -> Iterator[Chunk]:
    """Cut a packed batch into chunks of whole steps that fit into the cache.

    Args:
        steps: the steps and their direction.
        width: how many numbers a row needs there.
        narrow: the rows are factors of products in 16 bits, see `ROWS`.
    """
    ends = list(itertools.accumulate(steps.sizes, initial=0))
    order, most = list(steps.order()), _rows(steps, width, narrow)
    while order:
        room, count = most - steps.sizes[order[0]], 1
        while count < len(order) and steps.sizes[order[count]] <= room:
            room -= steps.sizes[order[count]]
            count += 1
        taken, order = order[:count], order[count:]
        first, end = min(taken), max(taken) + 1
        yield Chunk(taken, slice(ends[first], ends[end]), steps.sizes[first:end])


def is_narrow(factor: Tensor) -> bool:
    """Say whether products of a factor are in 16 bits.

    Args:
        factor: one of the factors.
    """
    return accumulator(factor.dtype) != factor.dtype


def projected(
    x: Tensor, w: Tensor, bias: Tensor | None, steps: Steps, keep: bool, gates: int, dtype: torch.dtype
) -> tuple[Tensor, Iterator[tuple[int, Tensor, list[Tensor]]]]:
    """Project the inputs of all steps, x·wᵀ + bias, ahead of the loop: few large products in place of many small.

    A chunk of steps at a time, so that what is projected is still in the cache when its step takes it up.

    Args:
        x: the packed input.
        w: the projection.
        bias: added to each row, or None.
        steps: the steps and their direction.
        keep: leave the whole projection behind; without it each chunk overwrites the one before.
        gates: G, how many parts of equal width an output has.
        dtype: of what type the projection shall be.

    Shape:
        - x: [rows, I]; w: [O, I]; bias: [O]

    Returns:
        the whole projection (or the buffer), and an iterator over each step's number, its share [n, O], and the parts
        of that, G times [n, O / G].
    """
    rows = len(x) if keep else rows_at_a_time(steps, w.shape[0], is_narrow(x))
    buffer = x.new_empty(rows, w.shape[0], dtype=dtype)
    return buffer, _by_chunks(x, w, bias, steps, keep, gates, buffer)


def _by_chunks(
    x: Tensor, w: Tensor, bias: Tensor | None, steps: Steps, keep: bool, gates: int, buffer: Tensor
) -> Iterator[tuple[int, Tensor, list[Tensor]]]:
    for chunk in chunks(steps, w.shape[0], is_narrow(x)):
        rows = x[chunk.rows]
        part = product_into(buffer[chunk.rows] if keep else buffer[: len(rows)], rows, w, bias)
        shares = chunk.split(part)
        parts = [chunk.split(gate) for gate in part.view(len(rows), gates, part.shape[1] // gates).unbind(1)]
        yield from ((t, shares[t], [gate[t] for gate in parts]) for t in chunk.steps)


STEP = 1 << 23
"""Multiply-adds from which a step's product in bfloat16 makes up for the casts around it.

On one and on two threads of an Intel Xeon with AMX, microseconds in float32 against those in bfloat16: in the loop,
casts included, 64x128x512 (2²² multiply-adds) 54 and 37 against 60 and 56; by itself 64x512x2048 (2²⁶) 890 and 500
against 280 and 210.
"""


def step_dtype(x: Tensor, state: Tensor, gates: int) -> torch.dtype:
    """Choose the type of the factors in the steps' own products: the input's, or the state's for small ones.

    Args:
        x: the input.
        state: the state, whose type may be wider.
        gates: G, how many times as many numbers as the state a product has.
    """
    return x.dtype if state.numel() * gates * state.shape[1] >= STEP else state.dtype
