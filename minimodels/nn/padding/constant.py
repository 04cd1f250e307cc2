"""Padding with one number, as layers."""

from torch import Tensor

from minimodels import functional as F
from minimodels.nn.padding.base import PadNd, Sizes


class _ConstantPad(PadNd):
    """What padding with a number shares: the number."""

    __constants__ = ["padding", "value"]

    mode = "constant"

    def __init__(self, padding: Sizes, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        """Pad.

        Args:
            input: what to pad.
        """
        return F.pad(input, self.padding, self.mode, self.value)

    def extra_repr(self) -> str:
        """Show the sizes and the number."""
        return f"padding={self.padding}, value={self.value}"


class _ZeroPad(_ConstantPad):
    """What padding with zeros shares: the number is not asked for, nor shown."""

    def __init__(self, padding: Sizes) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        """Show the sizes."""
        return f"{self.padding}"


class ConstantPad1d(_ConstantPad):
    """Surround a signal with a number.

    Drop-in for torch.nn.ConstantPad1d. Negative sizes cut instead.

    Args:
        padding: (before, after), or one number for both.
        value: the number.

    Shape:
        - input: [*, L]
        - Output: the same, but L + before + after

    Raises:
        RuntimeError: negative sizes cut more than there is.

    Cost: one copy of the output.

    See: `minimodels.functional.pad`; tests/nn/test_padding.py.

    Example:
        >>> import torch
        >>> ConstantPad1d((1, 2), 9.0)(torch.ones(1, 2))
        tensor([[9., 1., 1., 9., 9.]])
    """

    dims = 1


class ConstantPad2d(_ConstantPad):
    """Surround an image with a number.

    Drop-in for torch.nn.ConstantPad2d. Negative sizes cut instead.

    Args:
        padding: (left, right, top, bottom), or one number for all four.
        value: the number.

    Shape:
        - input: [*, H, W]
        - Output: the same, but H + top + bottom, W + left + right

    Raises:
        RuntimeError: negative sizes cut more than there is.

    Cost: one copy of the output.

    See: `minimodels.functional.pad`; tests/nn/test_padding.py.

    Example:
        >>> import torch
        >>> ConstantPad2d(1, 9.0)(torch.zeros(1, 3, 4, 5)).shape
        torch.Size([1, 3, 6, 7])
    """

    dims = 2


class ConstantPad3d(_ConstantPad):
    """Surround a volume with a number.

    Drop-in for torch.nn.ConstantPad3d. Negative sizes cut instead.

    Args:
        padding: (left, right, top, bottom, front, back), or one number for all six.
        value: the number.

    Shape:
        - input: [*, D, H, W]
        - Output: the same, but D + front + back, H + top + bottom, W + left + right

    Raises:
        RuntimeError: negative sizes cut more than there is.

    Cost: one copy of the output.

    See: `minimodels.functional.pad`; tests/nn/test_padding.py.

    Example:
        >>> import torch
        >>> ConstantPad3d(1, 9.0)(torch.zeros(1, 3, 4, 5, 6)).shape
        torch.Size([1, 3, 6, 7, 8])
    """

    dims = 3


class ZeroPad1d(_ZeroPad, ConstantPad1d):
    """Surround a signal with zeros.

    Drop-in for torch.nn.ZeroPad1d. Negative sizes cut instead.

    Args:
        padding: (before, after), or one number for both.

    Shape:
        - input: [*, L]
        - Output: the same, but L + before + after

    Raises:
        RuntimeError: negative sizes cut more than there is.

    Cost: one copy of the output.

    See: `minimodels.functional.pad`; tests/nn/test_padding.py.

    Example:
        >>> import torch
        >>> ZeroPad1d((1, 2))(torch.ones(1, 2))
        tensor([[0., 1., 1., 0., 0.]])
    """

    dims = 1


class ZeroPad2d(_ZeroPad, ConstantPad2d):
    """Surround an image with zeros.

    Drop-in for torch.nn.ZeroPad2d. Negative sizes cut instead.

    Args:
        padding: (left, right, top, bottom), or one number for all four.

    Shape:
        - input: [*, H, W]
        - Output: the same, but H + top + bottom, W + left + right

    Raises:
        RuntimeError: negative sizes cut more than there is.

    Cost: one copy of the output.

    See: `minimodels.functional.pad`; tests/nn/test_padding.py.

    Example:
        >>> import torch
        >>> ZeroPad2d(1)(torch.zeros(1, 3, 4, 5)).shape
        torch.Size([1, 3, 6, 7])
    """

    dims = 2


class ZeroPad3d(_ZeroPad, ConstantPad3d):
    """Surround a volume with zeros.

    Drop-in for torch.nn.ZeroPad3d. Negative sizes cut instead.

    Args:
        padding: (left, right, top, bottom, front, back), or one number for all six.

    Shape:
        - input: [*, D, H, W]
        - Output: the same, but D + front + back, H + top + bottom, W + left + right

    Raises:
        RuntimeError: negative sizes cut more than there is.

    Cost: one copy of the output.

    See: `minimodels.functional.pad`; tests/nn/test_padding.py.

    Example:
        >>> import torch
        >>> ZeroPad3d(1)(torch.zeros(1, 3, 4, 5, 6)).shape
        torch.Size([1, 3, 6, 7, 8])
    """

    dims = 3
