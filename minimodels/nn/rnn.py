"""The simple recurrent network as a layer and as a single cell."""

from typing import Any, overload

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence  # noqa: TID251  (the container, not a layer)

from minimodels.functional.recurrence import Cell
from minimodels.functional.rnn import RELU, TANH, rnn_relu_cell, rnn_tanh_cell
from minimodels.nn.recurrent import RNNBase
from minimodels.nn.recurrent_cell import RNNCellBase


class RNN(RNNBase):
    """Read sequences with a state that is renewed at every step: h ← tanh(W_ih·x + b_ih + W_hh·h + b_hh).

    Drop-in for torch.nn.RNN. Beyond it, two settings that default to off: layer normalisation inside the cell, and
    dropout on the state; with them each step is the definition's, several times slower.

    Args:
        input_size: I, features of the input at each step.
        hidden_size: H, features of the state.
        num_layers: L, how many layers are stacked.
        nonlinearity: "tanh" or "relu".
        bias: learn biases.
        batch_first: batches are [N, T, I] in place of [T, N, I].
        dropout: probability of a zero in what one layer hands to the next, in training.
        bidirectional: read each sequence from both ends, D = 2 directions; otherwise D = 1.
        device: where the parameters are.
        dtype: of what type they are.
        layer_norm: normalise both projections.
        recurrent_dropout: probability that a unit of h is zeroed for a whole sequence, in training.

    Shape:
        - input: [T, N, I], with batch_first [N, T, I]; unbatched [T, I]; or a PackedSequence
        - hx: [D·L, N, H]; unbatched without N; zeros if left out
        - Output: (output, h): [T, N, D·H] laid out as the input, and the last state in the shape of the first

    Attributes:
        weight_ih_l0: [H, I], for layer k and backwards `weight_ih_lk_reverse`, [H, D·H] from layer 1 on.
        weight_hh_l0: [H, H]; likewise `bias_ih_l0` and `bias_hh_l0` [H]; all within ±1/√H.
        gain_ih_l0: [H], layer normalisation's; likewise `gain_hh_l0`.

    Raises:
        ValueError: a setting is out of range; the input is not 2-D or 3-D, or not of the weights' dtype.
        TypeError: a size is no whole number, or a flag no bool.
        RuntimeError: input or state do not have the sizes above.

    Cost: rows·H·(I + H) multiply-adds per layer and direction, twice that backward, rows being the steps of all
        sequences together: a ragged packed batch costs its real length. Kept for the backward pass: rows·H numbers.

    References: Elman 1990, doi:10.1207/s15516709cog1402_1; Ba et al. 2016, arXiv:1607.06450 (layer_norm); Gal &
        Ghahramani 2016, arXiv:1512.05287 (recurrent_dropout).

    See: `minimodels.functional.rnn`; tests/nn/test_rnn.py.

    Example:
        >>> output, h = RNN(10, 20, nonlinearity="relu", batch_first=True)(torch.zeros(3, 5, 10))
        >>> output.shape, h.shape
        (torch.Size([3, 5, 20]), torch.Size([1, 3, 20]))
    """

    @overload
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        layer_norm: bool = False,
        recurrent_dropout: float = 0.0,
    ) -> None: ...

    @overload
    def __init__(self, *args: Any, **kwargs: Any) -> None: ...

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        if kwargs.get("update_dropout"):
            raise ValueError("update_dropout needs a gated cell, LSTM or GRU; an RNN has recurrent_dropout")
        if len(args) > 3:
            nonlinearity, args = args[3], args[:3] + args[4:]
        else:
            nonlinearity = kwargs.pop("nonlinearity", "tanh")
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        super().__init__(f"RNN_{nonlinearity.upper()}", *args, **kwargs)
        self.nonlinearity = nonlinearity

    def _cell(self) -> Cell:
        return RELU if self.mode == "RNN_RELU" else TANH

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


class RNNCell(RNNCellBase):
    """Take one step of a simple recurrent network: h ← tanh(W_ih·x + b_ih + W_hh·h + b_hh).

    Drop-in for torch.nn.RNNCell.

    Args:
        input_size: I, features of the input.
        hidden_size: H, features of the state.
        bias: learn biases.
        nonlinearity: "tanh" or "relu".
        device: where the parameters are.
        dtype: of what type they are.

    Shape:
        - input: [N, I] or [I]
        - hx: [N, H] or [H]; zeros if left out
        - Output: likewise

    Attributes:
        weight_ih: [H, I], drawn uniformly within ±1/√H.
        weight_hh: [H, H].
        bias_ih: [H], or None.
        bias_hh: [H], or None.

    Raises:
        ValueError: input or state have the wrong number of dimensions.
        RuntimeError: sizes, numbers of rows or dtypes do not fit, or the non-linearity is unknown.

    Cost: N·H·(I + H) multiply-adds forward, twice that backward.

    References: Elman 1990, doi:10.1207/s15516709cog1402_1.

    See: `minimodels.functional.rnn_tanh_cell`; tests/nn/test_rnn.py.

    Example:
        >>> RNNCell(10, 20)(torch.zeros(3, 10)).shape
        torch.Size([3, 20])
    """

    __constants__ = ["input_size", "hidden_size", "bias", "nonlinearity"]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """Take one step.

        Args:
            input: one input or a batch.
            hx: the state before it; None for zeros.
        """
        single = input.dim() == 1
        input, (h,) = self._batched(input, None if hx is None else (hx,))
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        cell = rnn_tanh_cell if self.nonlinearity == "tanh" else rnn_relu_cell
        h = cell(input, h, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        return h.squeeze(0) if single else h

    def extra_repr(self) -> str:
        """Show the settings, leaving out those at their defaults."""
        text = super().extra_repr()
        return text if self.nonlinearity == "tanh" else f"{text}, nonlinearity={self.nonlinearity}"
