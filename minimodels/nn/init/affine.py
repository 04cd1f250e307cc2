"""What Linear and the convolutions start from."""

import math

import torch
from torch import Tensor

from minimodels.nn.init.gain import fans
from minimodels.nn.init.plain import uniform_
from minimodels.nn.init.variance import kaiming_uniform_


@torch.no_grad()
def initialize_affine(weight: Tensor, bias: Tensor | None) -> None:
    """Fill a weight and its bias as torch.nn's Linear and Conv layers do: both uniformly within ±1/√fan_in.

    Args:
        weight: [O, I, *kernel]; the bound is that of `kaiming_uniform_` with a = √5.
        bias: [O], or None.

    Example:
        >>> bias = torch.empty(2)
        >>> initialize_affine(torch.empty(2, 4), bias)
        >>> bool(bias.abs().max() <= 1 / 2)
        True
    """
    if weight.is_contiguous():
        kaiming_uniform_(weight, a=math.sqrt(5))
    else:  # draw in reading order whatever the memory's order: the same seed, the same weights
        plain = torch.empty_like(weight, memory_format=torch.contiguous_format)
        weight.copy_(kaiming_uniform_(plain, a=math.sqrt(5)))
    if bias is not None:
        fan_in, _ = fans(weight)
        bound = 1 / math.sqrt(fan_in) if fan_in > 0 else 0
        uniform_(bias, -bound, bound)
