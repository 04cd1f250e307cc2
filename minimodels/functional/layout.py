"""Memory layouts: an operation on images hands on the layout that it was given."""

import torch
from torch import Tensor


def image_layout(*tensors: Tensor) -> torch.memory_format:
    """Name the layout for the output of an operation on images: channels-last if an operand is laid out so.

    A tensor counts as channels-last by its strides, so that an image of one channel, whose numbers lie the same way
    in both layouts, keeps the one that it was made with.

    Args:
        tensors: the operands; those without four (images) or five dimensions (volumes) do not count.

    Returns:
        torch.channels_last, torch.channels_last_3d or torch.contiguous_format.

    Example:
        >>> image_layout(torch.zeros(1, 3, 2, 2).contiguous(memory_format=torch.channels_last))
        torch.channels_last
    """
    last = [x.ndim for x in tensors if _channels_last(x)]
    return _LAYOUTS[max(last)] if last else torch.contiguous_format


_LAYOUTS = {4: torch.channels_last, 5: torch.channels_last_3d}


def _channels_last(x: Tensor) -> bool:
    """Follow the strides from the fastest dimension to the slowest: channels, columns, rows, (slices,) images."""
    if x.ndim not in _LAYOUTS or x.stride(1) == 0 or 0 in x.shape:
        return False
    if not torch.compiler.is_compiling() and 1 not in x.shape:  # the same, asked in a call or two
        if x.is_contiguous():
            return False
        if x.is_contiguous(memory_format=_LAYOUTS[x.ndim]):
            return True
    sizes, strides, least = x.shape, x.stride(), 0
    for dim in (1, *range(x.ndim - 1, 1, -1), 0):
        if strides[dim] < least or (dim == 0 and least == strides[1]):  # at the last, all else is of size one
            return False
        least = strides[dim] * max(sizes[dim], 1)
    return True
