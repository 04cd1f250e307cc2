"""A normal distribution with its tails cut off, drawn by rejection: what does not fit is drawn again."""

import math
import warnings

import torch
from torch import Tensor


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Fill with numbers of the normal distribution N(mean, std²), given that they lie within [a, b].

    P = Φ((b − mean)/std) − Φ((a − mean)/std) is the part of the bell that the interval keeps. Above 0.3 normal numbers
    are drawn, and those outside drawn again: 1/P draws on average. Below, most would be thrown away; then a number is
    drawn uniformly from [a, b] and kept with probability p(x)/max p, the height of the bell above it. Either way rounds
    go on until every element has its number.

    Args:
        tensor: what to fill, in place and without a trace in autograd.
        mean: the mean of the uncut distribution.
        std: its standard deviation; that of the cut one is smaller (0.88 times for a cut at two).
        a: least value, in the units of the weights and not of `std`.
        b: greatest value.
        generator: where the randomness comes from; None is PyTorch's own.

    Raises:
        ZeroDivisionError: `std` is 0.

    References: C. P. Robert, Simulation of truncated normal variables, 1995, arXiv:0907.4010, section 2.

    Example:
        >>> w = trunc_normal_(torch.empty(1000), std=0.02, a=-0.04, b=0.04)
        >>> bool(w.abs().max() <= 0.04), bool(w.std() < 0.02)
        (True, True)
    """
    if tensor.is_meta:
        return tensor
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. "
            "The distribution of values may be incorrect.",
            stacklevel=2,
        )
    kept = _cumulative((b - mean) / std) - _cumulative((a - mean) / std)
    draw = _from_the_bell if kept > 0.3 else _from_the_interval
    with torch.no_grad():
        return draw(tensor, mean, std, a, b, generator)


def _cumulative(x: float) -> float:
    """Φ, the part of the standard normal distribution below x."""
    return (1 + math.erf(x / math.sqrt(2))) / 2


def _from_the_bell(
    tensor: Tensor, mean: float, std: float, a: float, b: float, generator: torch.Generator | None
) -> Tensor:
    low, high = (tensor.new_tensor(bound, device="cpu").item() for bound in (a, b))  # as the dtype can hold them
    tensor.normal_(mean, std, generator=generator)
    while (outside := (tensor < low) | (tensor > high)).any():
        fresh = torch.empty_like(tensor).normal_(mean, std, generator=generator)
        tensor.copy_(torch.where(outside, fresh, tensor))
    return tensor


def _from_the_interval(
    tensor: Tensor, mean: float, std: float, a: float, b: float, generator: torch.Generator | None
) -> Tensor:
    peak = -0.5 * ((max(a, min(mean, b)) - mean) / std) ** 2  # the logarithm of the greatest height within [a, b]

    def rejected(x: Tensor) -> Tensor:
        height = x.sub(mean).div_(std).pow_(2).mul_(-0.5).sub_(peak)  # log p(x)/max p
        return torch.empty_like(tensor).uniform_(generator=generator).log_() > height

    tensor.uniform_(a, b, generator=generator)
    pending = rejected(tensor)
    while pending.any():
        fresh = torch.empty_like(tensor).uniform_(a, b, generator=generator)
        tensor.copy_(torch.where(pending, fresh, tensor))
        pending &= rejected(fresh)
    return tensor
