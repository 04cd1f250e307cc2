"""One training state on disk: a tree of numbers, texts and tensors that comes back as it was, to the last bit.

A state is a folder: the tensors in safetensors files, all else in state.json. Nothing in them is code.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from minimodels.checkpoint.manifest import STATE, Entry, Manifest, StateError, read_manifest, write_manifest
from minimodels.checkpoint.pieces import Box, Written, here, raw, write_pieces
from minimodels.checkpoint.processes import agreed, gathered, shared
from minimodels.checkpoint.tree import Place, put_together, take_apart
from minimodels.checkpoint.weights import checksum, load_tensors
from minimodels.errors import InputError
from minimodels.files import replacing_folder, standing

Like = Callable[[Place, torch.Size, torch.dtype], Tensor | None]
"""(place in the tree, shape, dtype) → the tensor to be filled, perhaps a DTensor; None for an ordinary one."""


def write_state(folder: str | os.PathLike[str], state: Mapping[str, Any]) -> None:
    """Write a training state as a folder, so that at every moment a whole one is there.

    The new folder is complete and on the disk before it takes the place of the old one. If anything fails, the old one
    is still there and nothing of the new one. A CRC-32 over everything notices a change of one bit.
    In a process group all processes call this together with the same tree: each writes its parts of the DTensors, and
    the first one everything else. A failure of one is raised in all of them. The folder must be on a disk that all see.

    Args:
        folder: where to write; one that exists is replaced.
        state: nested dicts (with str or int keys), lists and tuples of None, bool, int, float, str and tensors of any
            dtype and shape. Mappings come back as dicts; parameters as tensors; a tensor that is not contiguous as one
            that is; tensors that share memory as separate ones.

    Raises:
        InputError: the tree holds something else, or the files cannot be written.
        OSError: the disk is full, or the like; the error names the folder.

    Cost: tensors are copied off the device once, into at most 1 GiB at a time (or as much as the largest one has).
        A tensor that the tree has under several names is written once. One CRC-32 of all bytes.

    See: tests/checkpoint/test_state.py

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp()) / "state"
        >>> write_state(folder, {"step": 7, "rates": (0.1, float("inf")), "moments": {0: torch.ones(2)}})
        >>> read_state(folder)
        {'step': 7, 'rates': (0.1, inf), 'moments': {0: tensor([1., 1.])}}
    """
    folder = Path(folder)
    tree, tensors = agreed(lambda: take_apart(state))

    def pieces() -> Written:
        try:
            return write_pieces(temporary, folder, tensors)
        except OSError as error:
            error.filename = str(folder)  # nobody knows the temporary one
            raise

    with ExitStack() as stack:
        temporary = shared(lambda: stack.enter_context(replacing_folder(folder)))
        written = gathered(pieces)
        shared(lambda: write_manifest(temporary / STATE, _manifest(folder, temporary, tree, tensors, written)))
        shared(stack.close)  # here the new folder takes its place


def read_state(folder: str | os.PathLike[str], like: Like | None = None) -> dict[str, Any]:
    """Read a training state: the very tree that was written.

    It does not matter how many processes wrote it. In a process group all of them call this together, and a failure of
    one is raised in all.

    Args:
        folder: that `write_state` wrote.
        like: (place in the tree, shape, dtype) → the tensor that is filled, such as an empty DTensor, of which each
            process reads its part. Where it gives None, and without it, tensors are ordinary ones on the CPU.

    Raises:
        InputError: no such folder, not a state, damaged anywhere, or from a later version of minimodels; or `like`
            gave a tensor of another shape or dtype.

    Cost: the memory of the tensors. Each process reads and checks the files that hold parts of what it wants.

    Example:
        >>> read_state("runs/no-such-run")
        Traceback (most recent call last):
        ...
        minimodels.checkpoint.manifest.StateError: runs/no-such-run: there is no such folder; give one such as
        checkpoints/step-00000100.
    """
    return agreed(lambda: _read(Path(folder), like))


def check_state(folder: str | os.PathLike[str]) -> None:
    """See that a folder holds a whole state, in this process alone.

    Args:
        folder: that `write_state` wrote.

    Raises:
        InputError: as for `read_state`.

    Cost: reads every byte.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    for file, boxes in manifest.by_file().items():
        _pieces(folder, manifest, file, boxes)


def _manifest(
    folder: Path, temporary: Path, tree: Any, tensors: Mapping[str, Tensor], written: list[Written]
) -> Manifest:
    """What all processes have written together, once it is found to be everything."""
    files: dict[str, int] = {}
    pieces: dict[str, list[tuple[str, Box]]] = {name: [] for name in tensors}
    for part in written:
        for file, (crc, boxes) in part.items():
            if not (temporary / file).is_file():
                raise InputError(
                    f"{folder}: the processes see different disks; choose a folder that all of them share."
                )
            files[file] = crc
            for name, box in boxes.items():
                pieces.setdefault(name, []).append((file, box))
    entries = {name: Entry(tensor.dtype, tuple(tensor.shape), tuple(pieces[name])) for name, tensor in tensors.items()}
    if entries.keys() != pieces.keys() or not all(entry.whole for entry in entries.values()):
        raise InputError(f"{folder}: the processes gave different states; give the same tree in all of them.")
    return Manifest(files, entries, tree)


def _read(folder: Path, like: Like | None) -> dict[str, Any]:
    manifest = read_manifest(folder)
    blanks: dict[str, list[tuple[Tensor, Box]]] = {name: [] for name in manifest.tensors}

    def blank(place: Place, name: str) -> Tensor:
        entry = manifest.tensors[name]
        tensor = None if like is None else like(place, torch.Size(entry.shape), entry.dtype)
        if tensor is None:
            tensor = torch.empty(entry.shape, dtype=entry.dtype)
        elif tensor.shape != entry.shape or tensor.dtype != entry.dtype:
            found, wanted = (f"{kind.dtype} {[*kind.shape]}" for kind in (entry, tensor))
            raise InputError(f"{folder}: {name} is {found}, not {wanted}; build the model it was written with.")
        blanks[name].append(here(name, tensor))
        return tensor

    tree: dict[str, Any] = put_together(manifest.tree, blank)
    for file, boxes in manifest.by_file().items():
        fills = [(name, box, *blank) for name, box in boxes.items() for blank in blanks[name]]
        fills = [(name, box, local, own) for name, box, local, own in fills if box.common(own).count]
        if fills:
            pieces = _pieces(folder, manifest, file, boxes)
            for name, box, local, own in fills:
                common = box.common(own)
                raw(local)[common.within(own)].copy_(pieces[name][common.within(box)])
    return tree


def _pieces(folder: Path, manifest: Manifest, file: str, boxes: Mapping[str, Box]) -> dict[str, Tensor]:
    """The pieces in a file, mapped into memory, once they are found to be what was written."""
    pieces: dict[str, Tensor] | None = None
    with suppress(InputError):  # it speaks of a model's file
        pieces, _ = load_tensors(standing(folder) / file)
    if pieces is None or checksum(pieces, {}) != manifest.files[file]:
        raise StateError(folder, f"its {file} is damaged")
    for name, box in boxes.items():
        expected = raw(torch.empty(box.sizes, dtype=manifest.tensors[name].dtype, device="meta"))
        found = pieces.get(name)
        if found is None or (found.shape, found.dtype) != (expected.shape, expected.dtype):
            raise StateError(folder, f"its {file} holds other tensors than its {STATE} says")
    return pieces
