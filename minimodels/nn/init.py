"""First weights: drawn at random, as large as keeps the signal's size from layer to layer.

Names, arguments and random numbers are those of torch.nn.init: the same seed gives the same weights bit for bit.
"""

import math

import torch
from torch import Tensor

_GAINS = {
    **dict.fromkeys(("linear", "conv1d", "conv2d", "conv3d", "sigmoid"), 1.0),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), 1.0),
    "tanh": 5.0 / 3,
    "relu": math.sqrt(2.0),
    "selu": 3.0 / 4,
}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Give the factor by which weights before a non-linearity are larger, to make up for what it takes away.

    linear, convolutions, sigmoid 1; tanh 5/3; relu √2; leaky_relu √(2 / (1 + a²)) with slope a; selu 3/4.

    Args:
        nonlinearity: its name in torch.nn.functional.
        param: the slope of leaky_relu, 0.01 by default.

    Raises:
        ValueError: the name or the slope is not known.

    References: He et al. 2015, arXiv:1502.01852.

    Example:
        >>> calculate_gain("relu") ** 2
        2.0000000000000004
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ValueError(f"negative_slope {param} not a valid number")
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity not in _GAINS:
        raise ValueError(f"Unsupported nonlinearity {nonlinearity}")
    return _GAINS[nonlinearity]


def fans(tensor: Tensor) -> tuple[int, int]:
    """Count the inputs that feed one output (fan in), and the outputs that one input feeds (fan out).

    Args:
        tensor: a weight [O, I, *kernel].

    Returns:
        (I·kernel, O·kernel)

    Raises:
        ValueError: the tensor has fewer than two dimensions.

    Example:
        >>> fans(torch.empty(64, 32, 3, 3))
        (288, 576)
    """
    if tensor.ndim < 2:
        raise ValueError("Fan in and fan out can not be computed for tensor with fewer than 2 dimensions")
    kernel = math.prod(tensor.shape[2:])
    return tensor.shape[1] * kernel, tensor.shape[0] * kernel


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
    """Fill with numbers drawn evenly from [a, b).

    Args:
        tensor: what to fill, in place and without a trace in autograd.
        a: lower bound.
        b: upper bound.
        generator: where the randomness comes from; None is PyTorch's own.

    Example:
        >>> bool((uniform_(torch.empty(100), -1, 1).abs() <= 1).all())
        True
    """
    with torch.no_grad():
        return tensor.uniform_(a, b, generator=generator)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: torch.Generator | None = None,
) -> Tensor:
    """Fill evenly from [−bound, bound), bound = gain·√(3 / fan), so that a layer keeps the variance of its signal.

    A sum of `fan` products keeps the variance if each weight has variance gain² / fan; a uniform number on
    [−bound, bound) has variance bound² / 3.

    Args:
        tensor: a weight [O, I, *kernel] to fill in place.
        a: slope of the leaky_relu behind the layer; 0 is relu.
        mode: "fan_in" keeps the forward signal, "fan_out" the gradient.
        nonlinearity: what stands behind the layer, see `calculate_gain`.
        generator: where the randomness comes from; None is PyTorch's own.

    Raises:
        ValueError: the mode or the non-linearity is not known, or the tensor has fewer than two dimensions.

    References: He et al. 2015, arXiv:1502.01852, equations (10) and (14).

    Example:
        >>> w = kaiming_uniform_(torch.empty(64, 100), a=math.sqrt(5))  # what Linear and Conv2d start from
        >>> bool(w.abs().max() <= 1 / math.sqrt(100))
        True
    """
    if 0 in tensor.shape:
        return tensor
    mode = mode.lower()
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"Mode {mode} not supported, please use one of ['fan_in', 'fan_out']")
    fan = fans(tensor)[0 if mode == "fan_in" else 1]
    bound = math.sqrt(3.0) * (calculate_gain(nonlinearity, a) / math.sqrt(fan))
    return uniform_(tensor, -bound, bound, generator)


def initialize_affine(weight: Tensor, bias: Tensor | None) -> None:
    """Fill a weight and its bias as torch.nn's Linear and Conv layers do: both evenly within ±1/√fan_in.

    Args:
        weight: [O, I, *kernel]; the bound is that of `kaiming_uniform_` with a = √5.
        bias: [O], or None.

    Example:
        >>> bias = torch.empty(2)
        >>> initialize_affine(torch.empty(2, 4), bias)
        >>> bool(bias.abs().max() <= 1 / 2)
        True
    """
    with torch.no_grad():
        if weight.is_contiguous():
            kaiming_uniform_(weight, a=math.sqrt(5))
        else:  # draw in reading order whatever the memory's order: the same seed, the same weights
            weight.copy_(
                kaiming_uniform_(torch.empty_like(weight, memory_format=torch.contiguous_format), a=math.sqrt(5))
            )
        if bias is not None:
            fan_in, _ = fans(weight)
            bound = 1 / math.sqrt(fan_in) if fan_in > 0 else 0
            uniform_(bias, -bound, bound)
