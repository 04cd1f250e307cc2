"""Gated feed-forward layers: one half of the hidden numbers decides how much of the other half passes."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import Module

from minimodels import functional as F
from minimodels.nn.affine import Linear


class SwiGLU(Module):
    """Widen, gate, narrow: y = W₂·(silu(W₁·x) ⊙ W₃·x).

    Args:
        in_features: I, numbers a token.
        hidden_features: H, numbers in between; about 8·I/3 has as many parameters as a plain layer of 4·I.
        bias: learn biases for all three maps.
        device: where the parameters are.
        dtype: of what type they are.

    Shape:
        - input: [*, I]
        - Output: [*, I]

    Attributes:
        gate_proj: W₁, the map I → H to the gate.
        up_proj: W₃, the map I → H to what is gated.
        down_proj: W₂, the map H → I back.

    Cost: 3·I·H multiply-adds a token forward, twice that backward.

    References: Shazeer 2020, arXiv:2002.05202, equation 6.

    See: `minimodels.functional.swiglu`; tests/nn/test_gated.py.

    Example:
        >>> SwiGLU(64, 172)(torch.zeros(2, 5, 64)).shape
        torch.Size([2, 5, 64])
    """

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        bias: bool = False,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.gate_proj = Linear(in_features, hidden_features, bias, device, dtype)
        self.up_proj = Linear(in_features, hidden_features, bias, device, dtype)
        self.down_proj = Linear(hidden_features, in_features, bias, device, dtype)

    def forward(self, input: Tensor) -> Tensor:
        """Map each row.

        Args:
            input: rows of features.
        """
        return self.down_proj(F.swiglu(self.gate_proj(input), self.up_proj(input)))  # type: ignore[no-any-return]
