"""Layers on top of each other, in one direction or two, with dropout between and inside them."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from minimodels.functional.masking import dropout as drop
from minimodels.functional.recurrence.casting import check_dtypes
from minimodels.functional.recurrence.parts import Cell, Regularization, State, Steps, Weights
from minimodels.functional.recurrence.running import layer

LONG = 16
"""Steps from which on compiled code leaves recurrent layers as they are; see `stack`."""


def stack(
    cell: Cell,
    x: Tensor,
    sizes: tuple[int, ...],
    state: State,
    weights: Sequence[Weights],
    dropout: float = 0.0,
    training: bool = False,
    bidirectional: bool = False,
    regularization: Regularization | None = None,
) -> tuple[Tensor, State]:
    """Run layers on top of each other; the outputs of two directions stand side by side in the features.

    A compiler unrolls loops: a layer over 100 steps would become thousands of operations, which take it many minutes,
    and run no faster than the hand-derived sequence. So from `LONG` steps on `torch.compile` finds a break in its graph
    here, as it does at `torch.nn.LSTM`: what is around the layers is compiled, they are not, and `fullgraph=True` is an
    error. `torch.export`, which knows no breaks, gets the loop.

    Args:
        cell: the kind of cell.
        x: the packed input.
        sizes: how many sequences reach each step.
        state: the first states, layer by layer and, within a layer, direction by direction.
        weights: the parameters in the same order.
        dropout: probability of a zero in what one layer hands to the next.
        training: without it no dropout is at work.
        bidirectional: read each sequence from both ends.
        regularization: layer normalisation and recurrent dropouts; None for none.

    Shape:
        - x: [rows, I]; each state: [layers·directions, N, features]
        - Output: [rows, directions·H], and the last states in the shape of the first

    Raises:
        RuntimeError: there are no steps, or the states are of another dtype than the input.

    Cost: that of `layer`, for each layer and direction.

    See: `minimodels.nn.LSTM`, `minimodels.nn.GRU`, `minimodels.nn.RNN`; tests/functional/test_recurrence.py.

    Example:
        >>> from minimodels.functional.rnn import TANH
        >>> weights = [Weights(torch.eye(2), torch.zeros(2, 2))] * 3
        >>> y, (h,) = stack(TANH, torch.zeros(5, 2), (2, 2, 1), (torch.zeros(3, 2, 2),), weights)
        >>> y.shape, h.shape
        (torch.Size([5, 2]), torch.Size([3, 2, 2]))
    """
    if not sizes:
        raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
    if torch.compiler.is_compiling() and not torch.compiler.is_exporting() and len(sizes) >= LONG:
        apart: Callable[..., tuple[Tensor, State]] = torch.compiler.disable(
            stack, reason="a compiler would unroll the steps of a recurrent layer"
        )
        return apart(cell, x, sizes, state, weights, dropout, training, bidirectional, regularization)
    check_dtypes(x, state)
    directions = 2 if bidirectional else 1
    finals: list[State] = []
    for k in range(0, len(weights), directions):
        if k and training:
            x = drop(x, dropout)
        outputs = []
        for d in range(directions):
            first = tuple(part[k + d] for part in state)
            step = _regularized(cell, first, regularization, k + d, training)
            y, final = layer(cell, x, Steps(sizes, d == 1), first, weights[k + d], step)
            outputs.append(y)
            finals.append(final)
        x = outputs[0] if directions == 1 else torch.cat(outputs, -1)
    return x, tuple(map(torch.stack, zip(*finals, strict=True)))


def _regularized(
    cell: Cell, first: State, regularization: Regularization | None, k: int, training: bool
) -> Callable[[Tensor, State, Weights], State] | None:
    """Make the step of a regularised layer, its mask drawn; None where there is nothing to regularise."""
    if regularization is None:
        return None
    gains, recurrent, update = regularization
    mask = drop(torch.ones_like(first[0]), recurrent) if training and recurrent else None
    rate = update if training else 0.0

    def step(x: Tensor, state: State, weights: Weights) -> State:
        rows = None if mask is None else mask[: x.shape[0]]
        return cell.regularized(x, state, weights, gains[k] if gains else None, rows, rate)

    return step
