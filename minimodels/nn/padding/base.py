"""What all padding layers share: a mode, and sizes for each dimension."""

from torch import Tensor
from torch.nn import Module

from minimodels import functional as F
from minimodels.shapes import ntuple

Sizes = int | tuple[int, ...]


class PadNd(Module):
    """What all padding shares: the sizes, two for each of the last dimensions, the last dimension first.

    Args:
        padding: elements to add: one number for all sides, or (before, after) of the last dimension first.
    """

    __constants__ = ["padding"]

    dims: int
    mode: str

    def __init__(self, padding: Sizes) -> None:
        super().__init__()
        self.padding = ntuple(padding, 2 * self.dims)

    def forward(self, input: Tensor) -> Tensor:
        """Pad.

        Args:
            input: what to pad.
        """
        return F.pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        """Show the sizes."""
        return f"{self.padding}"
