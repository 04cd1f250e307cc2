"""Changing the shape and nothing else."""

from torch import Tensor
from torch.nn import Module


class Flatten(Module):
    """Merge neighbouring dimensions into one: [N, C, H, W] → [N, C·H·W].

    Drop-in for torch.nn.Flatten.

    Args:
        start_dim: the first dimension to merge.
        end_dim: the last one.

    Shape:
        - input: [*, S_start, …, S_end, *]
        - Output: [*, Π S_i, *]

    Raises:
        IndexError: the input has no such dimension.

    Cost: none for contiguous input, else one copy.

    See: tests/nn/test_flatten.py.

    Example:
        >>> import torch
        >>> Flatten()(torch.zeros(64, 64, 3, 3)).shape
        torch.Size([64, 576])
    """

    __constants__ = ["start_dim", "end_dim"]

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Tensor) -> Tensor:
        """Merge the dimensions.

        Args:
            input: any tensor that has them.
        """
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        """Show the settings."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"
