"""Smooth rectifiers as layers."""

from torch import Tensor
from torch.nn import Module

from minimodels import functional as F
from minimodels.nn.activation.base import ShownInPlace


class GELU(Module):
    """Multiply x by the probability that a standard normal variable is smaller: y = x·Φ(x), Φ(x) = (1 + erf(x/√2)) / 2.

    Drop-in for torch.nn.GELU.

    Args:
        approximate: "none", or "tanh" for y = x·(1 + tanh(√(2/π)·(x + 0.044715·x³))) / 2, as in GPT-2.

    Shape:
        - input: [*]
        - Output: [*]

    Raises:
        RuntimeError: there is no such approximation; found out at the first call, as in PyTorch.
        NotImplementedError: the input is not floating-point.

    Cost: one error function (or sigmoid) and three (five) other operations per element; keeps its input for the
        backward pass.

    References: Hendrycks & Gimpel 2016, arXiv:1606.08415, section 2.

    See: `minimodels.functional.gelu`; tests/nn/test_activation.py.

    Example:
        >>> import torch
        >>> GELU()(torch.tensor([0.0, 1.0]))
        tensor([0.0000, 0.8413])
    """

    __constants__ = ["approximate"]

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, input: Tensor) -> Tensor:
        """Apply the function to every element.

        Args:
            input: any tensor of floating-point numbers.
        """
        return F.gelu(input, self.approximate)

    def extra_repr(self) -> str:
        """Show the setting."""
        return f"approximate={self.approximate!r}"


class SiLU(ShownInPlace):
    """Multiply a number by its sigmoid: y = x·σ(x). Also known as swish.

    Drop-in for torch.nn.SiLU.

    Args:
        inplace: write the result over the input.

    Shape:
        - input: [*]
        - Output: [*]

    Raises:
        NotImplementedError: the input is not floating-point.

    Cost: one sigmoid and one product per element; keeps its input for the backward pass.

    References: Elfwing, Uchibe & Doya 2017, arXiv:1702.03118; Ramachandran, Zoph & Le 2017,
        arXiv:1710.05941 (as swish).

    See: `minimodels.functional.silu`; tests/nn/test_activation.py.

    Example:
        >>> import torch
        >>> SiLU()(torch.tensor([0.0, 1.0]))
        tensor([0.0000, 0.7311])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Apply the function to every element.

        Args:
            input: any tensor of floating-point numbers.
        """
        return F.silu(input, self.inplace)


class Mish(ShownInPlace):
    """Multiply a number by the tanh of its softplus: y = x·tanh(log(1 + exp(x))).

    Drop-in for torch.nn.Mish.

    Args:
        inplace: write the result over the input.

    Shape:
        - input: [*]
        - Output: [*]

    Raises:
        NotImplementedError: the input is not floating-point.

    Cost: one exponential and six other operations per element; keeps its input for the backward pass.

    References: Misra 2019, arXiv:1908.08681, equation (1).

    See: `minimodels.functional.mish`; tests/nn/test_activation.py.

    Example:
        >>> import torch
        >>> Mish()(torch.tensor([0.0, 1.0]))
        tensor([0.0000, 0.8651])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Apply the function to every element.

        Args:
            input: any tensor of floating-point numbers.
        """
        return F.mish(input, self.inplace)
