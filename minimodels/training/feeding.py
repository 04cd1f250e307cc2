"""From what a user gives as data to lists of tensors on the device."""

import itertools
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor

from minimodels.data import Batches
from minimodels.errors import InputError
from minimodels.training.devices import to_device

T = TypeVar("T")


def as_batches(data: Any, batch_size: int, *, shuffle: bool = False, seed: int = 0) -> Any:
    """Batches of a tensor or a tuple of tensors; anything else is taken to give batches itself, again and again.

    Args:
        data: inputs, (inputs, targets), or an iterable of batches.
        batch_size: of the batches made here.
        shuffle: whether these come in a new order every epoch.
        seed: of that order.

    Raises:
        InputError: an iterator, which is empty after one epoch.

    Example:
        >>> as_batches((torch.zeros(10, 2), torch.zeros(10)), batch_size=4)
        Batches(10 samples in 3 batches of 4)
    """
    parts = (data,) if isinstance(data, Tensor) else data
    if isinstance(parts, tuple) and all(isinstance(part, Tensor) for part in parts):
        return Batches(*parts, batch_size=batch_size, shuffle=shuffle, seed=seed)
    if isinstance(data, Iterator):
        raise InputError("the data can be gone through only once: give a list, Batches or a DataLoader, no iterator.")
    return data


def on_device(batches: Iterable[Any], device: torch.device, parts: int = 2) -> Iterator[list[Tensor]]:
    """Each batch as a list of tensors on the device.

    Args:
        batches: tuples or lists of tensors, or single tensors.
        device: where they are needed.
        parts: how many tensors a batch must have at least.

    Raises:
        InputError: no batch at all, or one with too few tensors.

    Example:
        >>> [len(batch) for batch in on_device([(torch.zeros(2), torch.ones(2))], torch.device("cpu"))]
        [2]
    """
    number = 0
    for number, batch in enumerate(batches, start=1):
        tensors = (batch,) if isinstance(batch, Tensor) else batch
        if not isinstance(tensors, tuple | list) or len(tensors) < parts:
            raise InputError(f"batch {number} is a {type(batch).__name__} without targets: give (inputs, targets).")
        yield to_device(tensors, device)
    if number == 0:
        raise InputError("the data gave no batch: they are empty, or a loader that drops a short last batch.")


def grouped(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """The items in lists of `size`; the last list may be shorter.

    Args:
        items: anything to go through.
        size: of a list.

    Example:
        >>> list(grouped("abcde", 2))
        [['a', 'b'], ['c', 'd'], ['e']]
    """
    iterator = iter(items)
    while group := list(itertools.islice(iterator, size)):
        yield group
