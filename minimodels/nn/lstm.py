"""Long short-term memory as a layer and as a single cell."""

from typing import Any, overload

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence  # noqa: TID251  (the container, not a layer)

from minimodels.functional.lstm import LSTM as CELL
from minimodels.functional.lstm import lstm_cell
from minimodels.functional.recurrence import Cell
from minimodels.nn.recurrent import RNNBase
from minimodels.nn.recurrent_cell import RNNCellBase


class LSTM(RNNBase):
    """Read sequences with a memory that decides what to keep: c ← f ⊙ c + i ⊙ g, h ← o ⊙ tanh(c).

        i = σ(W_ii·x + b_ii + W_hi·h + b_hi), f and o likewise;  g = tanh(W_ig·x + b_ig + W_hg·h + b_hg)

    Drop-in for torch.nn.LSTM. Beyond it, three settings that default to off: layer normalisation inside the cell, and
    two dropouts that leave the cell state alone; with them each step is the definition's, several times slower.

    Args:
        input_size: I, features of the input at each step.
        hidden_size: H, features of hidden and cell state.
        num_layers: L, how many layers are stacked.
        bias: learn biases.
        batch_first: batches are [N, T, I] in place of [T, N, I].
        dropout: probability of a zero in what one layer hands to the next, in training.
        bidirectional: read each sequence from both ends, D = 2 directions; otherwise D = 1.
        proj_size: P, project the output h to so many features; 0 for no projection, P = H.
        device: where the parameters are.
        dtype: of what type they are.
        layer_norm: normalise both projections and the cell state before its tanh.
        recurrent_dropout: probability that a unit of h is zeroed for a whole sequence, in training.
        update_dropout: probability that a unit of the candidate g is zeroed, anew at each step, in training.

    Shape:
        - input: [T, N, I], with batch_first [N, T, I]; unbatched [T, I]; or a PackedSequence
        - hx: (h, c), h [D·L, N, P], c [D·L, N, H]; unbatched without N; zeros if left out
        - Output: (output, (h, c)): [T, N, D·P] laid out as the input, and the last states in the shape of the first

    Attributes:
        weight_ih_l0: [4H, I], for layer k and backwards `weight_ih_lk_reverse`, [4H, D·P] from layer 1 on.
        weight_hh_l0: [4H, P]; likewise `bias_ih_l0`, `bias_hh_l0` [4H], `weight_hr_l0` [P, H]; all within ±1/√H.
        gain_ih_l0: [4H], layer normalisation's; likewise `gain_hh_l0`, `gain_cell_l0` and `shift_cell_l0` [H].

    Raises:
        ValueError: a setting is out of range; the input is not 2-D or 3-D, or not of the weights' dtype.
        TypeError: a size is no whole number, or a flag no bool.
        RuntimeError: input or states do not have the sizes above.

    Cost: rows·4H·(I + H) multiply-adds per layer and direction, twice that backward, rows being the steps of all
        sequences together: a ragged packed batch costs its real length. Kept for the backward pass: 6·rows·H numbers.

    References: Hochreiter & Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735; Gers et al. 2000,
        doi:10.1162/089976600300015015; Graves & Schmidhuber 2005, doi:10.1016/j.neunet.2005.06.042 (bidirectional);
        Sak et al. 2014, arXiv:1402.1128 (projection); Ba et al. 2016, arXiv:1607.06450 (layer_norm); Gal & Ghahramani
        2016, arXiv:1512.05287 (recurrent_dropout); Semeniuta et al. 2016, arXiv:1603.05118 (update_dropout).

    See: `minimodels.functional.lstm`; tests/nn/test_lstm.py.

    Example:
        >>> layer = LSTM(10, 20, num_layers=2)
        >>> output, (h, c) = layer(torch.zeros(5, 3, 10))
        >>> output.shape, h.shape
        (torch.Size([5, 3, 20]), torch.Size([2, 3, 20]))
    """

    @overload
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        layer_norm: bool = False,
        recurrent_dropout: float = 0.0,
        update_dropout: float = 0.0,
    ) -> None: ...

    @overload
    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)

    def _cell(self) -> Cell:
        return CELL

    @overload
    def forward(
        self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]: ...

    @overload
    def forward(
        self, input: PackedSequence, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[PackedSequence, tuple[Tensor, Tensor]]: ...

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Read sequences.

        Args:
            input: one sequence, a batch, or a ragged batch as a PackedSequence.
            hx: the first hidden and cell state; None for zeros.

        Returns:
            the outputs of the last layer at all steps, and the last (h, c) of all layers.
        """
        output, states = self._run(input, None if hx is None else (hx[0], *hx[1:]) if len(hx) > 1 else (hx[0], hx[1]))
        return output, states


class LSTMCell(RNNCellBase):
    """Take one step of an LSTM: c ← f ⊙ c + i ⊙ g, h ← o ⊙ tanh(c).

    Drop-in for torch.nn.LSTMCell; the six equations are in minimodels/functional/lstm/definition.py.

    Args:
        input_size: I, features of the input.
        hidden_size: H, features of hidden and cell state.
        bias: learn biases.
        device: where the parameters are.
        dtype: of what type they are.

    Shape:
        - input: [N, I] or [I]
        - hx: (h, c), [N, H] or [H] each; zeros if left out
        - Output: (h, c), likewise

    Attributes:
        weight_ih: [4H, I], the rows of i, f, g, o, drawn uniformly within ±1/√H.
        weight_hh: [4H, H].
        bias_ih: [4H], or None.
        bias_hh: [4H], or None.

    Raises:
        ValueError: input or states have the wrong number of dimensions.
        RuntimeError: sizes, numbers of rows, dtypes or the number of states do not fit.

    Cost: N·4H·(I + H) multiply-adds forward, twice that backward.

    References: Hochreiter & Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735.

    See: `minimodels.functional.lstm_cell`; tests/nn/test_lstm.py.

    Example:
        >>> h, c = LSTMCell(10, 20)(torch.zeros(3, 10))
        >>> h.shape, c.shape
        (torch.Size([3, 20]), torch.Size([3, 20]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """Take one step.

        Args:
            input: one input or a batch.
            hx: hidden and cell state before it; None for zeros.
        """
        single = input.dim() == 1
        input, states = self._batched(input, hx, 2)
        h, c = lstm_cell(input, states, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)  # type: ignore[arg-type]
        return (h.squeeze(0), c.squeeze(0)) if single else (h, c)
