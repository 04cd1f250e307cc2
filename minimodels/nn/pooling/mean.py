"""The mean of each window as a layer."""

from torch import Tensor
from torch.nn import Module

from minimodels import functional as F
from minimodels.shapes import ntuple

Sizes = int | tuple[int, ...]


class _AvgPool(Module):
    """What average pooling of one, two and three dimensions shares."""

    __constants__ = ["kernel_size", "stride", "padding", "ceil_mode", "count_include_pad"]

    kernel_size: Sizes
    stride: Sizes
    padding: Sizes
    ceil_mode: bool
    count_include_pad: bool

    def extra_repr(self) -> str:
        """Show the windows."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _DividedAvgPool(_AvgPool):
    """What those of two and three dimensions share: the divisor may be given."""

    __constants__ = [*_AvgPool.__constants__, "divisor_override"]

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override


class AvgPool1d(_AvgPool):
    """Take the mean of each window: y[n, c, p] = Σ_i x[n, c, s·p + i] / k.

    Drop-in for torch.nn.AvgPool1d.

    Args:
        kernel_size: the window; a number or a tuple of one.
        stride: s, step from one window to the next; None is the window's size.
        padding: zeros on either side, at most half the window.
        ceil_mode: round the output size up; the last window may then hang over the edge.
        count_include_pad: the padding's zeros count as elements; without it a mean is that of real elements.

    Shape:
        - input: [N, C, L] or [C, L]
        - Output: [N, C, P] or [C, P], P = ⌊(L + 2·padding − k) / s⌋ + 1 (⌈⌉ with ceil_mode)

    Raises:
        RuntimeError: the input or the numbers do not fit together; the message says which.

    Cost: about k additions per output, the same backwards; nothing is kept for the backward pass.

    See: `minimodels.functional.avg_pool1d`; tests/nn/test_pooling.py.

    Example:
        >>> import torch
        >>> AvgPool1d(2)(torch.zeros(64, 32, 26)).shape
        torch.Size([64, 32, 13])
    """

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size = ntuple(kernel_size, 1)
        self.stride = ntuple(kernel_size if stride is None else stride, 1)
        self.padding = ntuple(padding, 1)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        """Pool every channel by itself.

        Args:
            input: one signal or a batch.
        """
        return F.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)


class AvgPool2d(_DividedAvgPool):
    """Take the mean of each window: y[n, c, p, q] = Σ_{i, j} x[n, c, s·p + i, s·q + j] / (kH·kW).

    Drop-in for torch.nn.AvgPool2d.

    Args:
        kernel_size: the window; one number, or one for height and one for width.
        stride: s, step from one window to the next; None is the window's size.
        padding: zeros on either side, at most half the window.
        ceil_mode: round the output size up; the last window may then hang over the edge.
        count_include_pad: the padding's zeros count as elements; without it a mean is that of real elements.
        divisor_override: what to divide the sums by instead of the number of elements.

    Shape:
        - input: [N, C, H, W] or [C, H, W]
        - Output: [N, C, P, Q] or [C, P, Q], P = ⌊(H + 2·padding − kH) / s⌋ + 1 (⌈⌉ with ceil_mode)

    Raises:
        RuntimeError: the input or the numbers do not fit together; the message says which.

    Cost: about kH + kW additions per output, the same backwards; nothing is kept for the backward pass.

    References: LeCun et al. 1989, doi:10.1162/neco.1989.1.4.541 (as subsampling).

    See: `minimodels.functional.avg_pool2d`; tests/nn/test_pooling.py.

    Example:
        >>> import torch
        >>> AvgPool2d(2)(torch.zeros(64, 32, 26, 26)).shape
        torch.Size([64, 32, 13, 13])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Pool every channel by itself.

        Args:
            input: one image or a batch.
        """
        return F.avg_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )


class AvgPool3d(_DividedAvgPool):
    """Take the mean of each window: y[n, c, o, p, q] = Σ_{h, i, j} x[n, c, s·o + h, s·p + i, s·q + j] / (kD·kH·kW).

    Drop-in for torch.nn.AvgPool3d.

    Args:
        kernel_size: the window; one number, or one for depth, height and width each.
        stride: s, step from one window to the next; None is the window's size.
        padding: zeros on either side, at most half the window.
        ceil_mode: round the output size up; the last window may then hang over the edge.
        count_include_pad: the padding's zeros count as elements; without it a mean is that of real elements.
        divisor_override: what to divide the sums by instead of the number of elements.

    Shape:
        - input: [N, C, D, H, W] or [C, D, H, W]
        - Output: [N, C, O, P, Q] or [C, O, P, Q], P = ⌊(H + 2·padding − kH) / s⌋ + 1 (⌈⌉ with ceil_mode)

    Raises:
        RuntimeError: the input or the numbers do not fit together; the message says which.

    Cost: about kD + kH + kW additions per output, the same backwards; nothing is kept for the backward pass.

    See: `minimodels.functional.avg_pool3d`; tests/nn/test_pooling.py.

    Example:
        >>> import torch
        >>> AvgPool3d(2)(torch.zeros(2, 3, 8, 8, 8)).shape
        torch.Size([2, 3, 4, 4, 4])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Pool every channel by itself.

        Args:
            input: one volume or a batch.
        """
        return F.avg_pool3d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )
