"""The memory of a fast sequence: a state's values step by step, and the projection of the inputs ahead of the loop."""

from collections.abc import Iterator

import torch
from torch import Tensor

from minimodels.functional.matmul import product
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


def projected(
    x: Tensor, w: Tensor, bias: Tensor | None, steps: Steps, keep: bool
) -> tuple[Tensor, Iterator[tuple[int, Tensor]]]:
    """Project the inputs of all steps, x·wᵀ + bias, ahead of the loop: few large products in place of many small.

    Args:
        x: the packed input.
        w: the projection.
        bias: added to each row, or None.
        steps: the steps and their direction.
        keep: project the whole sequence; without it a chunk at a time, into one buffer that stays in the cache.

    Shape:
        - x: [rows, I]; w: [O, I]; bias: [O]

    Returns:
        the whole projection (or the buffer), and an iterator over each step's number and its share of it.
    """
    if keep:
        whole = product(x, w, bias)
        shares = whole.split(steps.sizes)
        return whole, ((t, shares[t]) for t in steps.order())
    buffer = x.new_empty(min(len(x), max(CHUNK // w.shape[0], steps.sizes[0])), w.shape[0])
    return buffer, _by_chunks(x, w, bias, steps, buffer)


CHUNK = 1 << 19
"""Numbers of the projection at a time: 2 MiB of float32, what one core's share of the cache holds."""


def _by_chunks(x: Tensor, w: Tensor, bias: Tensor | None, steps: Steps, buffer: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Project as many steps at a time as the buffer has room for."""
    inputs, order = x.split(steps.sizes), list(steps.order())
    ends = torch.tensor(steps.sizes).cumsum(0).tolist()
    while order:
        room, chunk = buffer.shape[0], []
        while order and steps.sizes[order[0]] <= room:
            chunk.append(order.pop(0))
            room -= steps.sizes[chunk[-1]]
        first, last = min(chunk), max(chunk)
        rows = x[ends[first] - inputs[first].shape[0] : ends[last]]
        part = buffer[: rows.shape[0]]
        torch.mm(rows, w.t(), out=part) if bias is None else torch.addmm(bias, rows, w.t(), out=part)
        shares = part.split(steps.sizes[first : last + 1])
        yield from ((t, shares[t - first]) for t in chunk)
