"""Padding with the mirror image, as layers."""

from minimodels.nn.padding.base import PadNd


class _ReflectionPad(PadNd):
    mode = "reflect"


class ReflectionPad1d(_ReflectionPad):
    """Surround a signal with its mirror image; the edge itself is not repeated: a b c d → c b a b c d c b.

    Drop-in for torch.nn.ReflectionPad1d. Negative sizes cut instead.

    Args:
        padding: (before, after), or one number for both.

    Shape:
        - input: [N, C, L] or [C, L]
        - Output: the same, but L + before + after

    Raises:
        RuntimeError: a size is not smaller than its dimension.
        NotImplementedError: the input has too few or too many dimensions.

    Cost: one copy of the output.

    See: `minimodels.functional.pad`; tests/nn/test_padding.py.

    Example:
        >>> import torch
        >>> ReflectionPad1d(2)(torch.tensor([[1, 2, 3, 4]]))
        tensor([[3, 2, 1, 2, 3, 4, 3, 2]])
    """

    dims = 1


class ReflectionPad2d(_ReflectionPad):
    """Surround an image with its mirror image; the edge itself is not repeated: a b c d → c b a b c d c b.

    Drop-in for torch.nn.ReflectionPad2d. Negative sizes cut instead.

    Args:
        padding: (left, right, top, bottom), or one number for all four.

    Shape:
        - input: [N, C, H, W] or [C, H, W]
        - Output: the same, but H + top + bottom, W + left + right

    Raises:
        RuntimeError: a size is not smaller than its dimension.
        NotImplementedError: the input has too few or too many dimensions.

    Cost: one copy of the output for each dimension that is padded.

    See: `minimodels.functional.pad`; tests/nn/test_padding.py.

    Example:
        >>> import torch
        >>> ReflectionPad2d(1)(torch.zeros(1, 3, 4, 5)).shape
        torch.Size([1, 3, 6, 7])
    """

    dims = 2


class ReflectionPad3d(_ReflectionPad):
    """Surround a volume with its mirror image; the edge itself is not repeated: a b c d → c b a b c d c b.

    Drop-in for torch.nn.ReflectionPad3d. Negative sizes cut instead.

    Args:
        padding: (left, right, top, bottom, front, back), or one number for all six.

    Shape:
        - input: [N, C, D, H, W] or [C, D, H, W]
        - Output: the same, but D + front + back, H + top + bottom, W + left + right

    Raises:
        RuntimeError: a size is not smaller than its dimension.
        NotImplementedError: the input has too few or too many dimensions.

    Cost: one copy of the output for each dimension that is padded.

    See: `minimodels.functional.pad`; tests/nn/test_padding.py.

    Example:
        >>> import torch
        >>> ReflectionPad3d(1)(torch.zeros(1, 3, 4, 5, 6)).shape
        torch.Size([1, 3, 6, 7, 8])
    """

    dims = 3
