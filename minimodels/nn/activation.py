"""Activations as layers."""

from torch import Tensor
from torch.nn import Module

from minimodels import functional as F


class ReLU(Module):
    """Keep what is positive: y = max(0, x).

    Drop-in for torch.nn.ReLU.

    Args:
        inplace: write the result over the input.

    Shape:
        - input: [*]
        - Output: [*]

    Cost: one comparison an element.

    References: Fukushima 1969, doi:10.1109/TSSC.1969.300225; Nair & Hinton 2010 (in deep networks).

    See: `minimodels.functional.relu`; tests/nn/test_activation.py.

    Example:
        >>> import torch
        >>> ReLU()(torch.tensor([-1.0, 2.0]))
        tensor([0., 2.])
    """

    __constants__ = ["inplace"]

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """Apply the function to every element.

        Args:
            input: any tensor of real numbers.
        """
        return F.relu(input, inplace=self.inplace)

    def extra_repr(self) -> str:
        """Show the setting if it is not the default."""
        return "inplace=True" if self.inplace else ""


class _OverDimension(Module):
    """What softmax and its logarithm share: the dimension whose elements compete."""

    __constants__ = ["dim"]

    dim: int | None

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def extra_repr(self) -> str:
        """Show the dimension."""
        return f"dim={self.dim}"


class Softmax(_OverDimension):
    """Turn scores into probabilities: y_i = exp(x_i) / Σ_j exp(x_j).

    Drop-in for torch.nn.Softmax.

    Args:
        dim: the dimension over which the probabilities add up to 1; leaving it out is deprecated, as in PyTorch.

    Shape:
        - input: [*]
        - Output: [*]

    Raises:
        IndexError: the input has no such dimension.

    Cost: one exponential and about four passes; keeps its output for the backward pass.

    References: Bridle 1990, doi:10.1007/978-3-642-76153-9_28.

    See: `minimodels.functional.softmax`; tests/nn/test_activation.py.

    Example:
        >>> import torch
        >>> Softmax(dim=0)(torch.tensor([1.0, 1.0]))
        tensor([0.5000, 0.5000])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Apply the function to every slice along the dimension.

        Args:
            input: scores.
        """
        return F.softmax(input, self.dim, _stacklevel=5)


class LogSoftmax(_OverDimension):
    """Take the logarithm of the softmax without forming it: y_i = x_i − log Σ_j exp(x_j).

    Drop-in for torch.nn.LogSoftmax.

    Args:
        dim: the dimension over which the probabilities add up to 1; leaving it out is deprecated, as in PyTorch.

    Shape:
        - input: [*]
        - Output: [*]

    Raises:
        IndexError: the input has no such dimension.

    Cost: one exponential an element, one logarithm a slice; keeps its output for the backward pass.

    See: `minimodels.functional.log_softmax`; tests/nn/test_activation.py.

    Example:
        >>> import torch
        >>> LogSoftmax(dim=0)(torch.tensor([0.0, -1000.0]))
        tensor([    0., -1000.])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Apply the function to every slice along the dimension.

        Args:
            input: scores.
        """
        return F.log_softmax(input, self.dim, _stacklevel=5)
