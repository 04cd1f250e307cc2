"""Weights on disk: safetensors in, safetensors out; nothing in a file is ever executed, every mismatch is named."""

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from minimodels import __version__
from minimodels.checkpoint.tensors import distinct, fill, plain
from minimodels.errors import InputError
from minimodels.files import replacing

FORMAT = 1
"""Number of the layout below; a file with a higher one was written by a later minimodels."""

HEADER = "minimodels"
"""The one key under which our metadata stand in the safetensors header: JSON with sorted keys.

One key, because safetensors writes several in random order, and the same weights should give the same bytes."""

OURS = ("format", "minimodels", "model", "crc32")
"""The names among the metadata that say what is in the file; nobody else's may be called so."""


def save_model(path: str | os.PathLike[str], model: nn.Module, metadata: Mapping[str, Any] | None = None) -> None:
    """Write a model's parameters and buffers as one safetensors file, in one atomic step.

    A tensor that appears under several names (tied weights) is written once, under the first of them. A model that
    `torch.compile` gave is saved as the one inside it.
    The header also holds the class of the model, the version of minimodels and a CRC-32 over everything, so that a
    file damaged on the way is noticed when it is read.

    Args:
        path: the file; one that exists is replaced when the new one is complete, never before.
        model: what to save.
        metadata: anything else worth keeping that JSON can hold, such as settings; keys become text, as in JSON.

    Raises:
        InputError: the file could not be written, for example because the disk is full; metadata under a name that is
            ours; or a model with state that is no tensor.

    Cost: no copy of tensors that are contiguous, on the CPU, and share no memory with others.

    See: tests/checkpoint/test_weights.py

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "model.safetensors"
        >>> model = nn.ParameterDict({"weight": torch.arange(3.0)})
        >>> save_model(path, model, {"epochs": 5})
        >>> model["weight"].data.zero_()
        tensor([0., 0., 0.])
        >>> load_model(path, model)["epochs"], model["weight"].data
        (5, tensor([0., 1., 2.]))
    """
    path, model = Path(path), plain(model)
    tensors = distinct(model)
    about = json.loads(json.dumps(dict(metadata or {})))  # as it will be read, so that the checksum is over that
    for name in OURS:
        if name in about:
            raise InputError(f'metadata "{name}": minimodels keeps its own under this name; choose another name.')
    about |= {"format": FORMAT, "minimodels": __version__, "model": type(model).__name__}
    about["crc32"] = checksum(tensors, about)
    with replacing(path) as temporary:
        write_tensors(path, temporary, tensors, {HEADER: json.dumps(about, sort_keys=True)})


def write_tensors(path: Path, temporary: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    """Write tensors under a temporary name, and speak of the file that they are for if that fails.

    Args:
        path: the file.
        temporary: where it is written until it is complete, see `minimodels.files.replacing`.
        tensors: by name, each contiguous and in memory of its own.
        metadata: for the header.

    Raises:
        InputError: the disk is full, or the like.
    """
    try:
        save_file({**tensors}, temporary, metadata)
    except SafetensorError as error:
        raise InputError(f"{path}: cannot be written ({error}); free disk space or choose another folder.") from None


def load_model(path: str | os.PathLike[str], model: nn.Module) -> dict[str, Any]:
    """Read a safetensors file into a model whose names and shapes are exactly those of the file.

    Everything is checked before the first number is copied: a model that does not fit is left as it was.

    Args:
        path: a file written by `save_model`, or any safetensors file with this model's names.
        model: what to fill; its own dtypes and device are kept.

    Returns:
        The metadata that were saved with it.

    Raises:
        InputError: no such file, a damaged or foreign one, one from a later version, or one of another model;
            in the last case all missing, unknown and misshapen tensors are named. Or the model has state that is no
            tensor.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "model.safetensors"
        >>> save_model(path, nn.ParameterDict({"weight": torch.zeros(3)}))
        >>> load_model(path, nn.ParameterDict({"weight": torch.zeros(4)}))
        Traceback (most recent call last):
        ...
        minimodels.errors.InputError: ...weight [3] in the file but [4] in the model...
    """
    tensors, about = load_tensors(path)
    source = about.get("model", "a model")
    fill(model, tensors, f"{path} holds {source}", "build the model with the settings it was saved with")
    return about


def load_tensors(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read all tensors of a safetensors file, and our metadata if it has any.

    Args:
        path: the file.

    Returns:
        (tensors by name, metadata); metadata are empty for a file that another library wrote.

    Raises:
        InputError: no such file, not safetensors, damaged, or from a later version of minimodels.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: there is no such file; give the model.safetensors of a run folder.")
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(HEADER)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise InputError(
            f"{path}: not a whole safetensors file ({error}); it is damaged or of another format, take another copy."
        ) from None
    return tensors, _verified(path, tensors, text)


def _verified(path: Path, tensors: dict[str, Tensor], text: str | None) -> dict[str, Any]:
    """The metadata in `text`, once format and checksum are found right."""
    if text is None:
        return {}
    try:
        about = json.loads(text)
        form, expected = int(about["format"]), about.pop("crc32")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise InputError(f"{path}: its header is damaged; take another copy of the file.") from None
    if form > FORMAT:
        version = about.get("minimodels", "a later version")
        raise InputError(f"{path}: written by minimodels {version} in a newer format; upgrade minimodels to read it.")
    if checksum(tensors, about) != expected:
        raise InputError(f"{path}: its checksum is wrong, so the file is damaged; take another copy of it.")
    return {**about}


def checksum(tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> int:
    """CRC-32 over the metadata and over name, dtype, shape and bytes of every tensor.

    Args:
        tensors: by name, each contiguous and on the CPU.
        about: the metadata.

    Cost: reads every byte once, and copies none.

    Example:
        >>> checksum({"weight": torch.zeros(3)}, {}) == checksum({"weight": torch.zeros(1, 3)}, {})
        False
    """
    total = zlib.crc32(json.dumps(about, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        total = zlib.crc32(f"{name} {tensor.dtype} {list(tensor.shape)}".encode(), total)
        total = zlib.crc32(_bytes(tensor), total)
    return total


def _bytes(tensor: Tensor) -> memoryview:
    """The memory of a contiguous tensor; one with a single number is contiguous whatever its strides are."""
    return tensor.unsqueeze(-1).view(torch.uint8).reshape(-1).numpy().data
