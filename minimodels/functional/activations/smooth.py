"""Smooth rectifiers: the input times a gate that opens with it, so that a little of the negative side passes."""

import math

import torch
from torch import Tensor

from minimodels.functional.activations.curves import Curve
from minimodels.functional.unwatched import constant


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """Multiply x by the probability that a standard normal variable is smaller: y = x·Φ(x), Φ(x) = (1 + erf(x/√2)) / 2.

    The approximation is y = x·(1 + tanh(u)) / 2 = x·σ(2u) with u = √(2/π)·(x + 0.044715·x³), GPT-2's. The sigmoid says
    the same in one operation less, and does not lose the far negative side, where 1 + tanh(u) cancels.

    Args:
        input: any tensor of floating-point numbers.
        approximate: "none" or "tanh".

    Shape:
        - input: [*]
        - Output: [*]

    Raises:
        RuntimeError: there is no such approximation.
        NotImplementedError: the input is not floating-point.

    Cost: one error function (or sigmoid) and three (four) other operations per element; keeps its input alone for the
        backward pass, f′(x) = Φ(x) + x·φ(x) with the normal density φ: one error function and one exponential (one
        sigmoid) and seven (eight) other operations. To keep Φ(x) as well would save the error function, a sixth of
        both passes, for a tensor as large as the input.

    References: Hendrycks & Gimpel 2016, arXiv:1606.08415, section 2.

    See: `minimodels.nn.GELU`; tests/functional/test_activations.py.

    Example:
        >>> gelu(torch.tensor([0.0, 1.0]))
        tensor([0.0000, 0.8413])
    """
    if approximate not in GELUS:
        raise RuntimeError(f"approximate argument must be either none or tanh, but got {approximate!r}.")
    return GELUS[approximate](input)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """Multiply a number by its sigmoid: y = x·σ(x). Also known as swish.

    Args:
        input: any tensor of floating-point or complex numbers.
        inplace: write the result over the input.

    Shape:
        - input: [*]
        - Output: [*]

    Raises:
        NotImplementedError: the numbers are integers.

    Cost: one sigmoid and one product per element; keeps its input for the backward pass.

    References: Elfwing, Uchibe & Doya 2017, arXiv:1702.03118; Ramachandran, Zoph & Le 2017,
        arXiv:1710.05941 (as swish); Hendrycks & Gimpel 2016, arXiv:1606.08415.

    See: `minimodels.nn.SiLU`; tests/functional/test_activations.py.

    Example:
        >>> silu(torch.tensor([0.0, 1.0]))
        tensor([0.0000, 0.7311])
    """
    if input.is_complex():
        y = _silu(input.clone() if inplace else input)
        return input.copy_(y) if inplace else y
    return _SILU(input, inplace=inplace)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """Multiply a number by the tanh of its softplus: y = x·tanh(log(1 + exp(x))) = x·n/(n + 2), n = eˣ·(eˣ + 2).

    The second form needs one exponential alone. From x = 20 on n/(n + 2) is 1 in every precision, and the exponential
    stops there, before it overflows.

    Args:
        input: any tensor of floating-point numbers.
        inplace: write the result over the input.

    Shape:
        - input: [*]
        - Output: [*]

    Raises:
        NotImplementedError: the input is not floating-point.

    Cost: one exponential and six other operations per element; keeps its input for the backward pass.

    References: Misra 2019, arXiv:1908.08681, equation (1).

    See: `minimodels.nn.Mish`; tests/functional/test_activations.py.

    Example:
        >>> mish(torch.tensor([0.0, 1.0]))
        tensor([0.0000, 0.8651])
    """
    return _MISH(input, inplace=inplace)


def _gelu(x: Tensor) -> Tensor:
    return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))


def _gelu_into(x: Tensor, y: Tensor) -> None:
    torch.mul(x, -math.sqrt(0.5), out=y)
    torch.erfc(y, out=y).mul_(x).mul_(0.5)  # erfc(−z) = 1 + erf(z), which cancels far below zero


def _gelu_slope(x: Tensor) -> Tensor:
    density = torch.exp(-0.5 * x.square()) * (1 / math.sqrt(2 * math.pi))
    below = 0.5 * (1 + torch.erf(x * math.sqrt(0.5)))  # Φ(x)
    return torch.addcmul(below, x, density)


