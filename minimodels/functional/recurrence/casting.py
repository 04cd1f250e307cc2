"""In which types a recurrent layer computes: what autocast makes of its operands, and that they agree without."""

import contextlib
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from minimodels.functional.precision import autocast_to_low_precision
from minimodels.functional.recurrence.parts import Cell, State, Weights


def check_dtypes(input: Tensor, others: Sequence[Tensor]) -> None:
    """Check that all numbers are of one type; under autocast they need not be.

    Args:
        input: the input.
        others: states and weights.

    Raises:
        RuntimeError: they differ.
    """
    if not _autocast(input):
        for other in others:
            if other.dtype != input.dtype:
                raise RuntimeError(f"expected all to have the same dtype, but got {input.dtype} and {other.dtype}")


def without_autocast(like: Tensor) -> contextlib.AbstractContextManager[Any]:
    """Keep autocast out of a block whose operands have been cast already.

    Args:
        like: a tensor on the device in question.
    """
    return torch.autocast(like.device.type, enabled=False) if _autocast(like) else contextlib.nullcontext()


def lowered(cell: Cell, x: Tensor, state: State, weights: Weights) -> tuple[Tensor, State, Weights]:
    """Cast as autocast does for this kind of cell.

    Args:
        cell: the kind of cell.
        x: the input.
        state: what it starts from.
        weights: the parameters.
    """
    if cell.lowers_state:
        state = tuple(autocast_to_low_precision(x, part) for part in state)
    weights = weights.mapped(lambda w: autocast_to_low_precision(x, w))
    return autocast_to_low_precision(x, x), state, weights


def cast_state(state: State, dtype: torch.dtype) -> State:
    """Cast each part of a state.

    Args:
        state: the state.
        dtype: of what type it shall be.
    """
    return tuple(part.to(dtype) for part in state)


def _autocast(like: Tensor) -> bool:
    device = like.device.type
    return torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
