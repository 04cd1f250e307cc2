"""Tensors as pieces in files: one process has all of an ordinary tensor, and its part of a sharded one (a DTensor).

A piece is a box in the whole tensor. Which box it was does not depend on how many processes read it again, or how
they share the tensor out: each takes what its own box has in common with the pieces.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from minimodels.checkpoint.processes import rank
from minimodels.checkpoint.tensors import apart
from minimodels.checkpoint.weights import checksum, write_tensors
from minimodels.errors import InputError
from minimodels.files import replacing

LARGEST = 1 << 30
"""Bytes after which a file is full. A tensor is never divided between files, so one may be larger."""

NATIVE = frozenset(
    {
        *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.bool),
        *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8),
    }
)
"""What every version of safetensors can name; the numbers of other types are written as bytes."""


@dataclass(frozen=True)
class Box:
    """A part of a tensor: where it begins, and how large it is.

    Args:
        offsets: the first index of each dimension.
        sizes: how many there are from there on.

    Example:
        >>> Box((2, 0), (3, 4)).common(Box((4, 1), (9, 2)))
        Box(offsets=(4, 1), sizes=(1, 2))
    """

    offsets: tuple[int, ...]
    sizes: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many numbers there are in it."""
        return prod(self.sizes)

    def common(self, other: "Box") -> "Box":
        """What two boxes of one tensor have in common; where that is nothing, `count` is 0.

        Args:
            other: the other box.
        """
        first = tuple(map(max, self.offsets, other.offsets))
        ends = (map(sum, zip(box.offsets, box.sizes, strict=True)) for box in (self, other))
        last = map(min, *ends)
        return Box(first, tuple(max(0, end - begin) for begin, end in zip(first, last, strict=True)))

    def within(self, outer: "Box") -> tuple[slice, ...]:
        """The indices of this box in a tensor that begins where `outer` does.

        Args:
            outer: a box that holds this one.

        Example:
            >>> Box((4,), (1,)).within(Box((2,), (3,)))
            (slice(2, 3, None),)
        """
        begins = (own - base for own, base in zip(self.offsets, outer.offsets, strict=True))
        return tuple(slice(begin, begin + size) for begin, size in zip(begins, self.sizes, strict=True))


Written = dict[str, tuple[int, dict[str, Box]]]
"""What a process has written: file → (its checksum, the pieces in it by name)."""


def is_sharded(tensor: Tensor) -> bool:
    """Whether a tensor is a DTensor, of which each process has a part.

    Args:
        tensor: any tensor.

    Example:
        >>> is_sharded(torch.zeros(2))
        False
    """
    return hasattr(tensor, "device_mesh")


def here(name: str, tensor: Tensor) -> tuple[Tensor, Box]:
    """The part of a tensor that this process has, and which one that is.

    Args:
        name: of the tensor, for messages.
        tensor: ordinary, or a DTensor whose dimensions are divided between processes, or the same in all.

    Raises:
        InputError: a DTensor that waits for a sum, or whose rows are dealt out in turns.

    Example:
        >>> here("bias", torch.zeros(2))
        (tensor([0., 0.]), Box(offsets=(0,), sizes=(2,)))
    """
    tensor = tensor.detach()
    if not is_sharded(tensor):
        return tensor, Box((0,) * tensor.dim(), tuple(tensor.shape))
    sharded: Any = tensor
    if not all(type(placement).__name__ in ("Shard", "Replicate") for placement in sharded.placements):
        found = f"{name} is a DTensor placed as {sharded.placements}"
        raise InputError(f"{found}, which a state cannot hold; use Shard and Replicate.")
    if sharded.device_mesh.get_coordinate() is None:
        return sharded.to_local(), Box((0,) * tensor.dim(), (0,) * tensor.dim())
    (chunk,) = sharded.__create_chunk_list__()  # the protocol of torch.distributed.checkpoint
    return sharded.to_local(), Box(tuple(chunk.offsets), tuple(chunk.sizes))


def raw(tensor: Tensor) -> Tensor:
    """The numbers of a tensor as they are written: themselves, or their bytes in one dimension more.

    Args:
        tensor: of any dtype.

    Example:
        >>> raw(torch.zeros(2, dtype=torch.bfloat16)).dtype, raw(torch.zeros(2, dtype=torch.complex128)).shape
        (torch.bfloat16, torch.Size([2, 16]))
    """
    tensor = tensor.resolve_conj().resolve_neg()
    return tensor if tensor.dtype in NATIVE else tensor.unsqueeze(-1).view(torch.uint8)


def write_pieces(temporary: Path, folder: Path, tensors: Mapping[str, Tensor]) -> Written:
    """Write this process's pieces of the tensors: those that no process before it has.

    Args:
        temporary: the folder to write into.
        folder: what it will be called, for messages.
        tensors: by name.

    Raises:
        InputError: the disk is full, or the like; or a DTensor that cannot be written.

    Cost: one copy, off the device, of what goes into one file.
    """
    written: Written = {}
    for number, batch in enumerate(_batches(_own(tensors)), start=1):
        file = f"tensors-{rank():05d}-{number:05d}.safetensors"
        crc = _write_file(temporary / file, folder / file, batch)
        written[file] = (crc, {name: box for name, _, box in batch})
    return written


def _write_file(path: Path, shown: Path, batch: Iterable[tuple[str, Tensor, Box]]) -> int:
    """Write one file, and give its checksum; the copies off the device are gone at the end."""
    pieces = apart((name, raw(piece)) for name, piece, _ in batch)
    with replacing(path) as temporary:
        write_tensors(shown, temporary, pieces, {})
    return checksum(pieces, {})


def _own(tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor, Box]]:
    """Name, piece and box of what this process is to write."""
    for name, tensor in tensors.items():
        piece, box = here(name, tensor)
        if box.count and _is_first(tensor):
            yield name, piece, box


def _is_first(tensor: Tensor) -> bool:
    """Whether no process of a lower rank has this piece too."""
    if not is_sharded(tensor):
        return rank() == 0
    sharded: Any = tensor
    place = sharded.device_mesh.get_coordinate()
    return place is not None and not any(
        at for at, placement in zip(place, sharded.placements, strict=True) if placement.is_replicate()
    )


def _batches(pieces: Iterable[tuple[str, Tensor, Box]]) -> Iterator[list[tuple[str, Tensor, Box]]]:
    """The pieces in lists, one for each file."""
    batch: list[tuple[str, Tensor, Box]] = []
    size = 0
    for entry in pieces:
        if batch and size + entry[1].nbytes > LARGEST:
            yield batch
            batch, size = [], 0
        batch.append(entry)
        size += entry[1].nbytes
    if batch:
        yield batch
