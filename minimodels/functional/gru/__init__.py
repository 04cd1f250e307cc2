"""The gated recurrent unit: one operation, read as four equations or run as a few large products.

definition.py    the four equations of a step, and the step with layer normalisation and dropout inside
sequence.py      a whole sequence with a hand-derived backward
"""

from torch import Tensor

from minimodels.functional.gru import definition, sequence
from minimodels.functional.gru.definition import regularized_step, step
from minimodels.functional.gru.sequence import backward, forward
from minimodels.functional.recurrence import Cell, Weights, one_step

__all__ = ["GRU", "backward", "definition", "forward", "gru_cell", "regularized_step", "sequence", "step"]

GRU = Cell(step, regularized_step, forward, backward, narrow=True, lowers_state=False)
"""What `recurrence.stack` needs to know of a GRU."""


def gru_cell(
    input: Tensor,
    hx: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> Tensor:
    """Take one step of a GRU: h ← (1 − z) ⊙ n + z ⊙ h; the gates are in gru/definition.py.

    Args:
        input: the input at this step.
        hx: the hidden state before it.
        w_ih: weights of the input, the rows of r, z, n stacked.
        w_hh: weights of the hidden state, likewise.
        b_ih: bias of the input's projection.
        b_hh: bias of the hidden state's, inside the reset gate for n.

    Shape:
        - input: [N, I]; hx: [N, H]; w_ih: [3H, I]; w_hh: [3H, H]; b_ih, b_hh: [3H]
        - Output: [N, H]

    Raises:
        RuntimeError: sizes, numbers of rows or dtypes do not fit.

    Cost: N·3H·(I + H) multiply-adds forward, twice that backward.

    References: Cho et al. 2014, arXiv:1406.1078.

    See: `minimodels.nn.GRUCell`; gru/definition.py; tests/functional/test_gru.py.

    Example:
        >>> import torch
        >>> gru_cell(torch.ones(1, 2), torch.ones(1, 1), torch.zeros(3, 2), torch.zeros(3, 1))  # z = 1/2, n = 0
        tensor([[0.5000]])
    """
    return one_step(GRU, input, (hx,), Weights(w_ih, w_hh, b_ih, b_hh), "gru_cell")[0]
