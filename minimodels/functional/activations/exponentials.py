"""Exponential linear units: a straight line above zero, below it an exponential that levels out.

All are one curve, y = s·(max(0, x) + a·(exp(min(0, k·x)) − 1)), with different numbers.
"""

import torch
from torch import Tensor

from minimodels.functional.activations.curves import Curve, indicator

SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """Level out below zero: y = max(0, x) + α·(exp(min(0, x)) − 1), with the derivative α at x = 0.

    Args:
        input: any tensor of floating-point numbers.
        alpha: α, how far below zero it goes.
        inplace: write the result over the input; with any α, where PyTorch refuses a negative one.

    Shape:
        - input: [*]
        - Output: [*]

    Raises:
        NotImplementedError: the input is not floating-point.

    Cost: one exponential and four other operations per element; keeps its input for the backward pass.

    References: Clevert, Unterthiner & Hochreiter 2015, arXiv:1511.07289, equation (15).

    See: `minimodels.nn.ELU`; tests/functional/test_activations.py.

    Example:
        >>> elu(torch.tensor([-100.0, 0.0, 2.0]))
        tensor([-1.,  0.,  2.])
    """
    return _ELU(input, alpha, 1.0, 1.0, inplace=inplace)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """Level out below zero, without a kink for any α: y = max(0, x) + α·(exp(min(0, x/α)) − 1).

    Args:
        input: any tensor of floating-point numbers.
        alpha: α, how far below zero it goes.
        inplace: write the result over the input.

    Shape:
        - input: [*]
        - Output: [*]

    Raises:
        RuntimeError: α is zero.
        NotImplementedError: the input is not floating-point.

    Cost: one exponential and five other operations per element; keeps its input for the backward pass.

    References: Barron 2017, arXiv:1704.07483.

    See: `minimodels.nn.CELU`; tests/functional/test_activations.py.

    Example:
        >>> celu(torch.tensor([-100.0, 0.0, 2.0]), alpha=0.5)
        tensor([-0.5000,  0.0000,  2.0000])
    """
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    return _ELU(input, alpha, 1.0, 1.0 / alpha, inplace=inplace)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """Keep mean 0 and variance 1 from layer to layer: y = λ·(max(0, x) + α·(exp(min(0, x)) − 1)).

    λ = 1.0507… and α = 1.6733… make mean 0 and variance 1 the fixed point of a layer with normalised weights.

    Args:
        input: any tensor of floating-point numbers.
        inplace: write the result over the input.

    Shape:
        - input: [*]
        - Output: [*]

    Raises:
        NotImplementedError: the input is not floating-point.

    Cost: one exponential and six other operations per element; keeps its input for the backward pass.

    References: Klambauer et al. 2017, arXiv:1706.02515, equation (2).

    See: `minimodels.nn.SELU`; tests/functional/test_activations.py.

    Example:
        >>> selu(torch.tensor([-100.0, 0.0, 1.0]))
        tensor([-1.7581,  0.0000,  1.0507])
    """
    return _ELU(input, SELU_ALPHA, SELU_SCALE, 1.0, inplace=inplace)


def _elu(x: Tensor, alpha: float, scale: float, rate: float) -> Tensor:
    return scale * (x.relu() + alpha * torch.expm1(rate * x.clamp(max=0)))


def _elu_into(x: Tensor, y: Tensor, alpha: float, scale: float, rate: float) -> None:
    torch.clamp(x, max=0, out=y)
    if rate != 1:
        y.mul_(rate)
    y.expm1_()
    if alpha * scale != 1:
        y.mul_(alpha * scale)
    y.add_(x.relu(), alpha=scale)


def _elu_slope(x: Tensor, alpha: float, scale: float, rate: float) -> Tensor:
    below = (-rate * (-x).relu()).exp() * (alpha * scale * rate)  # −relu(−x), whose derivative at 0 is PyTorch's: 0
    if alpha * rate == 1:
        return below
    return below.add(indicator(torch.gt, x, 0), alpha=scale - alpha * scale * rate)


def _elu_slope_into(x: Tensor, y: Tensor, spare: Tensor, alpha: float, scale: float, rate: float) -> None:
    torch.clamp(x, max=0, out=y).mul_(rate).exp_().mul_(alpha * scale * rate)
    if alpha * rate != 1:
        y.add_(torch.gt(x, 0, out=spare), alpha=scale - alpha * scale * rate)


_ELU = Curve("elu", _elu, _elu_slope, _elu_into, _elu_slope_into)
