"""Padding with the edge element, as layers."""

from minimodels.nn.padding.base import PadNd


class _ReplicationPad(PadNd):
    mode = "replicate"


class ReplicationPad1d(_ReplicationPad):
    """Surround a signal with its edge: a b c d → a a a b c d d d.

    Drop-in for torch.nn.ReplicationPad1d. Negative sizes cut instead.

    Args:
        padding: (before, after), or one number for both.

    Shape:
        - input: [N, C, L] or [C, L]
        - Output: the same, but L + before + after

    Raises:
        RuntimeError: a dimension is empty.
        NotImplementedError: the input has too few or too many dimensions.

    Cost: one copy of the output.

    See: `minimodels.functional.pad`; tests/nn/test_padding.py.

    Example:
        >>> import torch
        >>> ReplicationPad1d(2)(torch.tensor([[1, 2, 3, 4]]))
        tensor([[1, 1, 1, 2, 3, 4, 4, 4]])
    """

    dims = 1


class ReplicationPad2d(_ReplicationPad):
    """Surround an image with its edge: a b c d → a a a b c d d d.

    Drop-in for torch.nn.ReplicationPad2d. Negative sizes cut instead.

    Args:
        padding: (left, right, top, bottom), or one number for all four.

    Shape:
        - input: [N, C, H, W] or [C, H, W]
        - Output: the same, but H + top + bottom, W + left + right

    Raises:
        RuntimeError: a dimension is empty.
        NotImplementedError: the input has too few or too many dimensions.

    Cost: one copy of the output for each dimension that is padded.

    See: `minimodels.functional.pad`; tests/nn/test_padding.py.

    Example:
        >>> import torch
        >>> ReplicationPad2d(1)(torch.zeros(1, 3, 4, 5)).shape
        torch.Size([1, 3, 6, 7])
    """

    dims = 2


class ReplicationPad3d(_ReplicationPad):
    """Surround a volume with its edge: a b c d → a a a b c d d d.

    Drop-in for torch.nn.ReplicationPad3d. Negative sizes cut instead.

    Args:
        padding: (left, right, top, bottom, front, back), or one number for all six.

    Shape:
        - input: [N, C, D, H, W] or [C, D, H, W]
        - Output: the same, but D + front + back, H + top + bottom, W + left + right

    Raises:
        RuntimeError: a dimension is empty.
        NotImplementedError: the input has too few or too many dimensions.

    Cost: one copy of the output for each dimension that is padded.

    See: `minimodels.functional.pad`; tests/nn/test_padding.py.

    Example:
        >>> import torch
        >>> ReplicationPad3d(1)(torch.zeros(1, 3, 4, 5, 6)).shape
        torch.Size([1, 3, 6, 7, 8])
    """

    dims = 3
