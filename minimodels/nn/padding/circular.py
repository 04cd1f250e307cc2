"""Padding with the other end, as layers."""

from torch import Tensor

from minimodels.nn.padding.base import PadNd


class _CircularPad(PadNd):
    """What circular padding shares: it alone checks the input's dimensions by itself."""

    mode = "circular"

    def forward(self, input: Tensor) -> Tensor:
        """Pad.

        Args:
            input: what to pad.
        """
        if input.ndim not in (self.dims + 1, self.dims + 2):
            raise ValueError(f"expected {self.dims + 1}D or {self.dims + 2}D input (got {input.ndim}D input)")
        return super().forward(input)


class CircularPad1d(_CircularPad):
    """Surround a signal with its other end, as on a ring: a b c d → c d a b c d a b.

    Drop-in for torch.nn.CircularPad1d. Negative sizes cut instead.

    Args:
        padding: (before, after), or one number for both.

    Shape:
        - input: [N, C, L] or [C, L]
        - Output: the same, but L + before + after

    Raises:
        RuntimeError: a size is larger than its dimension.
        ValueError: the input has too few or too many dimensions.

    Cost: one copy of the output.

    See: `minimodels.functional.pad`; tests/nn/test_padding.py.

    Example:
        >>> import torch
        >>> CircularPad1d(2)(torch.tensor([[1, 2, 3, 4]]))
        tensor([[3, 4, 1, 2, 3, 4, 1, 2]])
    """

    dims = 1


class CircularPad2d(_CircularPad):
    """Surround an image with its other end, as on a ring: a b c d → c d a b c d a b.

    Drop-in for torch.nn.CircularPad2d. Negative sizes cut instead.

    Args:
        padding: (left, right, top, bottom), or one number for all four.

    Shape:
        - input: [N, C, H, W] or [C, H, W]
        - Output: the same, but H + top + bottom, W + left + right

    Raises:
        RuntimeError: a size is larger than its dimension.
        ValueError: the input has too few or too many dimensions.

    Cost: one copy of the output for each dimension that is padded.

    See: `minimodels.functional.pad`; tests/nn/test_padding.py.

    Example:
        >>> import torch
        >>> CircularPad2d(1)(torch.zeros(1, 3, 4, 5)).shape
        torch.Size([1, 3, 6, 7])
    """

    dims = 2


class CircularPad3d(_CircularPad):
    """Surround a volume with its other end, as on a ring: a b c d → c d a b c d a b.

    Drop-in for torch.nn.CircularPad3d. Negative sizes cut instead.

    Args:
        padding: (left, right, top, bottom, front, back), or one number for all six.

    Shape:
        - input: [N, C, D, H, W] or [C, D, H, W]
        - Output: the same, but D + front + back, H + top + bottom, W + left + right

    Raises:
        RuntimeError: a size is larger than its dimension.
        ValueError: the input has too few or too many dimensions.

    Cost: one copy of the output for each dimension that is padded.

    See: `minimodels.functional.pad`; tests/nn/test_padding.py.

    Example:
        >>> import torch
        >>> CircularPad3d(1)(torch.zeros(1, 3, 4, 5, 6)).shape
        torch.Size([1, 3, 6, 7, 8])
    """

    dims = 3
