"""Mini-batches of sequences that are not equally long."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from minimodels.data.order import Epochs, permutation
from minimodels.errors import InputError

POOL = 32
"""Batches whose sequences are sorted by length together: neighbours in length then share a batch."""


class RaggedBatches(Epochs):
    """Cut sequences of different lengths into mini-batches (padded sequences, lengths, targets).

    Sequences are shuffled, and within pools of some batches sorted by length, so that a batch holds sequences of
    about one length and little padding; then the batches are shuffled. The order depends on (seed, epoch) alone, as
    that of `Batches` does.

    Args:
        sequences: tensors of one type, all with the same shape but for their first dimension, the time.
        targets: a tensor with a row for each sequence.
        batch_size: sequences in a batch; the last may have fewer.
        shuffle: a new random order every epoch; otherwise sequences come as they stand.
        seed: what the orders depend on, a whole number from 0 up.
        padding: what stands behind the end of the shorter sequences.

    Attributes:
        samples: how many sequences one epoch gives.
        epoch: the epoch that the next pass will be, from 0.

    Shape:
        Sequences [Tᵢ, ...], targets [N, ...]. Each batch: [batch_size, max Tᵢ, ...], lengths [batch_size] of int64,
        targets [batch_size, ...].

    Raises:
        InputError: nothing to iterate over, not one target a sequence, a sequence of length 0, features or a target
            that are not finite (the message names the first), `batch_size` below 1, a negative seed.

    See: tests/data/test_ragged.py

    Example:
        >>> batches = RaggedBatches([torch.ones(2), torch.ones(3)], torch.tensor([0.0, 1.0]), batch_size=2)
        >>> list(batches)
        [(tensor([[1., 1., 0.],
                [1., 1., 1.]]), tensor([2, 3]), tensor([0., 1.]))]
    """

    def __init__(
        self,
        sequences: Sequence[Tensor],
        targets: Tensor,
        *,
        batch_size: int = 64,
        shuffle: bool = False,
        seed: int = 0,
        padding: float = 0,
    ) -> None:
        if batch_size < 1:
            raise InputError(f"batch size {batch_size}: a batch needs at least one sample; give a positive number.")
        if seed < 0:
            raise InputError(f"seed {seed}: give a whole number from 0 up.")
        _check(sequences, targets)
        self.sequences = list(sequences)
        self.targets = targets
        self.lengths = torch.tensor([len(sequence) for sequence in sequences])
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.padding = padding
        self.samples = len(self.sequences)
        self.epoch = 0

    def __len__(self) -> int:
        return -(-self.samples // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        epoch = self.epoch
        for rows in self._order(epoch):
            chosen = [self.sequences[row] for row in rows.tolist()]
            yield padded(chosen, self.padding), self.lengths[rows], self.targets[rows]
        self.epoch = epoch + 1

    def __repr__(self) -> str:
        return f"RaggedBatches({self.samples} sequences in {len(self)} batches of {self.batch_size})"

    def _order(self, epoch: int) -> list[Tensor]:
        """The rows of each batch of one epoch."""
        if not self.shuffle:
            return list(torch.arange(self.samples).split(self.batch_size))
        rows = torch.from_numpy(permutation(self.samples, self.seed, epoch))
        pools = (pool[self.lengths[pool].argsort(stable=True)] for pool in rows.split(POOL * self.batch_size))
        batches = [batch for pool in pools for batch in pool.split(self.batch_size)]
        return [batches[place] for place in permutation(len(batches), self.seed, epoch).tolist()]


def padded(sequences: Sequence[Tensor], padding: float = 0) -> Tensor:
    """Sequences side by side, the shorter ones filled up at their end.

    Args:
        sequences: [Tᵢ, ...] each.
        padding: what to fill up with.

    Returns:
        [N, max Tᵢ, ...]

    Example:
        >>> padded([torch.tensor([1]), torch.tensor([2, 3])])
        tensor([[1, 0],
                [2, 3]])
    """
    longest = max(len(sequence) for sequence in sequences)
    first = sequences[0]
    batch = first.new_full((len(sequences), longest, *first.shape[1:]), padding)
    for row, sequence in zip(batch, sequences, strict=True):
        row[: len(sequence)] = sequence
    return batch


def _check(sequences: Sequence[Tensor], targets: Tensor) -> None:
    """Look at everything once, so that no batch can surprise the training."""
    if not sequences:
        raise InputError("there are no sequences to make batches of; give at least one.")
    if targets.dim() == 0 or len(targets) != len(sequences):
        count = 1 if targets.dim() == 0 else len(targets)
        raise InputError(f"{len(sequences)} sequences and {count} targets do not belong together; give one for each.")
    for number, sequence in enumerate(sequences):
        if sequence.dim() == 0 or len(sequence) == 0:
            raise InputError(f"sequence {number} has length 0; give it at least one step, or leave it out.")
        if sequence.is_floating_point() and not sequence.isfinite().all():
            step = int((~sequence.isfinite()).reshape(len(sequence), -1).any(1).nonzero()[0])
            raise InputError(f"sequence {number}, step {step}: a feature is NaN or infinite; give finite numbers.")
    if targets.is_floating_point() and not targets.isfinite().all():
        place = int((~targets.isfinite()).reshape(len(targets), -1).any(1).nonzero()[0])
        raise InputError(f"target {place} is NaN or infinite; give finite numbers.")
