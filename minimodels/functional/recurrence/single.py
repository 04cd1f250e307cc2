"""A single step, as the cells take it."""

import torch
from torch import Tensor

from minimodels.functional.precision import accumulator
from minimodels.functional.recurrence.casting import cast_state, check_dtypes, lowered, without_autocast
from minimodels.functional.recurrence.parts import Cell, State, Weights


def one_step(cell: Cell, input: Tensor, state: State, weights: Weights, name: str) -> State:
    """Take a single step, as the cells do: the definition's, in float32 for numbers of 16 bits.

    Args:
        cell: the kind of cell.
        input: [N, I].
        state: what the step starts from.
        weights: the parameters.
        name: the function that asks, for its errors.

    Raises:
        RuntimeError: sizes, numbers of rows or dtypes do not fit.
    """
    check_step(input, state, weights, name)
    input, state, weights = lowered(cell, input, state, weights)
    kind = torch.promote_types(input.dtype, state[0].dtype)
    wide = accumulator(kind)
    with without_autocast(input):
        weights = weights.mapped(lambda w: w.to(wide))
        state = cell.step(input.to(wide), cast_state(state, wide), weights)
    return cast_state(state, kind)


def check_step(input: Tensor, state: State, weights: Weights, name: str) -> None:
    """Check what goes into one step of a cell, in the words that PyTorch's users know.

    Args:
        input: [N, I].
        state: what the step starts from.
        weights: the parameters.
        name: the function that asks.

    Raises:
        RuntimeError: sizes, numbers of rows or dtypes do not fit.
    """
    if input.shape[1] != weights.w_ih.shape[1]:
        raise RuntimeError(f"input has inconsistent input_size: got {input.shape[1]} expected {weights.w_ih.shape[1]}")
    for i, part in enumerate(state):
        if part.ndim != 2:
            raise RuntimeError(f"{name}: hidden{i} must have 2 dimensions, got {part.ndim}")
        if part.shape[0] != input.shape[0]:
            raise RuntimeError(f"Input batch size {input.shape[0]} doesn't match hidden{i} batch size {part.shape[0]}")
        if part.shape[1] != weights.w_hh.shape[1]:
            raise RuntimeError(
                f"hidden{i} has inconsistent hidden_size: got {part.shape[1]}, expected {weights.w_hh.shape[1]}"
            )
    check_dtypes(input, (*state, weights.w_ih))