def _gelu_slope_into(x: Tensor, y: Tensor, spare: Tensor) -> None:
    torch.square(x, out=spare).mul_(-0.5).exp_()
    torch.mul(x, -math.sqrt(0.5), out=y)
    torch.erfc(y, out=y).mul_(0.5).addcmul_(x, spare, value=1 / math.sqrt(2 * math.pi))


_SLOPE = 2 * math.sqrt(2 / math.pi)  # 2u = _SLOPE·(x + _CUBIC·x³)
_CUBIC = 0.044715


def _tanh_gelu(x: Tensor) -> Tensor:
    return x * torch.sigmoid(_SLOPE * (x + _CUBIC * x * x * x))


def _tanh_gelu_into(x: Tensor, y: Tensor) -> None:
    """With 2u = x·(_SLOPE + _SLOPE·_CUBIC·x²): each operation takes the constants along, or has none."""
    torch.addcmul(constant(_SLOPE, x), x, x, value=_SLOPE * _CUBIC, out=y).mul_(x).sigmoid_().mul_(x)


def _tanh_gelu_slope(x: Tensor) -> Tensor:
    square = x.square()
    gate = torch.sigmoid(x * (_SLOPE + _SLOPE * _CUBIC * square))
    steepness = _SLOPE + 3 * _SLOPE * _CUBIC * square
    return torch.addcmul(gate, gate * (1 - gate) * x, steepness)


def _tanh_gelu_slope_into(x: Tensor, y: Tensor, gate: Tensor) -> None:
    """With v = x + _CUBIC·x³, σ = σ(_SLOPE·v): x·dv/dx = 3v − 2x, so f′ = σ + 3·_SLOPE·σ·w·(1 − σ), w = v − ⅔x."""
    torch.square(x, out=y)
    torch.addcmul(x, x, y, value=_CUBIC, out=y)
    torch.mul(y, _SLOPE, out=gate).sigmoid_()
    y.sub_(x, alpha=2 / 3)
    y.addcmul_(y, gate, value=-1)
    torch.addcmul(gate, gate, y, value=3 * _SLOPE, out=y)


def _silu(x: Tensor) -> Tensor:
    return x * x.sigmoid()


def _silu_into(x: Tensor, y: Tensor) -> None:
    torch.sigmoid(x, out=y).mul_(x)


def _silu_slope(x: Tensor) -> Tensor:
    gate = x.sigmoid()
    return torch.addcmul(gate, x * gate, 1 - gate)


def _silu_slope_into(x: Tensor, y: Tensor, spare: Tensor) -> None:
    torch.sigmoid(x, out=y)
    torch.addcmul(x, x, y, value=-1, out=spare)
    y.addcmul_(y, spare)


def _mish(x: Tensor) -> Tensor:
    e = x.clamp(max=20).exp()
    n = e * (e + 2)
    return x * (n / (n + 2))


def _mish_into(x: Tensor, y: Tensor) -> None:
    torch.clamp(x, max=20, out=y).exp_()
    y.mul_(y + 2)
    y.div_(y + 2).mul_(x)


def _mish_slope(x: Tensor) -> Tensor:
    e = x.clamp(max=20).exp()
    n = e * (e + 2)
    gate = n / (n + 2)
    return torch.addcmul(gate, x * x.sigmoid(), 1 - gate.square())


def _mish_slope_into(x: Tensor, y: Tensor, spare: Tensor) -> None:
    torch.clamp(x, max=20, out=spare).exp_()
    torch.add(spare, 2, out=y).mul_(spare)  # n
    y.div_(torch.add(y, 2, out=spare))  # the gate, n/(n + 2)
    torch.square(y, out=spare).neg_().add_(1)
    y.add_(spare.mul_(x).mul_(x.sigmoid()))


GELUS = {
    "none": Curve("gelu", _gelu, _gelu_slope, _gelu_into, _gelu_slope_into),
    "tanh": Curve("gelu", _tanh_gelu, _tanh_gelu_slope, _tanh_gelu_into, _tanh_gelu_slope_into),
}
_SILU = Curve("silu", _silu, _silu_slope, _silu_into, _silu_slope_into)
_MISH = Curve("mish", _mish, _mish_slope, _mish_into, _mish_slope_into)
