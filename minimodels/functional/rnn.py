"""The simple recurrent network (Elman's): the definition of a step, and the fast sequence, for tanh and for ReLU.

The fast sequence follows lstm/sequence.py; tanh is a logistic function by k = σ(2a) − ½ = h/2.
"""

import functools
from collections.abc import Callable

import torch
from torch import Tensor

from minimodels.functional.activations import relu
from minimodels.functional.affine import linear
from minimodels.functional.matmul import product
from minimodels.functional.recurrence import (
    Cell,
    Gains,
    State,
    Steps,
    Trail,
    Weights,
    normalized_linear,
    one_step,
    projected,
)
from minimodels.tap import tap


def step(x: Tensor, state: State, weights: Weights, activation: Callable[[Tensor], Tensor] = torch.tanh) -> State:
    """Take one step: h ← tanh(W_ih·x + b_ih + W_hh·h + b_hh).

    Args:
        x: the input at this step.
        state: (h,) before it.
        weights: the parameters.
        activation: tanh or ReLU.

    Shape:
        - x: [N, I]; h: [N, H]
        - Output: (h,), [N, H]

    Cost: N·H·(I + H) multiply-adds.

    References: Elman 1990, "Finding structure in time", doi:10.1207/s15516709cog1402_1.

    See: `minimodels.nn.RNN`; tests/functional/test_rnn.py.

    Example:
        >>> step(torch.ones(1, 1), (torch.ones(1, 1),), Weights(torch.eye(1), torch.eye(1)), relu)
        (tensor([[2.]]),)
    """
    a = linear(x, weights.w_ih, weights.b_ih) + linear(state[0], weights.w_hh, weights.b_hh)
    return (tap("rnn.hidden", activation(a)),)


def regularized_step(
    x: Tensor,
    state: State,
    weights: Weights,
    gains: Gains | None,
    mask: Tensor | None,
    update: float,
    activation: Callable[[Tensor], Tensor] = torch.tanh,
) -> State:
    """Take one step with normalised projections and with dropout on the state.

    Args:
        x: the input at this step.
        state: (h,) before it.
        weights: those of the plain step.
        gains: layer normalisation's, or None for none.
        mask: zeros and 1 / (1 − p) for the state, the same at every step, or None for none.
        update: unused: all of the state is candidate here, and `mask` is its dropout.
        activation: tanh or ReLU.

    Shape:
        - x: [N, I]; h, mask: [N, H]
        - Output: (h,), [N, H]

    Cost: that of the plain step, and about six more passes over the state.

    References: Ba, Kiros & Hinton 2016, arXiv:1607.06450; Gal & Ghahramani 2016, arXiv:1512.05287.

    See: `minimodels.nn.RNN`; tests/functional/test_rnn.py.
    """
    h = state[0] if mask is None else state[0] * mask
    ih, hh, *_ = gains or (None, None)
    a = normalized_linear(x, weights.w_ih, weights.b_ih, ih) + normalized_linear(h, weights.w_hh, weights.b_hh, hh)
    return (tap("rnn.hidden", activation(a)),)


def forward(
    x: Tensor, state: State, weights: Weights, steps: Steps, keep: bool, squash: bool = True
) -> tuple[Tensor, State, State]:
    """Run all steps: the same numbers as the definition's.

    Args:
        x: the packed input.
        state: (h,) of each sequence before its first step.
        weights: the parameters.
        steps: the steps and their direction.
        keep: store what the derivative needs.
        squash: by tanh, in its logistic form; otherwise ReLU.

    Shape:
        - x: [rows, I]; h: [N, H]
        - Output: [rows, H]; (h,) after the last steps

    Cost: rows·H·(I + H) multiply-adds. Kept: h, rows·H numbers.

    See: tests/functional/test_rnn.py.
    """
    scale = 2 if squash else 1
    bias = weights.bias()
    bias = None if bias is None else scale * bias
    _, shares = projected(x, scale * weights.w_ih, bias, steps, keep, 1, x.dtype)
    w_hh = (scale * scale * weights.w_hh).t().contiguous()  # dense rows are the faster right factor
    hidden = Trail(state[0] / scale, steps)
    for t, a, _ in shares:
        a.addmm_(hidden.before[t], w_hh)
        if squash:
            torch.sigmoid(a, out=hidden.after[t]).sub_(0.5)
        else:
            torch.clamp(a, min=0, out=hidden.after[t])
    kept = (hidden.rows_before(), hidden.rows_after()) if keep else ()
    return hidden.rows_after() * scale, (hidden.final() * scale,), kept


