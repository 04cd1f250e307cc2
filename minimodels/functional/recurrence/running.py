"""One layer in one direction: the definition's loop, and the choice between it and the fast sequence."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from minimodels.functional import placement
from minimodels.functional.precision import accumulator
from minimodels.functional.recurrence.casting import cast_state, lowered, without_autocast
from minimodels.functional.recurrence.parts import Cell, State, Steps, Weights
from minimodels.functional.transforms import steps_aside
from minimodels.tap import listened

SHORT = 4
"""Steps below which the definition serves: there is too little to do together.

Milliseconds of the definition and of the fast sequence, 64 sequences, 128 wide, on two threads of an Intel Xeon: LSTM
of 1 step 0.41 and 0.75, with backward 1.08 and 1.99; of 4 steps 1.40 and 1.37, with backward 3.95 and 3.71.
"""


def layer(
    cell: Cell,
    x: Tensor,
    steps: Steps,
    state: State,
    weights: Weights,
    step: Callable[[Tensor, State, Weights], State] | None = None,
    short: int | None = None,
) -> tuple[Tensor, State]:
    """Run one layer in one direction, by the fast sequence where that is defined and otherwise by the definition.

    The definition serves transforms, compilers and listeners, complex numbers, projections, a few steps, and a step of
    the caller's own. Numbers of 16 bits are computed with in float32, and rounded once at the end; but of bfloat16 the
    fast sequence of a cell that is `narrow` multiplies what it is given, as processors with units for bfloat16 do
    several times faster, and rounds each product as it rounds h. The state, the gates and all sums over steps stay in
    float32.

    Args:
        cell: the kind of cell.
        x: the packed input.
        steps: the steps and their direction.
        state: the first state of each sequence.
        weights: the parameters.
        step: taken in place of the cell's own.
        short: in place of `SHORT`.

    Shape:
        - x: [rows, I]; each state: [N, features]
        - Output: [rows, H], and the last state of each sequence

    Cost: rows·G·H·(I + H) multiply-adds forward, twice that backward, G being 4, 3 and 1 for LSTM, GRU and RNN. Kept
        for the backward pass: rows·H numbers, 6 (LSTM), 5 (GRU) or 1 (RNN) times; without one, the output alone.

    See: `stack`; lstm/sequence.py, gru/sequence.py, rnn.py; tests/functional/test_recurrence.py.
    """
    x, state, weights = lowered(cell, x, state, weights)
    kind = torch.promote_types(x.dtype, state[0].dtype)
    wide = accumulator(kind)
    long = len(steps.sizes) >= (SHORT if short is None else short)
    fast = long and step is None and weights.w_hr is None and _fast(x, *state)
    factors = kind if fast and kind is torch.bfloat16 and cell.narrow else wide
    x, state, weights = x.to(factors), cast_state(state, wide), weights.mapped(lambda w: w.to(factors))
    steps = steps._replace(launched=placement.launches(x))
    with without_autocast(x):
        if not fast:
            y, state = unroll(step or cell.step, x, steps, state, weights)
        elif torch.is_grad_enabled():
            y, *rest = _Sequence.apply(cell, steps, len(state), x, *state, *weights)  # type: ignore[no-untyped-call]
            state = tuple(rest)
        else:
            y, state, _ = cell.forward(x, state, weights, steps, False)
    return y.to(kind), cast_state(state, kind)


def unroll(
    step: Callable[[Tensor, State, Weights], State], x: Tensor, steps: Steps, state: State, weights: Weights
) -> tuple[Tensor, State]:
    """Take one step after the other: the definition of a sequence, for any kind of cell, even or ragged.

    Args:
        step: one step, (x [n, I], state, weights) → state.
        x: the packed input.
        steps: the steps and their direction.
        state: the first state of each sequence.
        weights: the parameters.

    Shape:
        - x: [rows, I]; each state: [N, features]
        - Output: [rows, H], and the last state of each sequence

    See: lstm/definition.py, where the loop stands by itself; tests/functional/test_recurrence.py.
    """
    first, ended, shares = state, [], x.split(steps.sizes)
    outputs = {}
    now = tuple(part[: steps.sizes[-1]] for part in first) if steps.reverse else first
    before = steps.sizes[-1 if steps.reverse else 0]
    for t in steps.order():
        n = steps.sizes[t]
        if n > before:  # backwards: shorter sequences join in
            now = tuple(torch.cat([part, start[before:n]]) for part, start in zip(now, first, strict=True))
        elif n < before:  # forwards: they end
            ended.append(tuple(part[n:] for part in now))
            now = tuple(part[:n] for part in now)
        before = n
        now = step(shares[t], now, weights)
        outputs[t] = now[0]
    final = tuple(map(torch.cat, zip(now, *reversed(ended), strict=True))) if ended else now
    return torch.cat([outputs[t] for t in range(len(shares))]), final


def _fast(x: Tensor, *state: Tensor) -> bool:
    """Say whether the fast sequence may serve these operands."""
    return not torch.compiler.is_compiling() and not listened() and x.is_floating_point() and not steps_aside(x, *state)


class _Sequence(torch.autograd.Function):
    """A kind of cell's fast sequence with its derivative; the derivative's own derivative is the definition's."""

    @staticmethod
    def forward(ctx: Any, cell: Cell, steps: Steps, count: int, x: Tensor, *operands: Any) -> tuple[Tensor, ...]:
        state, weights = operands[:count], Weights(*operands[count:])
        y, final, kept = cell.forward(x, state, weights, steps, any(ctx.needs_input_grad))
        ctx.cell, ctx.steps, ctx.count = cell, steps, count
        ctx.save_for_backward(x, *operands, *kept)
        ctx.operands = len(operands)
        return (y, *final)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, *saved = ctx.saved_tensors
        operands, kept = saved[: ctx.operands], tuple(saved[ctx.operands :])
        if torch.is_grad_enabled() or steps_aside(*gradients):
            return (None, None, None, *_by_definition(ctx, x, operands, gradients))
        weights = Weights(*operands[ctx.count :])
        with without_autocast(x):
            dx, d_state, d_weights = ctx.cell.backward(gradients[0], gradients[1:], x, weights, ctx.steps, kept)
        return (None, None, None, dx, *d_state, *d_weights)


def _by_definition(
    ctx: Any, x: Tensor, operands: list[Tensor | None], gradients: tuple[Tensor, ...]
) -> list[Tensor | None]:
    """Differentiate the definition, in a graph that can be differentiated again.

    It runs on aliases, so that an operand computed from another does not count twice.
    """
    create_graph = torch.is_grad_enabled()
    with torch.enable_grad(), without_autocast(x):
        aliases = [None if o is None else o.view_as(o) for o in (x, *operands)]
        first, *rest = (None if a is None else a.to(accumulator(a.dtype)) for a in aliases)
        state, weights = rest[: ctx.count], Weights(*rest[ctx.count :])  # type: ignore[arg-type]
        y, final = unroll(ctx.cell.step, first, ctx.steps, tuple(state), weights)  # type: ignore[arg-type]
        outputs = tuple(o.to(g.dtype) for o, g in zip((y, *final), gradients, strict=True))
        wanted = [a for a in aliases if a is not None and a.requires_grad]
        found = iter(torch.autograd.grad(outputs, wanted, gradients, create_graph=create_graph, allow_unused=True))
    return [None if a is None or not a.requires_grad else next(found) for a in aliases]
