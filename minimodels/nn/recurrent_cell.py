"""What recurrent cells share: the parameters, and inputs with a batch or without."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module, Parameter

from minimodels.functional.recurrence import State
from minimodels.nn import init


class RNNCellBase(Module):
    """What LSTMCell, GRUCell and RNNCell share.

    Args:
        input_size: I, features of the input.
        hidden_size: H, features of the state.
        bias: learn biases.
        num_chunks: G, blocks of H rows in a weight.
        device: where the parameters are.
        dtype: of what type they are.
    """

    __constants__ = ["input_size", "hidden_size", "bias"]

    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor | None
    bias_hh: Tensor | None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool,
        num_chunks: int,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        rows = num_chunks * hidden_size
        shapes = {
            "weight_ih": (rows, input_size),
            "weight_hh": (rows, hidden_size),
            "bias_ih": (rows,),
            "bias_hh": (rows,),
        }
        for name, shape in shapes.items():
            there = bias or name.startswith("weight")
            self.register_parameter(name, Parameter(torch.empty(shape, device=device, dtype=dtype)) if there else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new weights and biases, uniformly within ±1/√H, as torch.nn does."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def _batched(self, input: Tensor, states: State | None, count: int = 1) -> tuple[Tensor, State]:
        """Check the dimensions, and give a single input and its states a batch of one; without states, zeros."""
        name = type(self).__name__
        if input.dim() not in (1, 2):
            raise ValueError(f"{name}: Expected input to be 1D or 2D, got {input.dim()}D instead")
        for i, part in enumerate(() if states is None else states):
            if part.dim() not in (1, 2):
                which = f"hx[{i}]" if count > 1 else "hidden"
                raise ValueError(f"{name}: Expected {which} to be 1D or 2D, got {part.dim()}D instead")
        single = input.dim() == 1
        input = input.unsqueeze(0) if single else input
        if states is None:
            zeros = torch.zeros(input.shape[0], self.hidden_size, dtype=input.dtype, device=input.device)
            return input, (zeros,) * count
        return input, tuple(part.unsqueeze(0) for part in states) if single else states

    def extra_repr(self) -> str:
        """Show the settings, leaving out those at their defaults."""
        text = f"{self.input_size}, {self.hidden_size}"
        if self.bias is not True:
            text += f", bias={self.bias}"
        return text
