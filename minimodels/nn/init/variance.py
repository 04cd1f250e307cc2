"""Weights as large as keeps the signal's size from layer to layer: Glorot's and He's rules.

A sum of `fan` products keeps the variance of its signal if each weight has variance gain² / fan. Forwards fan is the
number of inputs, backwards that of outputs: He's rule chooses one, Glorot's takes the mean of both. A uniform number
on [−bound, bound) has variance bound² / 3, hence the √3.
"""

import math
import warnings

import torch
from torch import Tensor

from minimodels.nn.init.gain import calculate_gain, fans
from minimodels.nn.init.plain import normal_, uniform_


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
    """Fill uniformly from [−bound, bound), bound = gain·√(6 / (fan_in + fan_out)).

    Args:
        tensor: a weight [O, I, *kernel] to fill in place.
        gain: what the non-linearity takes away, see `calculate_gain`.
        generator: where the randomness comes from; None is PyTorch's own.

    Raises:
        ValueError: the tensor has fewer than two dimensions.

    References:
        X. Glorot and Y. Bengio, Understanding the difficulty of training deep feedforward neural networks,
        AISTATS 2010, https://proceedings.mlr.press/v9/glorot10a.html, equation (16).

    Example:
        >>> w = xavier_uniform_(torch.empty(60, 90))
        >>> bool(w.abs().max() <= math.sqrt(6 / 150))
        True
    """
    bound = math.sqrt(3.0) * _glorot_std(tensor, gain)
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: torch.Generator | None = None) -> Tensor:
    """Fill from the normal distribution N(0, std²), std = gain·√(2 / (fan_in + fan_out)).

    Args:
        tensor: a weight [O, I, *kernel] to fill in place.
        gain: what the non-linearity takes away, see `calculate_gain`.
        generator: where the randomness comes from; None is PyTorch's own.

    Raises:
        ValueError: the tensor has fewer than two dimensions.

    References:
        X. Glorot and Y. Bengio, Understanding the difficulty of training deep feedforward neural networks,
        AISTATS 2010, https://proceedings.mlr.press/v9/glorot10a.html, equation (12).

    Example:
        >>> xavier_normal_(torch.empty(60, 90), gain=calculate_gain("tanh")).shape
        torch.Size([60, 90])
    """
    return normal_(tensor, 0.0, _glorot_std(tensor, gain), generator)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: torch.Generator | None = None,
) -> Tensor:
    """Fill uniformly from [−bound, bound), bound = gain·√(3 / fan).

    Args:
        tensor: a weight [O, I, *kernel] to fill in place; an empty one is left alone with a warning.
        a: slope of the leaky_relu behind the layer; 0 is relu.
        mode: "fan_in" keeps the forward signal, "fan_out" the gradient.
        nonlinearity: what stands behind the layer, see `calculate_gain`.
        generator: where the randomness comes from; None is PyTorch's own.

    Raises:
        ValueError: the mode or the non-linearity is not known, or the tensor has fewer than two dimensions.

    References: He et al. 2015, arXiv:1502.01852, equations (10), (14) and (15).

    Example:
        >>> w = kaiming_uniform_(torch.empty(64, 100), a=math.sqrt(5))  # what Linear and Conv2d start from
        >>> bool(w.abs().max() <= 1 / math.sqrt(100))
        True
    """
    if _is_empty(tensor):
        return tensor
    bound = math.sqrt(3.0) * _he_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: torch.Generator | None = None,
) -> Tensor:
    """Fill from the normal distribution N(0, std²), std = gain / √fan.

    Args:
        tensor: a weight [O, I, *kernel] to fill in place; an empty one is left alone with a warning.
        a: slope of the leaky_relu behind the layer; 0 is relu.
        mode: "fan_in" keeps the forward signal, "fan_out" the gradient.
        nonlinearity: what stands behind the layer, see `calculate_gain`.
        generator: where the randomness comes from; None is PyTorch's own.

    Raises:
        ValueError: the mode or the non-linearity is not known, or the tensor has fewer than two dimensions.

    References: He et al. 2015, arXiv:1502.01852, equations (10), (14) and (15).

    Example:
        >>> w = torch.empty(64, 3, 7, 7)
        >>> kaiming_normal_(w, mode="fan_out", nonlinearity="relu").shape  # what ResNet starts from
        torch.Size([64, 3, 7, 7])
    """
    if _is_empty(tensor):
        return tensor
    return normal_(tensor, 0.0, _he_std(tensor, a, mode, nonlinearity), generator)


def _glorot_std(tensor: Tensor, gain: float) -> float:
    return gain * math.sqrt(2.0 / sum(fans(tensor)))


def _he_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    mode = mode.lower()
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"Mode {mode} not supported, please use one of ['fan_in', 'fan_out']")
    fan = fans(tensor)[0 if mode == "fan_in" else 1]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


def _is_empty(tensor: Tensor) -> bool:
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=3)
        return True
    return False
