"""Long short-term memory: one operation, read as six equations or run as a few large products.

definition.py    the six equations of a step, and the loop
sequence.py      a whole sequence with a hand-derived backward
regularized.py   the step with layer normalisation and dropout inside
"""

from torch import Tensor

from minimodels.functional.lstm import definition, regularized, sequence
from minimodels.functional.recurrence import Cell, Weights, one_step

__all__ = ["LSTM", "definition", "lstm_cell", "regularized", "sequence"]

LSTM = Cell(definition.step, regularized.step, sequence.forward, sequence.backward, narrow=True)
"""What `recurrence.stack` needs to know of an LSTM."""


def lstm_cell(
    input: Tensor,
    hx: tuple[Tensor, Tensor],
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Take one step of an LSTM: c ← f ⊙ c + i ⊙ g, h ← o ⊙ tanh(c); the gates are in lstm/definition.py.

    Args:
        input: the input at this step.
        hx: hidden and cell state before it.
        w_ih: weights of the input, the rows of i, f, g, o stacked.
        w_hh: weights of the hidden state, likewise.
        b_ih: bias of the input's projection.
        b_hh: bias of the hidden state's.

    Shape:
        - input: [N, I]; hx: [N, H] twice; w_ih: [4H, I]; w_hh: [4H, H]; b_ih, b_hh: [4H]
        - Output: (h, c), [N, H] each

    Raises:
        RuntimeError: sizes, numbers of rows, dtypes or the number of states do not fit.
        TypeError: `hx` is a tensor, not a tuple.

    Cost: N·4H·(I + H) multiply-adds forward, twice that backward.

    References: Hochreiter & Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735.

    See: `minimodels.nn.LSTMCell`; lstm/definition.py; tests/functional/test_lstm.py.

    Example:
        >>> import torch
        >>> h, c = lstm_cell(torch.ones(1, 2), (torch.zeros(1, 3),) * 2, torch.zeros(12, 2), torch.zeros(12, 3))
        >>> h
        tensor([[0., 0., 0.]])
    """
    if isinstance(hx, Tensor):
        raise TypeError("lstm_cell: hx must be a tuple of two tensors, not a tensor")
    if len(hx) != 2:
        raise RuntimeError("lstm_cell expects two hidden states")
    h, c = one_step(LSTM._replace(lowers_state=False), input, tuple(hx), Weights(w_ih, w_hh, b_ih, b_hh), "lstm_cell")
    return h, c
