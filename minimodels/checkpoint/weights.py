"""Weights on disk: safetensors in, safetensors out; nothing in a file is ever executed, every mismatch is named."""

import json
import os
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from minimodels import __version__
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


def fill(model: nn.Module, tensors: Mapping[str, Tensor], source: str, remedy: str, assign: bool = False) -> None:
    """Give a model the tensors of a file, once all of them are found to fit.

    Of a tensor that the model has under several names (tied weights) one is enough.

    Args:
        model: what to fill.
        tensors: by name.
        source: where they come from, for the error: "FILE holds MODEL".
        remedy: what to do where they do not fit.
        assign: let the model take the tensors themselves, with their dtype; otherwise it takes their numbers. Weights
            that were tied are then to be tied anew.

    Raises:
        InputError: tensors are missing, unknown, misshapen, or differ though they are tied; all of them are named.
    """
    model = plain(model)
    wanted = _state(model)
    tensors, unequal = _with_twins(tensors, wanted)
    problems = _mismatches({n: t.shape for n, t in tensors.items()}, {n: t.shape for n, t in wanted.items()})
    if unequal:
        problems.append(f"different in the file but one in the model: {_listing(unequal)}")
    if problems:
        raise InputError(f"{source}, which does not fit this {type(model).__name__}: {'; '.join(problems)}; {remedy}.")
    model.load_state_dict(tensors, assign=assign)


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


def plain(model: nn.Module) -> nn.Module:
    """Take a model out of the wrapper that `torch.compile` puts round it.

    Args:
        model: any model.
    """
    inner = getattr(model, "_orig_mod", model)
    return inner if isinstance(inner, nn.Module) else model


def _state(model: nn.Module) -> dict[str, Tensor]:
    """The parameters and buffers of a model by name, the very objects."""
    state: dict[str, Any] = model.state_dict(keep_vars=True)
    for name, value in state.items():
        if not isinstance(value, Tensor):
            kind = type(value).__name__
            raise InputError(
                f"{name} is a {kind}, not a tensor, which safetensors cannot hold; keep it in the metadata."
            )
    return state


def distinct(model: nn.Module) -> dict[str, Tensor]:
    """Give what is written of a model: every tensor once, under its first name, contiguous, in memory of its own.

    Args:
        model: whose parameters and buffers.

    Raises:
        InputError: the model has state that is no tensor.
    """
    names: dict[int, str] = {}
    return apart(item for item in _state(model).items() if names.setdefault(id(item[1]), item[0]) == item[0])


def apart(tensors: Iterable[tuple[str, Tensor]]) -> dict[str, Tensor]:
    """The tensors as safetensors writes them: on the CPU, contiguous, each in memory of its own.

    Args:
        tensors: with their names.

    Cost: copies those that are not so already, and no other.

    Example:
        >>> row = torch.arange(6.0).reshape(2, 3)
        >>> {name: tensor.stride() for name, tensor in apart([("row", row), ("column", row.t())]).items()}
        {'row': (3, 1), 'column': (2, 1)}
    """
    memory: set[int] = set()
    separate = {}
    for name, tensor in tensors:
        tensor = tensor.detach().cpu().contiguous()
        place = tensor.untyped_storage().data_ptr()
        separate[name] = tensor.clone() if place in memory else tensor
        memory.add(place)
    return separate


def _with_twins(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors under all names that the model has for them, and the pairs that are one in the model alone."""
    names: dict[int, list[str]] = {}
    for name, tensor in wanted.items():
        names.setdefault(id(tensor), []).append(name)
    complete, unequal = {**tensors}, []
    for twins in names.values():
        first, *others = [name for name in twins if name in tensors] or [""]
        complete |= {name: tensors[first] for name in twins if first and name not in tensors}
        unequal += [f"{first} and {name}" for name in others if not _equal(tensors[first], tensors[name])]
    return complete, unequal


def _equal(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and torch.equal(a, b)


def _mismatches(found: Mapping[str, torch.Size], wanted: Mapping[str, torch.Size]) -> list[str]:
    """What keeps the tensors of a file from fitting a model, in words; empty when they fit."""
    shared = [name for name in wanted if name in found]
    kinds = {
        "missing in the file": [f"{name} {[*size]}" for name, size in wanted.items() if name not in found],
        "unknown to the model": [f"{name} {[*size]}" for name, size in sorted(found.items()) if name not in wanted],
        "of another shape": [
            f"{name} {[*found[name]]} in the file but {[*wanted[name]]} in the model"
            for name in shared
            if found[name] != wanted[name]
        ],
    }
    return [f"{kind}: {_listing(entries)}" for kind, entries in kinds.items() if entries]


def _listing(entries: list[str], most: int = 8) -> str:
    """The entries with commas; a long list is cut, and its end counted."""
    rest = len(entries) - most
    return ", ".join(entries[:most]) + (f" and {rest} more" if rest > 0 else "")