def backward(
    gradient: Tensor, last: State, x: Tensor, weights: Weights, steps: Steps, kept: State, squash: bool = True
) -> tuple[Tensor, State, Weights]:
    """Carry gradients back through all steps: ∂h += ∂y; ∂a = ∂h·(1 − h²), or ∂h where h > 0; ∂h ← ∂a·W_hh.

    Args:
        gradient: ∂y.
        last: the gradient of the last state.
        x: the packed input.
        weights: the parameters.
        steps: the steps and their direction.
        kept: what `forward` stored.
        squash: by tanh; otherwise ReLU.

    Shape:
        - gradient: [rows, H]; last: [N, H]; x: [rows, I]

    Returns:
        ∂x, (∂h,) before the first steps, and the gradients of the weights.

    Cost: twice the multiply-adds of the forward pass; rows·H numbers beside the gradients.

    See: tests/functional/test_rnn.py.
    """
    before, after = kept
    d = torch.mul(after, after).mul_(-4).add_(1) if squash else (after > 0).to(x.dtype)
    dh = last[0].clone()
    views = [v.split(steps.sizes) for v in (d, gradient)]
    for t in reversed(steps.order()):
        d_t, dy = (view[t] for view in views)
        dh_t = dh[: d_t.shape[0]]
        d_t.mul_(dh_t.add_(dy))
        torch.mm(d_t, weights.w_hh, out=dh_t)
    bias = None if weights.b_ih is None else d.sum(0)
    d_hh = product(d.t(), before.t()).mul_(2 if squash else 1)
    return product(d, weights.w_ih.t()), (dh,), Weights(product(d.t(), x.t()), d_hh, bias, bias)


TANH = Cell(step, regularized_step, forward, backward)
"""What `recurrence.stack` needs to know of a network with tanh."""

RELU = Cell(
    functools.partial(step, activation=relu),
    functools.partial(regularized_step, activation=relu),
    functools.partial(forward, squash=False),
    functools.partial(backward, squash=False),
)
"""The same with ReLU."""


def rnn_tanh_cell(
    input: Tensor,
    hx: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> Tensor:
    """Take one step of a simple recurrent network: h ← tanh(W_ih·x + b_ih + W_hh·h + b_hh).

    Args:
        input: the input at this step.
        hx: the hidden state before it.
        w_ih: weights of the input.
        w_hh: weights of the hidden state.
        b_ih: bias of the input's projection.
        b_hh: bias of the hidden state's.

    Shape:
        - input: [N, I]; hx: [N, H]; w_ih: [H, I]; w_hh: [H, H]; b_ih, b_hh: [H]
        - Output: [N, H]

    Raises:
        RuntimeError: sizes, numbers of rows or dtypes do not fit.

    Cost: N·H·(I + H) multiply-adds forward, twice that backward.

    References: Elman 1990, doi:10.1207/s15516709cog1402_1.

    See: `minimodels.nn.RNNCell`; tests/functional/test_rnn.py.

    Example:
        >>> rnn_tanh_cell(torch.zeros(1, 2), torch.ones(1, 1), torch.zeros(1, 2), torch.ones(1, 1))
        tensor([[0.7616]])
    """
    return one_step(TANH, input, (hx,), Weights(w_ih, w_hh, b_ih, b_hh), "rnn_tanh_cell")[0]


def rnn_relu_cell(
    input: Tensor,
    hx: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> Tensor:
    """Take one step of a simple recurrent network with ReLU: h ← max(0, W_ih·x + b_ih + W_hh·h + b_hh).

    Args:
        input: the input at this step.
        hx: the hidden state before it.
        w_ih: weights of the input.
        w_hh: weights of the hidden state.
        b_ih: bias of the input's projection.
        b_hh: bias of the hidden state's.

    Shape:
        - input: [N, I]; hx: [N, H]; w_ih: [H, I]; w_hh: [H, H]; b_ih, b_hh: [H]
        - Output: [N, H]

    Raises:
        RuntimeError: sizes, numbers of rows or dtypes do not fit.

    Cost: N·H·(I + H) multiply-adds forward, twice that backward.

    References: Le, Jaitly & Hinton 2015, arXiv:1504.00941 (recurrent networks of rectified units).

    See: `minimodels.nn.RNNCell`; tests/functional/test_rnn.py.

    Example:
        >>> rnn_relu_cell(torch.zeros(1, 2), torch.ones(1, 1), torch.zeros(1, 2), 3 * torch.ones(1, 1))
        tensor([[3.]])
    """
    return one_step(RELU, input, (hx,), Weights(w_ih, w_hh, b_ih, b_hh), "rnn_relu_cell")[0]
