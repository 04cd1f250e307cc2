"""Long short-term memory as the textbook writes it: six equations a step, and the loop."""

import torch
from torch import Tensor

from minimodels.functional.affine import linear
from minimodels.functional.recurrence import State, Weights
from minimodels.tap import tap


def step(x: Tensor, state: State, weights: Weights) -> State:
    """Take one step: forget some of the cell state, write something new into it, and show some of it.

    With σ the logistic sigmoid, ⊙ the product element by element, and x, h and c the input, hidden and cell state:

        i = σ(W_ii·x + b_ii + W_hi·h + b_hi)      the input gate: how much of the candidate is written
        f = σ(W_if·x + b_if + W_hf·h + b_hf)      the forget gate: how much of the cell state stays
        g = tanh(W_ig·x + b_ig + W_hg·h + b_hg)   the candidate
        o = σ(W_io·x + b_io + W_ho·h + b_ho)      the output gate: how much of the cell state is shown
        c ← f ⊙ c + i ⊙ g                         the cell state, the memory
        h ← o ⊙ tanh(c)                           the hidden state, which is the output

    The cell state is a sum, so along it the derivative ∂c_t/∂c_{t−1} = f passes through neither a matrix nor a
    squashing function: while f stays near 1, gradients flow back through many steps without vanishing (the constant
    error carousel).

    Names elsewhere: Hochreiter & Schmidhuber 1997 write in_j and out_j for the input and output gates, g(net_c) for
    the candidate and s_c for the cell state, and have f = 1; Gers et al. 2000 added the forget gate and write φ for it.
    Keras stacks the gates as i, f, c, o, the same order with its candidate c for our g, transposes the matrices, and
    has a single bias, our b_i + b_h.

    Args:
        x: the input at this step.
        state: (h, c) before it.
        weights: w_ih and w_hh stack the rows of i, f, g, o; w_hr, if present, projects h ← W_hr·h (Sak et al. 2014).

    Shape:
        - x: [N, I]; h: [N, H] (with a projection [N, P]); c: [N, H]
        - Output: (h, c) in the same shapes

    Cost: N·4H·(I + H) multiply-adds; with a projection N·4H·(I + P) + N·P·H.

    References: Hochreiter & Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735; Gers, Schmidhuber & Cummins 2000,
        doi:10.1162/089976600300015015 (the forget gate); Sak, Senior & Beaufays 2014, arXiv:1402.1128 (the projection).

    See: the fast twin sequence.py; tests/functional/test_lstm.py.

    Example:
        >>> keep = torch.tensor([-99.0, 99.0, 0.0, 0.0])  # input gate shut, forget gate open: the cell stays
        >>> weights = Weights(torch.zeros(4, 1), torch.zeros(4, 1), keep)
        >>> step(torch.ones(1, 1), (torch.zeros(1, 1), torch.tensor([[5.0]])), weights)[1]
        tensor([[5.]])
    """
    h, c = state
    gates = linear(x, weights.w_ih, weights.b_ih) + linear(h, weights.w_hh, weights.b_hh)  # [N, 4H]
    i, f, g, o = gates.chunk(4, -1)  # [N, H] each
    i = tap("lstm.input_gate", torch.sigmoid(i))
    f = tap("lstm.forget_gate", torch.sigmoid(f))
    g = tap("lstm.candidate", torch.tanh(g))
    o = tap("lstm.output_gate", torch.sigmoid(o))
    c = tap("lstm.cell", f * c + i * g)
    h = o * torch.tanh(c)
    h = h if weights.w_hr is None else linear(h, weights.w_hr)
    return tap("lstm.hidden", h), c


def sequence(x: Tensor, state: State, weights: Weights) -> tuple[Tensor, State]:
    """Take all steps of a sequence: the hidden states are the output, and the last state is handed on.

    Args:
        x: the input, step by step.
        state: (h, c) before the first step.
        weights: the parameters, the same at every step.

    Shape:
        - x: [T, N, I]; h, c: [N, H]
        - Output: [T, N, H], and (h, c) after the last step

    Cost: T times that of a step.

    See: the fast twin sequence.py; tests/functional/test_lstm.py.

    Example:
        >>> weights = Weights(torch.zeros(8, 3), torch.zeros(8, 2))
        >>> y, (h, c) = sequence(torch.ones(5, 1, 3), (torch.zeros(1, 2), torch.ones(1, 2)), weights)
        >>> y.shape, c  # f = σ(0) = 1/2: five halvings
        (torch.Size([5, 1, 2]), tensor([[0.0312, 0.0312]]))
    """
    outputs = []
    for x_t in x:
        state = step(x_t, state, weights)
        outputs.append(state[0])
    return torch.stack(outputs), state
