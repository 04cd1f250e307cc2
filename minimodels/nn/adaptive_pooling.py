"""Adaptive pooling as layers: whatever the size of the input, the output's is given."""

from torch import Tensor
from torch.nn import Module

from minimodels import functional as F

Sizes = int | tuple[int | None, ...] | None


class _AdaptiveAvgPool(Module):
    """What adaptive average pooling of one, two and three dimensions shares: the output size."""

    __constants__ = ["output_size"]

    def __init__(self, output_size: Sizes) -> None:
        super().__init__()
        self.output_size = output_size

    def extra_repr(self) -> str:
        """Show the output size."""
        return f"output_size={self.output_size}"


class _AdaptiveMaxPool(_AdaptiveAvgPool):
    """What adaptive maximum pooling has besides: places."""

    __constants__ = ["output_size", "return_indices"]

    def __init__(self, output_size: Sizes, return_indices: bool = False) -> None:
        super().__init__(output_size)
        self.return_indices = return_indices


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """Take the mean of each of a given number of windows, which share the input out.

    Drop-in for torch.nn.AdaptiveAvgPool1d. Window p covers the elements
    [⌊p·L/m⌋, ⌈(p + 1)·L/m⌉) of the L elements.

    Args:
        output_size: m, how many windows.

    Shape:
        - input: [N, C, L] or [C, L]
        - Output: [N, C, m] or [C, m]

    Raises:
        RuntimeError: the input or the sizes do not fit together; the message says which.

    Cost: each element is read about once a dimension (twice, where windows overlap).

    References: He et al. 2014, arXiv:1406.4729 (as spatial pyramid pooling).

    See: `minimodels.functional.adaptive_avg_pool1d`; tests/nn/test_adaptive_pooling.py.

    Example:
        >>> import torch
        >>> AdaptiveAvgPool1d(7)(torch.zeros(2, 3, 50)).shape
        torch.Size([2, 3, 7])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Pool every channel by itself.

        Args:
            input: one signal or a batch.
        """
        return F.adaptive_avg_pool1d(input, self.output_size)  # type: ignore[arg-type]  # None is a TypeError there


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """Take the mean of each of a given number of windows, which share the input out.

    Drop-in for torch.nn.AdaptiveAvgPool2d. Window p covers the elements
    [⌊p·H/P⌋, ⌈(p + 1)·H/P⌉) along height, likewise along width.

    Args:
        output_size: how many windows; one number, or one for height and one for width, where None keeps the size.

    Shape:
        - input: [N, C, H, W] or [C, H, W]
        - Output: [N, C, P, Q] or [C, P, Q]

    Raises:
        RuntimeError: the input or the sizes do not fit together; the message says which.

    Cost: each element is read about once a dimension (twice, where windows overlap).

    References: He et al. 2014, arXiv:1406.4729 (as spatial pyramid pooling).

    See: `minimodels.functional.adaptive_avg_pool2d`; tests/nn/test_adaptive_pooling.py.

    Example:
        >>> import torch
        >>> AdaptiveAvgPool2d(7)(torch.zeros(2, 3, 50, 40)).shape
        torch.Size([2, 3, 7, 7])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Pool every channel by itself.

        Args:
            input: one image or a batch.
        """
        return F.adaptive_avg_pool2d(input, self.output_size)


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """Take the mean of each of a given number of windows, which share the input out.

    Drop-in for torch.nn.AdaptiveAvgPool3d. Window p covers the elements
    [⌊p·H/P⌋, ⌈(p + 1)·H/P⌉) along height, likewise along the others.

    Args:
        output_size: how many windows; one number, or one for depth, height and width each, where None keeps the size.

    Shape:
        - input: [N, C, D, H, W] or [C, D, H, W]
        - Output: [N, C, O, P, Q] or [C, O, P, Q]

    Raises:
        RuntimeError: the input or the sizes do not fit together; the message says which.

    Cost: each element is read about once a dimension (twice, where windows overlap).

    References: He et al. 2014, arXiv:1406.4729 (as spatial pyramid pooling).

    See: `minimodels.functional.adaptive_avg_pool3d`; tests/nn/test_adaptive_pooling.py.

    Example:
        >>> import torch
        >>> AdaptiveAvgPool3d(7)(torch.zeros(2, 3, 9, 8, 8)).shape
        torch.Size([2, 3, 7, 7, 7])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Pool every channel by itself.

        Args:
            input: one volume or a batch.
        """
        return F.adaptive_avg_pool3d(input, self.output_size)


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """Take the largest element of each of a given number of windows, which share the input out.

    Drop-in for torch.nn.AdaptiveMaxPool1d. Window p covers the elements
    [⌊p·L/m⌋, ⌈(p + 1)·L/m⌉) of the L elements.

    Args:
        output_size: m, how many windows.
        return_indices: give the winners' places too, as i within each signal.

    Shape:
        - input: [N, C, L] or [C, L]
        - Output: [N, C, m] or [C, m]

    Raises:
        RuntimeError: the input or the sizes do not fit together; the message says which.

    Cost: each element is read about once a dimension (twice, where windows overlap).

    References: He et al. 2014, arXiv:1406.4729 (as spatial pyramid pooling).

    See: `minimodels.functional.adaptive_max_pool1d`; tests/nn/test_adaptive_pooling.py.

    Example:
        >>> import torch
        >>> AdaptiveMaxPool1d(7)(torch.zeros(2, 3, 50)).shape
        torch.Size([2, 3, 7])
    """

    def forward(self, input: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Pool every channel by itself.

        Args:
            input: one signal or a batch.
        """
        return F.adaptive_max_pool1d(input, self.output_size, self.return_indices)  # type: ignore[arg-type]  # None is a TypeError there


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """Take the largest element of each of a given number of windows, which share the input out.

    Drop-in for torch.nn.AdaptiveMaxPool2d. Window p covers the elements
    [⌊p·H/P⌋, ⌈(p + 1)·H/P⌉) along height, likewise along width.

    Args:
        output_size: how many windows; one number, or one for height and one for width, where None keeps the size.
        return_indices: give the winners' places too, as i·W + j within each image.

    Shape:
        - input: [N, C, H, W] or [C, H, W]
        - Output: [N, C, P, Q] or [C, P, Q]

    Raises:
        RuntimeError: the input or the sizes do not fit together; the message says which.

    Cost: each element is read about once a dimension (twice, where windows overlap).

    References: He et al. 2014, arXiv:1406.4729 (as spatial pyramid pooling).

    See: `minimodels.functional.adaptive_max_pool2d`; tests/nn/test_adaptive_pooling.py.

    Example:
        >>> import torch
        >>> AdaptiveMaxPool2d(7)(torch.zeros(2, 3, 50, 40)).shape
        torch.Size([2, 3, 7, 7])
    """

    def forward(self, input: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Pool every channel by itself.

        Args:
            input: one image or a batch.
        """
        return F.adaptive_max_pool2d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """Take the largest element of each of a given number of windows, which share the input out.

    Drop-in for torch.nn.AdaptiveMaxPool3d. Window p covers the elements
    [⌊p·H/P⌋, ⌈(p + 1)·H/P⌉) along height, likewise along the others.

    Args:
        output_size: how many windows; one number, or one for depth, height and width each, where None keeps the size.
        return_indices: give the winners' places too, as (h·H + i)·W + j within each volume.

    Shape:
        - input: [N, C, D, H, W] or [C, D, H, W]
        - Output: [N, C, O, P, Q] or [C, O, P, Q]

    Raises:
        RuntimeError: the input or the sizes do not fit together; the message says which.

    Cost: each element is read about once a dimension (twice, where windows overlap).

    References: He et al. 2014, arXiv:1406.4729 (as spatial pyramid pooling).

    See: `minimodels.functional.adaptive_max_pool3d`; tests/nn/test_adaptive_pooling.py.

    Example:
        >>> import torch
        >>> AdaptiveMaxPool3d(7)(torch.zeros(2, 3, 9, 8, 8)).shape
        torch.Size([2, 3, 7, 7, 7])
    """

    def forward(self, input: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Pool every channel by itself.

        Args:
            input: one volume or a batch.
        """
        return F.adaptive_max_pool3d(input, self.output_size, self.return_indices)
