"""The fully connected layer, Keras's Dense."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import Module, Parameter

from minimodels import functional as F
from minimodels.nn import init


class Linear(Module):
    """Connect every input with every output: y = x·Wᵀ + b.

    Drop-in for torch.nn.Linear.

    Args:
        in_features: I, size of an input row.
        out_features: O, size of an output row.
        bias: learn b; without it there is none.
        device: where the parameters are.
        dtype: of what type they are.

    Shape:
        - input: [*, I]
        - Output: [*, O]

    Attributes:
        weight: [O, I], drawn uniformly within ±1/√I.
        bias: [O], drawn likewise, or None.

    Raises:
        RuntimeError: the input's last dimension is not I, or its dtype not the weight's.

    Cost: rows·I·O multiply-adds forward, twice that backward.

    References: Rosenblatt 1958, doi:10.1037/h0042519.

    See: `minimodels.functional.linear`; tests/nn/test_affine.py.

    Example:
        >>> Linear(576, 64)(torch.zeros(10, 576)).shape
        torch.Size([10, 64])
    """

    __constants__ = ["in_features", "out_features"]

    weight: Tensor
    bias: Tensor | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Parameter(torch.empty(out_features, in_features, device=device, dtype=dtype))
        self.register_parameter(
            "bias", Parameter(torch.empty(out_features, device=device, dtype=dtype)) if bias else None
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new weights, uniformly within ±1/√I, as torch.nn does."""
        init.initialize_affine(self.weight, self.bias)

    def forward(self, input: Tensor) -> Tensor:
        """Map each row.

        Args:
            input: rows of features.
        """
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Show the settings."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"
