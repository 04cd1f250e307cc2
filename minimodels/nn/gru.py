"""The gated recurrent unit as a layer and as a single cell."""

from typing import Any, overload

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence  # noqa: TID251  (the container, not a layer)

from minimodels.functional.gru import GRU as CELL
from minimodels.functional.gru import gru_cell
from minimodels.functional.recurrence import Cell
from minimodels.nn.recurrent import RNNBase
from minimodels.nn.recurrent_cell import RNNCellBase


class GRU(RNNBase):
    """Read sequences with a state that is kept or renewed unit by unit: h ← (1 − z) ⊙ n + z ⊙ h.

        r = σ(W_ir·x + b_ir + W_hr·h + b_hr), z likewise;  n = tanh(W_in·x + b_in + r ⊙ (W_hn·h + b_hn))

    Drop-in for torch.nn.GRU. Beyond it, three settings that default to off: layer normalisation inside the cell, and
    two dropouts; with them each step is the definition's, several times slower.

    Args:
        input_size: I, features of the input at each step.
        hidden_size: H, features of the state.
        num_layers: L, how many layers are stacked.
        bias: learn biases.
        batch_first: batches are [N, T, I] in place of [T, N, I].
        dropout: probability of a zero in what one layer hands to the next, in training.
        bidirectional: read each sequence from both ends, D = 2 directions; otherwise D = 1.
        device: where the parameters are.
        dtype: of what type they are.
        layer_norm: normalise both projections, the rows of r and z together and those of n by themselves.
        recurrent_dropout: probability that a unit of h is zeroed for a whole sequence, in training.
        update_dropout: probability that a unit of the candidate n is zeroed, anew at each step, in training.

    Shape:
        - input: [T, N, I], with batch_first [N, T, I]; unbatched [T, I]; or a PackedSequence
        - hx: [D·L, N, H]; unbatched without N; zeros if left out
        - Output: (output, h): [T, N, D·H] laid out as the input, and the last state in the shape of the first

    Attributes:
        weight_ih_l0: [3H, I], for layer k and backwards `weight_ih_lk_reverse`, [3H, D·H] from layer 1 on.
        weight_hh_l0: [3H, H]; likewise `bias_ih_l0` and `bias_hh_l0` [3H]; all within ±1/√H.
        gain_ih_l0: [3H], layer normalisation's; likewise `gain_hh_l0`.

    Raises:
        ValueError: a setting is out of range; the input is not 2-D or 3-D, or not of the weights' dtype.
        TypeError: a size is no whole number, or a flag no bool.
        RuntimeError: input or state do not have the sizes above.

    Cost: rows·3H·(I + H) multiply-adds per layer and direction, twice that backward, rows being the steps of all
        sequences together: a ragged packed batch costs its real length. Kept for the backward pass: 5·rows·H numbers.

    References: Cho et al. 2014, arXiv:1406.1078; Ba et al. 2016, arXiv:1607.06450 (layer_norm); Gal & Ghahramani 2016,
        arXiv:1512.05287 (recurrent_dropout); Semeniuta et al. 2016, arXiv:1603.05118 (update_dropout).

    See: `minimodels.functional.gru`; tests/nn/test_gru.py.

    Example:
        >>> output, h = GRU(10, 20, bidirectional=True)(torch.zeros(5, 3, 10))
        >>> output.shape, h.shape
        (torch.Size([5, 3, 40]), torch.Size([2, 3, 20]))
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
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        super().__init__("GRU", *args, **kwargs)

    def _cell(self) -> Cell:
        return CELL

    @overload
    def forward(self, input: Tensor, hx: Tensor | None = None) -> tuple[Tensor, Tensor]: ...

    @overload
    def forward(self, input: PackedSequence, hx: Tensor | None = None) -> tuple[PackedSequence, Tensor]: ...

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Read sequences.

        Args:
            input: one sequence, a batch, or a ragged batch as a PackedSequence.
            hx: the first state; None for zeros.

        Returns:
            the outputs of the last layer at all steps, and the last state of all layers.
        """
        output, (h,) = self._run(input, None if hx is None else (hx,))
        return output, h


class GRUCell(RNNCellBase):
    """Take one step of a GRU: h ← (1 − z) ⊙ n + z ⊙ h.

    Drop-in for torch.nn.GRUCell; the gates are in functional/gru/definition.py.

    Args:
        input_size: I, features of the input.
        hidden_size: H, features of the state.
        bias: learn biases.
        device: where the parameters are.
        dtype: of what type they are.

    Shape:
        - input: [N, I] or [I]
        - hx: [N, H] or [H]; zeros if left out
        - Output: likewise

    Attributes:
        weight_ih: [3H, I], the rows of r, z, n, drawn uniformly within ±1/√H.
        weight_hh: [3H, H].
        bias_ih: [3H], or None.
        bias_hh: [3H], or None.

    Raises:
        ValueError: input or state have the wrong number of dimensions.
        RuntimeError: sizes, numbers of rows or dtypes do not fit.

    Cost: N·3H·(I + H) multiply-adds forward, twice that backward.

    References: Cho et al. 2014, arXiv:1406.1078.

    See: `minimodels.functional.gru_cell`; tests/nn/test_gru.py.

    Example:
        >>> GRUCell(10, 20)(torch.zeros(3, 10)).shape
        torch.Size([3, 20])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """Take one step.

        Args:
            input: one input or a batch.
            hx: the state before it; None for zeros.
        """
        single = input.dim() == 1
        input, (h,) = self._batched(input, None if hx is None else (hx,))
        h = gru_cell(input, h, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        return h.squeeze(0) if single else h
