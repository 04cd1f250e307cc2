"""The tensors of a model by name: those that are written of it, and those that may be put into it."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from minimodels.errors import InputError


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

    See: tests/checkpoint/test_weights.py
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
