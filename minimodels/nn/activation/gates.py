"""Gates as layers."""

from torch import Tensor
from torch.nn import Module

from minimodels import functional as F


class GLU(Module):
    """Let one half of the input gate the other: y = a·σ(b) with [a, b] = x.

    Drop-in for torch.nn.GLU.

    Args:
        dim: the dimension that is halved.

    Shape:
        - input: [*, 2·S, *]
        - Output: [*, S, *]

    Raises:
        RuntimeError: the dimension has no half.
        IndexError: there is no such dimension.

    Cost: one sigmoid and one product for two elements; keeps its input for the backward pass.

    References: Dauphin et al. 2016, arXiv:1612.08083, equation (1).

    See: `minimodels.functional.glu`; tests/nn/test_activation.py.

    Example:
        >>> import torch
        >>> GLU()(torch.tensor([3.0, 4.0, 0.0, 100.0]))
        tensor([1.5000, 4.0000])
    """

    __constants__ = ["dim"]

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """Halve the dimension, and gate.

        Args:
            input: any tensor of floating-point numbers.
        """
        return F.glu(input, self.dim)

    def extra_repr(self) -> str:
        """Show the setting."""
        return f"dim={self.dim}"
