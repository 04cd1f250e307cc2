"""Softmax and its kin as layers."""

from torch import Tensor
from torch.nn import Module

from minimodels import functional as F


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

    Cost: one exponential per element, one logarithm per slice; keeps its output for the backward pass.

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


class Softmin(_OverDimension):
    """Turn costs into probabilities, the lower, the likelier: y_i = exp(−x_i) / Σ_j exp(−x_j).

    Drop-in for torch.nn.Softmin.

    Args:
        dim: the dimension over which the probabilities add up to 1; leaving it out is deprecated, as in PyTorch.

    Shape:
        - input: [*]
        - Output: [*]

    Raises:
        IndexError: the input has no such dimension.

    Cost: that of `Softmax`, and one pass more.

    See: `minimodels.functional.softmin`; tests/nn/test_activation.py.

    Example:
        >>> import torch
        >>> Softmin(dim=0)(torch.tensor([0.0, 0.0, 1000.0]))
        tensor([0.5000, 0.5000, 0.0000])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Apply the function to every slice along the dimension.

        Args:
            input: costs.
        """
        return F.softmin(input, self.dim, _stacklevel=5)


class Softmax2d(Module):
    """Turn the channels at every place of an image into probabilities: y_c = exp(x_c) / Σ_k exp(x_k).

    Drop-in for torch.nn.Softmax2d.

    Args: none.

    Shape:
        - input: [N, C, H, W] or [C, H, W]
        - Output: as the input

    Raises:
        ValueError: the input has other dimensions.

    Cost: one exponential and about four passes; keeps its output for the backward pass.

    References: Bridle 1990, doi:10.1007/978-3-642-76153-9_28.

    See: `minimodels.functional.softmax`; tests/nn/test_activation.py.

    Example:
        >>> import torch
        >>> Softmax2d()(torch.zeros(2, 1, 1)).flatten()
        tensor([0.5000, 0.5000])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Apply the function to the channels.

        Args:
            input: scores.
        """
        if input.ndim not in (3, 4):
            raise ValueError(f"Softmax2d: expected input to be 3D or 4D, got {input.ndim}D instead")
        return F.softmax(input, -3)
