"""Mini-batches of tensors that are in memory already."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from minimodels.data.order import Epochs, permutation, stream
from minimodels.errors import InputError


class Batches(Epochs):
    """Cut tensors that belong together, row by row, into mini-batches; every pass over them is an epoch.

    The order of an epoch depends on (seed, epoch) alone: not on the global random state, which is left
    untouched, nor on what was iterated before. A run that is resumed calls `set_epoch` and goes on as if it had
    never stopped. An epoch counts once it has been walked to its end; one that was broken off is repeated.

    Args:
        *tensors: one or more tensors with the same first dimension.
        batch_size: rows in a batch; the last batch may be shorter.
        shuffle: a new random order every epoch; otherwise the rows come as they stand.
        seed: what the orders depend on, a whole number from 0 up.
        drop_last: leave out a last batch that is shorter than `batch_size`.
        augment: a change of the first tensor of every batch, such as `RandomShift(1)`: called with it and a source of
            random bits that depends on (seed, epoch) as the order does.

    Attributes:
        samples: how many rows one epoch gives.
        epoch: the epoch that the next pass will be, from 0.

    Shape:
        Input: any number of tensors [N, ...]. Each batch: a tuple of as many tensors [batch_size, ...], contiguous
        copies on the device of their source.

    Raises:
        InputError: nothing to iterate over, first dimensions that differ, `batch_size` below 1, a negative seed.

    See: tests/data/test_batches.py

    Example:
        >>> batches = Batches(torch.arange(5), batch_size=2)
        >>> [batch.tolist() for (batch,) in batches]
        [[0, 1], [2, 3], [4]]
        >>> len(batches), batches.samples
        (3, 5)
    """

    def __init__(
        self,
        *tensors: Tensor,
        batch_size: int = 64,
        shuffle: bool = False,
        seed: int = 0,
        drop_last: bool = False,
        augment: Callable[[Tensor, np.random.PCG64], Tensor] | None = None,
    ) -> None:
        rows = _common_rows(tensors)
        if batch_size < 1:
            raise InputError(f"batch size {batch_size}: a batch needs at least one sample; give a positive number.")
        if seed < 0:
            raise InputError(f"seed {seed}: give a whole number from 0 up.")
        if drop_last and rows < batch_size:
            raise InputError(
                f"batch size {batch_size} with drop_last leaves nothing of {rows} samples; make it smaller."
            )
        self.tensors = tensors
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.augment = augment
        self.samples = rows - rows % batch_size if drop_last else rows
        self.epoch = 0

    def __len__(self) -> int:
        return -(-self.samples // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        epoch, bits = self.epoch, stream(self.seed, self.epoch, 1)
        order = self._order(epoch)
        places = {tensor.device: order.to(tensor.device) for tensor in self.tensors}
        for start in range(0, self.samples, self.batch_size):
            rows = slice(start, min(start + self.batch_size, self.samples))
            first, *others = (tensor.index_select(0, places[tensor.device][rows]) for tensor in self.tensors)
            yield (first if self.augment is None else self.augment(first, bits), *others)
        self.epoch = epoch + 1

    def __repr__(self) -> str:
        return f"Batches({self.samples} samples in {len(self)} batches of {self.batch_size})"

    def _order(self, epoch: int) -> Tensor:
        """The row numbers of one epoch, in the order in which they are given out."""
        rows = len(self.tensors[0])
        return torch.from_numpy(permutation(rows, self.seed, epoch)) if self.shuffle else torch.arange(rows)


def _common_rows(tensors: tuple[Tensor, ...]) -> int:
    """The first dimension that all the tensors share."""
    if not tensors or any(tensor.dim() == 0 for tensor in tensors):
        raise InputError("Batches needs at least one tensor, and each with a dimension to go along; give [N, ...].")
    sizes = [len(tensor) for tensor in tensors]
    if len(set(sizes)) > 1:
        raise InputError(f"tensors of {sizes} samples do not belong together; give the same number of each.")
    if sizes[0] == 0:
        raise InputError("there are no samples to make batches of; give at least one.")
    return sizes[0]
