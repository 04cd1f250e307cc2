"""The LSTM's step with what keeps it from overfitting and its signals from drifting: layer normalisation, dropout."""

import torch
from torch import Tensor

from minimodels.functional.affine import linear
from minimodels.functional.masking import dropout
from minimodels.functional.recurrence import Gains, State, Weights, normalized, normalized_linear
from minimodels.tap import tap


def step(x: Tensor, state: State, weights: Weights, gains: Gains | None, mask: Tensor | None, update: float) -> State:
    """Take one step with normalised projections and cell, and with dropout on the state and the candidate.

        a = LN(W_ih·x; gain_ih) + b_ih + LN(W_hh·(m ⊙ h); gain_hh) + b_hh
        i, f, o = σ(a_i, a_f, a_o);  g = dropout(tanh(a_g), update)
        c ← f ⊙ c + i ⊙ g
        h ← o ⊙ tanh(LN(c; gain_c) + shift_c)

    The mask m is one for all steps of a sequence, so that it does not wear the state down with ever new holes (Gal &
    Ghahramani); the candidate may be masked anew at each step, for the cell loses nothing by it (Semeniuta et al.).

    Args:
        x: the input at this step.
        state: (h, c) before it.
        weights: those of the plain step.
        gains: layer normalisation's, or None for none.
        mask: m, zeros and 1 / (1 − p), or None for none.
        update: probability of a zero in the candidate.

    Shape:
        - x: [N, I]; h, c, mask: [N, H]
        - Output: (h, c) in the same shapes

    Cost: that of the plain step, and about ten more passes over the gates.

    References: Ba, Kiros & Hinton 2016, arXiv:1607.06450, equations (20)-(22); Gal & Ghahramani 2016, arXiv:1512.05287,
        equation (7); Semeniuta, Severyn & Barth 2016, arXiv:1603.05118.

    See: definition.py; tests/functional/test_lstm.py.
    """
    h, c = state
    h = h if mask is None else h * mask
    ih, hh, gain, shift = gains or (None, None, None, None)
    gates = normalized_linear(x, weights.w_ih, weights.b_ih, ih) + normalized_linear(h, weights.w_hh, weights.b_hh, hh)
    i, f, g, o = gates.chunk(4, -1)
    i, f, o = (
        tap("lstm.input_gate", torch.sigmoid(i)),
        tap("lstm.forget_gate", torch.sigmoid(f)),
        tap("lstm.output_gate", torch.sigmoid(o)),
    )
    g = tap("lstm.candidate", dropout(torch.tanh(g), update))
    c = tap("lstm.cell", f * c + i * g)
    h = o * torch.tanh(c if gain is None else normalized(c, gain, shift))
    h = h if weights.w_hr is None else linear(h, weights.w_hr)
    return tap("lstm.hidden", h), c
