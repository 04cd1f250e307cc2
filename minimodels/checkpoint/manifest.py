"""What a state's folder says of itself: its structure, its tensors, and in which files they are, all in one JSON file.

The file begins with a CRC-32 of everything that follows in it, so that a change of one bit is noticed.
"""

import json
import operator
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch

from minimodels import __version__
from minimodels.checkpoint.pieces import Box
from minimodels.checkpoint.tree import put_together
from minimodels.errors import InputError
from minimodels.files import replacing, standing

STATE = "state.json"
"""The file in a state's folder that says what the others hold."""

STATE_FORMAT = 1
"""Number of the layout below; a state with a higher one was written by a later minimodels."""


ANOTHER_COPY = "take another copy of it"
"""The remedy where nothing better is known."""


class StateError(InputError):
    """A folder does not hold a whole state.

    Args:
        folder: that one.
        problem: what is wrong with it.
        remedy: what to do.

    Example:
        >>> raise StateError(Path("runs/a"), "lacks state.json")
        Traceback (most recent call last):
        ...
        minimodels.checkpoint.manifest.StateError: runs/a: lacks state.json; take another copy of it.
    """

    def __init__(self, folder: Path, problem: str, remedy: str = ANOTHER_COPY) -> None:
        super().__init__(folder, problem, remedy)  # all of them, so that it can be sent to other processes
        self.folder = folder
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.folder}: {self.problem}; {self.remedy}."


@dataclass(frozen=True)
class Entry:
    """A tensor of a state.

    Args:
        dtype: of its numbers.
        shape: of the whole tensor.
        pieces: in which file each part of it is; together they are the whole.
    """

    dtype: torch.dtype
    shape: tuple[int, ...]
    pieces: tuple[tuple[str, Box], ...]

    @property
    def whole(self) -> bool:
        """Whether the pieces lie in the tensor, and are as many numbers as it has."""
        outer = Box((0,) * len(self.shape), self.shape)
        inside = all(len(box.sizes) == len(self.shape) and box.common(outer) == box for _, box in self.pieces)
        return inside and sum(box.count for _, box in self.pieces) == prod(self.shape)


@dataclass(frozen=True)
class Manifest:
    """All of a state except for the numbers in its tensors.

    Args:
        files: the checksum of each file of tensors.
        tensors: by name.
        tree: the structure, see `minimodels.checkpoint.tree`.
    """

    files: dict[str, int]
    tensors: dict[str, Entry]
    tree: Any

    def by_file(self) -> dict[str, dict[str, Box]]:
        """The pieces in each file, by the names of their tensors."""
        boxes: dict[str, dict[str, Box]] = {file: {} for file in self.files}
        for name, entry in self.tensors.items():
            for file, box in entry.pieces:
                boxes[file][name] = box
        return boxes


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write it, in one atomic step.

    Args:
        path: the file.
        manifest: what to write.
    """
    about = {
        "format": STATE_FORMAT,
        "minimodels": __version__,
        "files": manifest.files,
        "tensors": {
            name: {
                "dtype": str(entry.dtype).removeprefix("torch."),
                "shape": entry.shape,
                "pieces": [(file, box.offsets, box.sizes) for file, box in entry.pieces],
            }
            for name, entry in manifest.tensors.items()
        },
        "state": manifest.tree,
    }
    rest = json.dumps(about, separators=(",", ":"), allow_nan=False)[1:].encode()
    with replacing(path) as temporary:
        temporary.write_bytes(b'{"crc32":"%08x",' % zlib.crc32(rest) + rest)


def read_manifest(folder: Path) -> Manifest:
    """Read what a state's folder says of itself, and see that its files are there.

    Args:
        folder: of the state.

    Raises:
        StateError: it says nothing that `write_manifest` has written, or is of a later version, or a file is missing.
    """
    place = standing(folder)
    if not place.is_dir():
        raise StateError(folder, "there is no such folder", "give one such as checkpoints/step-00000100")
    if not (place / STATE).is_file():
        raise StateError(folder, f"lacks {STATE}, so it is no state of minimodels")
    found = re.fullmatch(rb'\{"crc32":"([0-9a-f]{8})",(.*)', (place / STATE).read_bytes(), re.DOTALL)
    if found is None or int(found[1], 16) != zlib.crc32(found[2]):
        raise StateError(folder, f"its {STATE} is damaged, or not one of minimodels")
    try:
        about = json.loads(b"{" + found[2])
        newer = about["format"] > STATE_FORMAT
        manifest = None if newer else _parsed(about)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
        raise StateError(folder, f"its {STATE} describes no state") from None
    if manifest is None:
        version = about.get("minimodels", "a later version")
        raise StateError(folder, f"was written by minimodels {version} in a newer format", "upgrade minimodels")
    _check_files(folder, place, manifest)
    return manifest


def _parsed(about: Any) -> Manifest:
    """The manifest in a JSON value; whatever is wrong with it is an error, of whatever kind."""
    files, tensors = about["files"], {}
    for name, value in about["tensors"].items():
        pieces = tuple((file, Box(_sizes(offsets), _sizes(sizes))) for file, offsets, sizes in value["pieces"])
        entry = Entry(vars(torch)[value["dtype"]], _sizes(value["shape"]), pieces)
        if not isinstance(entry.dtype, torch.dtype) or not entry.whole or any(file not in files for file, _ in pieces):
            raise ValueError(f"the tensor {name}")
        tensors[name] = entry
    for file, crc in files.items():
        if not re.fullmatch(r"\w[\w.-]*\.safetensors", file) or not isinstance(crc, int):
            raise ValueError(f"the file {file}")
    if not isinstance(put_together(about["state"], lambda place, name: tensors[name]), dict):
        raise ValueError("no dict")
    return Manifest(files, tensors, about["state"])


def _sizes(values: Iterable[Any]) -> tuple[int, ...]:
    """Whole numbers from 0 on."""
    numbers = tuple(map(operator.index, values))
    if any(number < 0 for number in numbers):
        raise ValueError("a size below 0")
    return numbers


def _check_files(folder: Path, place: Path, manifest: Manifest) -> None:
    """See that the files are there and large enough, before memory is taken for what should be in them."""
    for file in manifest.files:
        if not (place / file).is_file():
            raise StateError(folder, f"lacks {file}")
    needed = sum(prod(entry.shape) * entry.dtype.itemsize for entry in manifest.tensors.values())
    if needed > sum((place / file).stat().st_size for file in manifest.files):
        raise StateError(folder, "its files are too short for its tensors")
