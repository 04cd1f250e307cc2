"""Exponential linear units as layers."""

from torch import Tensor

from minimodels import functional as F
from minimodels.nn.activation.base import ShownInPlace


class ELU(ShownInPlace):
    """Level out below zero: y = max(0, x) + α·(exp(min(0, x)) − 1).

    Drop-in for torch.nn.ELU.

    Args:
        alpha: α, how far below zero it goes.
        inplace: write the result over the input.

    Shape:
        - input: [*]
        - Output: [*]

    Raises:
        NotImplementedError: the input is not floating-point.

    Cost: one exponential and about five other operations per element; keeps its input for the backward
        pass.

    References: Clevert, Unterthiner & Hochreiter 2015, arXiv:1511.07289, equation (15).

    See: `minimodels.functional.elu`; tests/nn/test_activation.py.

    Example:
        >>> import torch
        >>> ELU()(torch.tensor([-100.0, 0.0, 2.0]))
        tensor([-1.,  0.,  2.])
    """

    __constants__ = ["alpha", "inplace"]

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.alpha = alpha

    def forward(self, input: Tensor) -> Tensor:
        """Apply the function to every element.

        Args:
            input: any tensor of floating-point numbers.
        """
        return F.elu(input, self.alpha, self.inplace)

    def extra_repr(self) -> str:
        """Show the settings."""
        return self._shown(f"alpha={self.alpha}")


class CELU(ShownInPlace):
    """Level out below zero, without a kink for any α: y = max(0, x) + α·(exp(min(0, x/α)) − 1).

    Drop-in for torch.nn.CELU.

    Args:
        alpha: α, how far below zero it goes.
        inplace: write the result over the input.

    Shape:
        - input: [*]
        - Output: [*]

    Raises:
        RuntimeError: α is zero.
        NotImplementedError: the input is not floating-point.

    Cost: one exponential and about five other operations per element; keeps its input for the backward
        pass.

    References: Barron 2017, arXiv:1704.07483.

    See: `minimodels.functional.celu`; tests/nn/test_activation.py.

    Example:
        >>> import torch
        >>> CELU(0.5)(torch.tensor([-100.0, 0.0, 2.0]))
        tensor([-0.5000,  0.0000,  2.0000])
    """

    __constants__ = ["alpha", "inplace"]

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.alpha = alpha

    def forward(self, input: Tensor) -> Tensor:
        """Apply the function to every element.

        Args:
            input: any tensor of floating-point numbers.
        """
        return F.celu(input, self.alpha, self.inplace)

    def extra_repr(self) -> str:
        """Show the settings."""
        return self._shown(f"alpha={self.alpha}")


class SELU(ShownInPlace):
    """Keep mean 0 and variance 1 from layer to layer: y = λ·(max(0, x) + α·(exp(min(0, x)) − 1)).

    Drop-in for torch.nn.SELU.

    Args:
        inplace: write the result over the input.

    Shape:
        - input: [*]
        - Output: [*]

    Raises:
        NotImplementedError: the input is not floating-point.

    Cost: one exponential and six other operations per element; keeps its input for the backward pass.

    References: Klambauer et al. 2017, arXiv:1706.02515, equation (2).

    See: `minimodels.functional.selu`; tests/nn/test_activation.py.

    Example:
        >>> import torch
        >>> SELU()(torch.tensor([-100.0, 0.0, 1.0]))
        tensor([-1.7581,  0.0000,  1.0507])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Apply the function to every element.

        Args:
            input: any tensor of floating-point numbers.
        """
        return F.selu(input, self.inplace)
