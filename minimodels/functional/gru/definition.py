"""The gated recurrent unit as the textbook writes it: a step, and the same with normalisation and dropout inside."""

import torch
from torch import Tensor

from minimodels.functional.affine import linear
from minimodels.functional.masking import dropout
from minimodels.functional.recurrence import Gains, State, Weights, normalized
from minimodels.tap import tap


def step(x: Tensor, state: State, weights: Weights) -> State:
    """Take one step: mix the old state with a candidate that sees of it what the reset gate lets through.

        r = σ(W_ir·x + b_ir + W_hr·h + b_hr)           the reset gate: how much of the old state the candidate sees
        z = σ(W_iz·x + b_iz + W_hz·h + b_hz)           the update gate: how much of the old state stays
        n = tanh(W_in·x + b_in + r ⊙ (W_hn·h + b_hn))  the candidate
        h ← (1 − z) ⊙ n + z ⊙ h                        the hidden state, which is the output

    Cho et al. 2014 reset before the product, W_hn·(r ⊙ h), and so does Keras with reset_after=False; PyTorch, cuDNN and
    Keras's default reset after it, as here. Keras stacks the gates as z, r, n.

    Args:
        x: the input at this step.
        state: (h,) before it.
        weights: w_ih and w_hh stack the rows of r, z, n.

    Shape:
        - x: [N, I]; h: [N, H]
        - Output: (h,), [N, H]

    Cost: N·3H·(I + H) multiply-adds.

    References: Cho et al. 2014, arXiv:1406.1078, equations (5)-(8).

    See: `minimodels.nn.GRU`; tests/functional/test_gru.py.

    Example:
        >>> stay = torch.tensor([0.0, 99.0, 0.0])  # the update gate open: the state stays
        >>> step(torch.ones(1, 1), (torch.tensor([[5.0]]),), Weights(torch.zeros(3, 1), torch.zeros(3, 1), stay))
        (tensor([[5.]]),)
    """
    return _mix(linear(x, weights.w_ih, weights.b_ih), linear(state[0], weights.w_hh, weights.b_hh), state[0], 0.0)


def regularized_step(
    x: Tensor, state: State, weights: Weights, gains: Gains | None, mask: Tensor | None, update: float
) -> State:
    """Take one step with normalised projections, and with dropout on the state and the candidate.

    The rows of r and z are normalised together and those of n by themselves, as Ba et al. do.

    Args:
        x: the input at this step.
        state: (h,) before it.
        weights: those of the plain step.
        gains: layer normalisation's, or None for none.
        mask: zeros and 1 / (1 − p) for the state, the same at every step, or None for none.
        update: probability of a zero in the candidate.

    Shape:
        - x: [N, I]; h, mask: [N, H]
        - Output: (h,), [N, H]

    Cost: that of the plain step, and about six more passes over the gates.

    References: Ba, Kiros & Hinton 2016, arXiv:1607.06450, supplement; Gal & Ghahramani 2016, arXiv:1512.05287;
        Semeniuta, Severyn & Barth 2016, arXiv:1603.05118.

    See: `minimodels.nn.GRU`; tests/functional/test_gru.py.
    """
    (h,) = state
    seen = h if mask is None else h * mask
    ih, hh, *_ = gains or (None, None)
    gx = _normalized_linear(x, weights.w_ih, weights.b_ih, ih)
    gh = _normalized_linear(seen, weights.w_hh, weights.b_hh, hh)
    return _mix(gx, gh, h, update)


def _normalized_linear(x: Tensor, w: Tensor, b: Tensor | None, gain: Tensor | None) -> Tensor:
    if gain is None:
        return linear(x, w, b)
    H = w.shape[0] // 3
    parts = [part.split([2 * H, H], -1) for part in (linear(x, w), gain)]
    y = torch.cat([normalized(a, g, None) for a, g in zip(*parts, strict=True)], -1)
    return y if b is None else y + b


def _mix(gx: Tensor, gh: Tensor, h: Tensor, update: float) -> State:
    """Form the gates from what input and state say, and the new state from them."""
    (x_r, x_z, x_n), (h_r, h_z, h_n) = gx.chunk(3, -1), gh.chunk(3, -1)  # [N, H] each
    r = tap("gru.reset_gate", torch.sigmoid(x_r + h_r))
    z = tap("gru.update_gate", torch.sigmoid(x_z + h_z))
    n = torch.tanh(x_n + r * h_n)
    n = tap("gru.candidate", dropout(n, update) if update else n)
    return (tap("gru.hidden", (1 - z) * n + z * h),)
