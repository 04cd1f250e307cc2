"""From what a user gives as data to lists of tensors on the device."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DistributedSampler

from minimodels.data import Batches
from minimodels.errors import InputError
from minimodels.training.devices import to_device
from minimodels.training.distributed import World

T = TypeVar("T")


def as_batches(data: Any, batch_size: int, *, shuffle: bool = False, seed: int = 0) -> Any:
    """Batches of a tensor or a tuple of tensors; anything else is taken to give batches itself, again and again.

    NumPy arrays do as well as tensors, see `as_tensor`.

    Args:
        data: inputs, (inputs, targets), or an iterable of batches.
        batch_size: of the batches made here.
        shuffle: whether these come in a new order every epoch.
        seed: of that order.

    Raises:
        InputError: an iterator, which is empty after one epoch; a dict, a nested tuple, or something that gives no
            batches at all.

    Example:
        >>> as_batches((torch.zeros(10, 2), torch.zeros(10)), batch_size=4)
        Batches(10 samples in 3 batches of 4)
    """
    parts = data if isinstance(data, tuple) else (data,)
    arrays = [part for part in parts if isinstance(part, Tensor | np.ndarray)]
    if len(arrays) == len(parts):
        return Batches(*map(as_tensor, arrays), batch_size=batch_size, shuffle=shuffle, seed=seed)
    if isinstance(data, Iterator):
        raise InputError("the data can be gone through only once: give a list, Batches or a DataLoader, no iterator.")
    iterable = hasattr(data, "__iter__") or hasattr(data, "__getitem__")
    if arrays or isinstance(data, Mapping) or not iterable:
        kinds = ", ".join(type(part).__name__ for part in parts)
        raise InputError(
            f"the data are of type {kinds}; give one flat tuple of tensors (inputs, targets), or a loader."
        )
    return data


def as_tensor(part: Any) -> Any:
    """A NumPy array as a tensor: floating-point numbers of PyTorch's default type, whole numbers of int64.

    NumPy makes float64 and PyTorch expects float32, so the types are chosen here rather than taken over.

    Args:
        part: an array; anything else is given back as it is.

    Raises:
        InputError: an array of something other than numbers.

    Example:
        >>> as_tensor(np.array([0.5])), as_tensor(np.array([3], dtype=np.uint8))
        (tensor([0.5000]), tensor([3]))
    """
    if not isinstance(part, np.ndarray):
        return part
    types: dict[str, type] = {"f": np.float64, "i": np.int64, "u": np.int64, "b": np.bool_}
    if part.dtype.kind not in types:
        raise InputError(f"an array of {part.dtype} cannot become a tensor; give one of numbers.")
    tensor = torch.from_numpy(np.require(part, types[part.dtype.kind], ["C", "W"]))  # PyTorch walks no array backwards
    return tensor.to(torch.get_default_dtype()) if tensor.is_floating_point() else tensor


class Share(NamedTuple):
    """What one process gets of a batch.

    Attributes:
        tensors: its rows of inputs and targets, on its device.
        count: terms of the loss in them.
        whole: terms of the loss in the batch of all processes.
        items: what the speed is counted in, of all processes.
    """

    tensors: list[Tensor]
    count: Any
    whole: Any
    items: int


def shares(
    data: Iterable[Any],
    device: torch.device,
    world: World,
    count: Callable[[Tensor], Any],
    size: Callable[[Tensor], int],
) -> Iterator[Share]:
    """Each batch as this process' share of it, on the device.

    All processes draw the same whole batch and each keeps its rows: the order of the data, what augments them and the
    place in them are then the same for any number of processes. Only a DataLoader with a
    `torch.utils.data.DistributedSampler` is taken to give every process rows of its own.

    A process whose rows have nothing that counts takes another row, with a count of 0: the mean of nothing is no
    number, and the others wait for its gradient.

    Args:
        data: tuples or lists of tensors or NumPy arrays.
        device: where they are needed.
        world: the processes.
        count: targets → terms of the loss.
        size: targets → items for the speed.

    Raises:
        InputError: no batch at all, one with too few tensors, or one that holds something else.
    """
    apart = isinstance(getattr(data, "sampler", None), DistributedSampler)
    for tensors in checked(data):
        targets = tensors[-1]
        if world.alone:
            counted = count(targets)
            yield Share(to_device(tensors, device), counted, counted, size(targets))
        elif apart:
            counted = count(targets)
            whole = world.sum(torch.as_tensor(counted, device=device))
            yield Share(to_device(tensors, device), counted, whole, size(targets) * world.size)
        else:
            mine, counted = _mine(tensors, world, count)
            yield Share(to_device(mine, device), counted, count(targets), size(targets))


def _mine(tensors: list[Tensor], world: World, count: Callable[[Tensor], Any]) -> tuple[list[Tensor], Any]:
    """The rows of this process, and how many terms of the loss are in them."""
    rows, targets = world.rows(len(tensors[-1])), tensors[-1]
    if rows.start < rows.stop and (counted := count(targets[rows])):
        return some_rows(tensors, rows), counted
    places = (slice(row, row + 1) for row in range(len(targets)) if count(targets[row : row + 1]))
    return some_rows(tensors, next(places, slice(1))), 0


def some_rows(tensors: list[Tensor], rows: slice = slice(1)) -> list[Tensor]:
    """Some rows of every tensor that has as many as the targets; what has not belongs to the batch as a whole.

    Args:
        tensors: of a batch, the targets at the end.
        rows: which ones; by default the first.
    """
    return [part[rows] if part.dim() and len(part) == len(tensors[-1]) else part for part in tensors]


def checked(batches: Iterable[Any], parts: int = 2) -> Iterator[list[Tensor]]:
    """Each batch as a list of tensors.

    Args:
        batches: tuples or lists of tensors or NumPy arrays, or single ones.
        parts: how many tensors a batch must have at least.

    Raises:
        InputError: no batch at all, one with too few tensors, or one that holds something else.

    Example:
        >>> [len(batch) for batch in checked([(torch.zeros(2), torch.ones(2))])]
        [2]
    """
    number = 0
    for number, batch in enumerate(batches, start=1):
        yield _tensors(batch, f"batch {number}", parts)
    if number == 0:
        raise InputError("the data gave no batch: they are empty, or a loader that drops a short last batch.")


def _tensors(batch: Any, name: str, parts: int) -> list[Tensor]:
    """What a batch holds, once it is found to be tensors, and enough of them."""
    tensors = [as_tensor(part) for part in (batch if isinstance(batch, tuple | list) else (batch,))]
    for part in tensors:
        if not isinstance(part, Tensor):
            found = f"{'is' if part is batch else 'holds'} a {type(part).__name__}"
            raise InputError(
                f"{name} {found}; "
                f"give a tuple of tensors (inputs, targets), for example through the loader's collate_fn."
            )
    if len(tensors) < parts:
        raise InputError(f"{name} is one tensor without targets; give (inputs, targets) as one tuple.")
    if tensors[-1].dim() == 0:
        raise InputError(f"{name} is a single sample; give batches of them, for example by a DataLoader of the data.")
    return tensors


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
