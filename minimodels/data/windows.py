"""Pieces of a long text for a model that sees a whole piece at once: random ones to train on, all of them to test."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from minimodels.data.order import Epochs, stream
from minimodels.data.tokens import Tokens
from minimodels.errors import InputError


class RandomWindows(Epochs):
    """Batches of windows that begin anywhere in a text; the targets are the tokens one further on.

    Windows are drawn with replacement, so there is no natural epoch: a pass is as many batches as one asks for. Which
    windows the b-th batch of a run has depends on (seed, b) alone, not on how a run is cut into passes, nor on the
    global random state.

    Args:
        tokens: of the text; only what is drawn is read, so they may be mapped from a file.
        length: T, tokens in a window.
        batch_size: N, windows in a batch.
        batches: in one pass.
        total: batches in all passes together, so that the last one may be shorter; None sets no bound.
        seed: what the windows depend on, a whole number from 0 up.

    Attributes:
        samples: tokens that can be predicted: all but the first.
        epoch: the pass that comes next, from 0.

    Shape:
        tokens [L]. Each batch: inputs [N, T] and targets [N, T], of int64.

    Raises:
        InputError: the text is too short for a window and the token behind it, a negative seed, or a number below 1.

    Cost: one gather of N·(T + 1) numbers a batch.

    See: tests/data/test_windows.py

    Example:
        >>> windows = RandomWindows(np.arange(100, dtype=np.uint16), length=3, batch_size=2, batches=1)
        >>> for inputs, targets in windows:
        ...     print(inputs.tolist(), targets.tolist())
        [[8, 9, 10], [76, 77, 78]] [[9, 10, 11], [77, 78, 79]]
    """

    def __init__(
        self, tokens: Tokens, length: int, batch_size: int, batches: int, total: int | None = None, seed: int = 0
    ) -> None:
        numbers = {
            "length": length,
            "batch_size": batch_size,
            "batches": batches,
            "total": 1 if total is None else total,
        }
        for name, number in numbers.items():
            if number < 1:
                raise InputError(f"{name} {number}: has to be at least 1.")
        if seed < 0:
            raise InputError(f"seed {seed}: give a whole number from 0 up.")
        if len(tokens) <= length:
            raise InputError(
                f"a text of {len(tokens):,} tokens is too short for windows of {length:,} and the token behind them; "
                f"give a longer text or shorter windows."
            )
        self.tokens = tokens
        self.length = length
        self.batch_size = batch_size
        self.batches = batches
        self.total = total
        self.seed = seed
        self.samples = len(tokens) - 1
        self.epoch = 0

    def __len__(self) -> int:
        rest = self.batches if self.total is None else self.total - self.epoch * self.batches
        return max(0, min(self.batches, rest))

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        epoch, count = self.epoch, len(self)
        bits = stream(self.seed).advance(epoch * self.batches * self.batch_size)
        places = np.arange(self.length + 1)
        for _ in range(count):
            starts = bits.random_raw(self.batch_size) % (len(self.tokens) - self.length)
            windows = torch.from_numpy(self.tokens[starts[:, None] + places.astype(np.uint64)].astype(np.int64))
            yield windows[:, :-1], windows[:, 1:]
        self.epoch = epoch + 1

    def __repr__(self) -> str:
        return f"RandomWindows({self.batch_size} of {self.length} tokens a batch, from {len(self.tokens):,})"


class AllWindows:
    """A whole text in windows one behind the other: every token but the first is predicted exactly once.

    A token is predicted from those before it in its window, so the first ones of a window have little to go by. The
    mean over a whole text is therefore a little worse than what a model can do, and it is the same every time.

    Args:
        tokens: of the text.
        length: T, tokens in a window.
        batch_size: N, windows in a batch.

    Attributes:
        samples: tokens that are predicted, L − 1.

    Shape:
        tokens [L]. Each batch: inputs [N, T] and targets [N, T], of int64; a last window that is shorter is a batch of
        its own.

    Raises:
        InputError: fewer than two tokens, or a number below 1.

    See: tests/data/test_windows.py

    Example:
        >>> for inputs, targets in AllWindows(np.arange(6, dtype=np.uint16), length=2, batch_size=2):
        ...     print(inputs.tolist(), targets.tolist())
        [[0, 1], [2, 3]] [[1, 2], [3, 4]]
        [[4]] [[5]]
    """

    def __init__(self, tokens: Tokens, length: int, batch_size: int) -> None:
        if min(length, batch_size) < 1:
            raise InputError(f"{batch_size} windows of {length} tokens: both have to be positive numbers.")
        if len(tokens) < 2:
            raise InputError(f"a text of {len(tokens)} tokens has nothing to predict; give at least two.")
        self.tokens = tokens
        self.length = length
        self.batch_size = batch_size
        self.samples = len(tokens) - 1

    def __len__(self) -> int:
        whole, rest = divmod(self.samples, self.length)
        return -(-whole // self.batch_size) + bool(rest)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        whole = self.samples - self.samples % self.length
        step = self.batch_size * self.length
        for start in range(0, whole, step):
            yield self._batch(start, min(start + step, whole), self.length)
        if whole < self.samples:
            yield self._batch(whole, self.samples, self.samples - whole)

    def __repr__(self) -> str:
        return f"AllWindows({self.samples:,} tokens in windows of {self.length})"

    def _batch(self, start: int, end: int, length: int) -> tuple[Tensor, Tensor]:
        """The windows of the inputs from `start` to `end`."""
        piece = torch.from_numpy(self.tokens[start : end + 1].astype(np.int64))
        return piece[:-1].view(-1, length), piece[1:].view(-1, length)
