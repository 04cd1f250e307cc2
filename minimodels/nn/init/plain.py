"""One value, or one distribution, throughout."""

import torch
from torch import Tensor


@torch.no_grad()
def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
    """Fill with numbers drawn uniformly from [a, b): mean (a + b)/2, variance (b − a)²/12.

    Args:
        tensor: what to fill, in place and without a trace in autograd.
        a: lower bound.
        b: upper bound.
        generator: where the randomness comes from; None is PyTorch's own.

    Example:
        >>> bool((uniform_(torch.empty(100), -1, 1).abs() <= 1).all())
        True
    """
    return tensor.uniform_(a, b, generator=generator)


@torch.no_grad()
def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
    """Fill with numbers of the normal distribution N(mean, std²).

    Args:
        tensor: what to fill, in place and without a trace in autograd.
        mean: the mean.
        std: the standard deviation.
        generator: where the randomness comes from; None is PyTorch's own.

    Raises:
        RuntimeError: `std` is negative.

    Example:
        >>> normal_(torch.empty(2, 3), std=0.02).shape  # GPT-2's weights
        torch.Size([2, 3])
    """
    return tensor.normal_(mean, std, generator=generator)


@torch.no_grad()
def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with one value.

    Args:
        tensor: what to fill, in place and without a trace in autograd.
        val: the value.

    Example:
        >>> constant_(torch.empty(2), 0.3)
        tensor([0.3000, 0.3000])
    """
    return tensor.fill_(val)


def ones_(tensor: Tensor) -> Tensor:
    """Fill with ones.

    Args:
        tensor: what to fill, in place and without a trace in autograd.

    Example:
        >>> ones_(torch.empty(2))
        tensor([1., 1.])
    """
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with zeros.

    Args:
        tensor: what to fill, in place and without a trace in autograd.

    Example:
        >>> zeros_(torch.empty(2))
        tensor([0., 0.])
    """
    return constant_(tensor, 0.0)
