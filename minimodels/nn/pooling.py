"""Pooling as layers: no parameters, only windows."""

from torch import Tensor
from torch.nn import Module

from minimodels import functional as F


class MaxPool2d(Module):
    """Take the largest element of each window: y[n, c, p, q] = max_{i, j} x[n, c, s·p + d·i, s·q + d·j].

    Drop-in for torch.nn.MaxPool2d. Padding is −∞ and never wins; among equals the first in reading order does.

    Args:
        kernel_size: the window; one number, or one for height and one for width.
        stride: s, step from one window to the next; None is the window's size.
        padding: −∞ on either side, at most half the window.
        dilation: d, spacing between the elements of a window.
        return_indices: give the winners' places too, as i·W + j within each image.
        ceil_mode: round the output size up; the last window may then hang over the edge.

    Shape:
        - input: [N, C, H, W] or [C, H, W]
        - Output: [N, C, P, Q] or [C, P, Q], P = ⌊(H + 2·padding − d·(kH − 1) − 1) / s⌋ + 1 (⌈⌉ with ceil_mode)

    Raises:
        RuntimeError: the input or the numbers do not fit together; the message says which.

    Cost: kH·kW comparisons an output; the winners' places (int64) are kept for the backward pass.

    References: Weng, Ahuja & Huang 1992, doi:10.1109/IJCNN.1992.287150.

    See: `minimodels.functional.max_pool2d`; tests/nn/test_pooling.py.

    Example:
        >>> import torch
        >>> MaxPool2d(2)(torch.zeros(64, 32, 26, 26)).shape
        torch.Size([64, 32, 13, 13])
    """

    __constants__ = ["kernel_size", "stride", "padding", "dilation", "return_indices", "ceil_mode"]

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Pool every channel by itself.

        Args:
            input: one image or a batch.
        """
        return F.max_pool2d(
            input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices
        )

    def extra_repr(self) -> str:
        """Show the settings."""
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )
