"""Clipped lines: straight between two bounds, constant beyond them; cheap stand-ins for the sigmoid and its kin.

At the bounds themselves the derivative is PyTorch's: that of the constant side.
"""

import torch
from torch import Tensor

from minimodels.functional.activations.curves import Curve, indicator


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """Clip to a range: y = min(max(x, a), b).

    Args:
        input: any tensor of real numbers.
        min_val: a.
        max_val: b.
        inplace: write the result over the input.

    Shape:
        - input: [*]
        - Output: [*]

    Raises:
        ValueError: a is larger than b.
        RuntimeError: the input is boolean, or unsigned where a bound is negative.
        NotImplementedError: the numbers have no order (complex).

    Cost: two comparisons per element; keeps its input for the backward pass.

    References: Collobert 2004, "Large scale machine learning", PhD thesis, Université Paris VI.

    See: `minimodels.nn.Hardtanh`; tests/functional/test_activations.py.

    Example:
        >>> hardtanh(torch.tensor([-3.0, 0.5, 3.0]))
        tensor([-1.0000,  0.5000,  1.0000])
    """
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    if input.dtype == torch.bool:
        raise RuntimeError("Bool inputs not supported for hardtanh")
    if input.dtype == torch.uint8 and min(min_val, max_val) < 0:
        raise RuntimeError("cannot do hardtanh on an unsigned type with negative limits")
    if not input.is_floating_point() and not input.is_complex():
        y = input.clamp(int(min_val), int(max_val))
        return input.copy_(y) if inplace else y
    return _HARDTANH(input, min_val, max_val, inplace=inplace)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """Keep what is positive, up to 6: y = min(max(0, x), 6).

    Args:
        input: any tensor of real numbers.
        inplace: write the result over the input.

    Shape:
        - input: [*]
        - Output: [*]

    Raises:
        RuntimeError: the input is boolean.
        NotImplementedError: the numbers have no order (complex).

    Cost: two comparisons per element; keeps its input for the backward pass.

    References: Krizhevsky 2010, "Convolutional deep belief networks on CIFAR-10".

    See: `minimodels.nn.ReLU6`; tests/functional/test_activations.py.

    Example:
        >>> relu6(torch.tensor([-3.0, 0.5, 9.0]))
        tensor([0.0000, 0.5000, 6.0000])
    """
    return hardtanh(input, 0.0, 6.0, inplace)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """Approximate the sigmoid by a clipped line: y = min(max(x + 3, 0), 6) / 6.

    Args:
        input: any tensor of floating-point numbers.
        inplace: write the result over the input.

    Shape:
        - input: [*]
        - Output: [*]

    Raises:
        NotImplementedError: the input is not floating-point.

    Cost: four operations per element; keeps its input for the backward pass.

    References: Courbariaux, Bengio & David 2015, arXiv:1511.00363 (with other bounds); Howard et al. 2019,
        arXiv:1905.02244, section 5.2.

    See: `minimodels.nn.Hardsigmoid`; tests/functional/test_activations.py.

    Example:
        >>> hardsigmoid(torch.tensor([-4.0, 0.0, 4.0]))
        tensor([0.0000, 0.5000, 1.0000])
    """
    return _HARDSIGMOID(input, inplace=inplace)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """Approximate the SiLU: y = x · min(max(x + 3, 0), 6) / 6.

    Args:
        input: any tensor of floating-point numbers.
        inplace: write the result over the input.

    Shape:
        - input: [*]
        - Output: [*]

    Raises:
        NotImplementedError: the input is not floating-point.

    Cost: five operations per element; keeps its input for the backward pass.

    References: Howard et al. 2019, arXiv:1905.02244, section 5.2.

    See: `minimodels.nn.Hardswish`; tests/functional/test_activations.py.

    Example:
        >>> hardswish(torch.tensor([-4.0, 1.5, 4.0]))
        tensor([-0.0000,  1.1250,  4.0000])
    """
    return _HARDSWISH(input, inplace=inplace)


def _clip(x: Tensor, low: float, high: float) -> Tensor:
    return torch.where(x <= low, low, torch.where(x >= high, high, x))  # clamp's derivative at a bound is 1


def _clip_into(x: Tensor, y: Tensor, low: float, high: float) -> None:
    torch.clamp(x, low, high, out=y)


def _clip_slope(x: Tensor, low: float, high: float) -> Tensor:
    return indicator(torch.gt, x, low) * indicator(torch.lt, x, high)


def _hardsigmoid(x: Tensor) -> Tensor:
    return _clip(x + 3, 0, 6) / 6


def _hardsigmoid_into(x: Tensor, y: Tensor) -> None:
    torch.add(x, 3, out=y).clamp_(0, 6).div_(6)


def _hardsigmoid_slope(x: Tensor) -> Tensor:
    return _clip_slope(x, -3, 3) / 6


def _hardswish(x: Tensor) -> Tensor:
    return x * _clip(x + 3, 0, 6) / 6


def _hardswish_into(x: Tensor, y: Tensor) -> None:
    torch.add(x, 3, out=y).clamp_(0, 6).mul_(x).div_(6)


def _hardswish_slope(x: Tensor) -> Tensor:
    line = x.clamp(-3, 3) / 3 + 0.5
    return torch.addcmul(indicator(torch.ge, x, 3), line, _clip_slope(x, -3, 3))


_HARDTANH = Curve("clamp", _clip, _clip_slope, _clip_into)
_HARDSIGMOID = Curve("hardsigmoid", _hardsigmoid, _hardsigmoid_slope, _hardsigmoid_into)
_HARDSWISH = Curve("hardswish", _hardswish, _hardswish_slope, _hardswish_into)
