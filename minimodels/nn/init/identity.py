"""A layer that hands on what comes in, as far as its sizes allow."""

import torch
from torch import Tensor


def eye_(tensor: Tensor) -> Tensor:
    """Fill a matrix with the identity: a Linear layer hands on as many inputs as it has outputs.

    Args:
        tensor: [O, I], filled in place and without a trace in autograd.

    Raises:
        ValueError: the tensor does not have two dimensions.

    Example:
        >>> eye_(torch.empty(2, 3))
        tensor([[1., 0., 0.],
                [0., 1., 0.]])
    """
    if tensor.ndim != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")
    with torch.no_grad():
        torch.eye(*tensor.shape, out=tensor, requires_grad=tensor.requires_grad)
    return tensor


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Fill a convolution's weight with Dirac's delta: a one in the middle of the kernel, on the diagonal of channels.

    The layer then hands on as many channels as it can, in each of its groups.

    Args:
        tensor: [O, I / groups, *kernel] with one to three kernel dimensions, filled without a trace in autograd.
        groups: the groups of the convolution; they divide O.

    Raises:
        ValueError: the tensor does not have three to five dimensions, or the groups do not divide O.

    Example:
        >>> dirac_(torch.empty(2, 2, 3))[1]
        tensor([[0., 0., 0.],
                [0., 1., 0.]])
    """
    if tensor.ndim not in (3, 4, 5):
        raise ValueError("Only tensors with 3, 4, or 5 dimensions are supported")
    if tensor.shape[0] % groups != 0:
        raise ValueError("dim 0 must be divisible by groups")
    if tensor.is_meta:
        return tensor
    outputs = tensor.shape[0] // groups
    middle = tensor
    for size in reversed(tensor.shape[2:]):
        middle = middle.select(-1, size // 2)  # in the end [O, I / groups]
    with torch.no_grad():
        tensor.zero_()
        for group in range(groups):
            middle.narrow(0, group * outputs, outputs).diagonal().fill_(1)
    return tensor
