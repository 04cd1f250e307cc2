"""The largest element of each window as a layer."""

from torch import Tensor
from torch.nn import Module

from minimodels import functional as F

Sizes = int | tuple[int, ...]


class _MaxPool(Module):
    """What maximum pooling of one, two and three dimensions shares: the settings."""

    __constants__ = ["kernel_size", "stride", "padding", "dilation", "return_indices", "ceil_mode"]

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        dilation: Sizes = 1,
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

    def extra_repr(self) -> str:
        """Show the settings."""
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPool):
    """Take the largest element of each window: y[n, c, p] = max_i x[n, c, s·p + d·i].

    Drop-in for torch.nn.MaxPool1d. Padding is −∞ and never wins; among equals the first in reading order does.

    Args:
        kernel_size: the window; a number or a tuple of one.
        stride: s, step from one window to the next; None is the window's size.
        padding: −∞ on either side, at most half the window.
        dilation: d, spacing between the elements of a window.
        return_indices: give the winners' places too, as i within each signal.
        ceil_mode: round the output size up; the last window may then hang over the edge.

    Shape:
        - input: [N, C, L] or [C, L]
        - Output: [N, C, P] or [C, P], P = ⌊(L + 2·padding − d·(k − 1) − 1) / s⌋ + 1 (⌈⌉ with ceil_mode)

    Raises:
        RuntimeError: the input or the numbers do not fit together; the message says which.

    Cost: about k comparisons per output; one byte per output (more where rows are long) is kept for the
        backward pass.

    See: `minimodels.functional.max_pool1d`; tests/nn/test_pooling.py.

    Example:
        >>> import torch
        >>> MaxPool1d(2)(torch.zeros(64, 32, 26)).shape
        torch.Size([64, 32, 13])
    """

    def forward(self, input: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Pool every channel by itself.

        Args:
            input: one signal or a batch.
        """
        return F.max_pool1d(
            input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices
        )


class MaxPool2d(_MaxPool):
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

    Cost: about kH + kW comparisons per output; one byte per output (more where rows are long) is kept for the
        backward pass.

    References: Weng, Ahuja & Huang 1992, doi:10.1109/IJCNN.1992.287150.

    See: `minimodels.functional.max_pool2d`; tests/nn/test_pooling.py.

    Example:
        >>> import torch
        >>> MaxPool2d(2)(torch.zeros(64, 32, 26, 26)).shape
        torch.Size([64, 32, 13, 13])
    """

    def forward(self, input: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Pool every channel by itself.

        Args:
            input: one image or a batch.
        """
        return F.max_pool2d(
            input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices
        )


class MaxPool3d(_MaxPool):
    """Take the largest element of each window.

        y[n, c, o, p, q] = max_{h, i, j} x[n, c, s·o + d·h, s·p + d·i, s·q + d·j]

    Drop-in for torch.nn.MaxPool3d. Padding is −∞ and never wins; among equals the first in reading order does.

    Args:
        kernel_size: the window; one number, or one for depth, height and width each.
        stride: s, step from one window to the next; None is the window's size.
        padding: −∞ on either side, at most half the window.
        dilation: d, spacing between the elements of a window.
        return_indices: give the winners' places too, as (h·H + i)·W + j within each volume.
        ceil_mode: round the output size up; the last window may then hang over the edge.

    Shape:
        - input: [N, C, D, H, W] or [C, D, H, W]
        - Output: [N, C, O, P, Q] or [C, O, P, Q], P = ⌊(H + 2·padding − d·(kH − 1) − 1) / s⌋ + 1 (⌈⌉ with ceil_mode)

    Raises:
        RuntimeError: the input or the numbers do not fit together; the message says which.

    Cost: about kD + kH + kW comparisons per output; one byte per output (more where rows are long) is kept for the
        backward pass.

    See: `minimodels.functional.max_pool3d`; tests/nn/test_pooling.py.

    Example:
        >>> import torch
        >>> MaxPool3d(2)(torch.zeros(2, 3, 8, 8, 8)).shape
        torch.Size([2, 3, 4, 4, 4])
    """

    def forward(self, input: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Pool every channel by itself.

        Args:
            input: one volume or a batch.
        """
        return F.max_pool3d(
            input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices
        )
