"""Rectifiers: straight lines with one kink, at which what is negative is cut off or weakened."""

import torch
from torch import Tensor

from minimodels.functional.activations.curves import KINDS, Curve, indicator
from minimodels.functional.precision import autocast_to_low_precision


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """Keep what is positive: y = max(0, x), with the derivative 0 at x = 0.

    Args:
        input: any tensor of real numbers.
        inplace: write the result over the input.

    Shape:
        - input: [*]
        - Output: [*]

    Cost: one comparison per element.

    References: Fukushima 1969, doi:10.1109/TSSC.1969.300225; Nair & Hinton 2010 (in deep networks).

    See: `minimodels.nn.ReLU`; tests/functional/test_activations.py.

    Example:
        >>> relu(torch.tensor([-1.0, 0.0, 2.0]))
        tensor([0., 0., 2.])
    """
    return torch.relu_(input) if inplace else torch.relu(input)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """Weaken what is negative instead of cutting it off: y = max(0, x) + a·min(0, x), with the derivative a at x = 0.

    Args:
        input: any tensor of floating-point numbers.
        negative_slope: a.
        inplace: write the result over the input; with any slope, where PyTorch refuses a negative one.

    Shape:
        - input: [*]
        - Output: [*]

    Raises:
        NotImplementedError: the input is not floating-point.

    Cost: three operations per element; keeps its input for the backward pass.

    References: Maas, Hannun & Ng 2013, "Rectifier nonlinearities improve neural network acoustic models".

    See: `minimodels.nn.LeakyReLU`; tests/functional/test_activations.py.

    Example:
        >>> leaky_relu(torch.tensor([-1.0, 0.0, 2.0]), 0.1)
        tensor([-0.1000,  0.0000,  2.0000])
    """
    return _LEAKY_RELU(input, negative_slope, inplace=inplace)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """Learn how much to weaken what is negative: y = max(0, x) + a·min(0, x), a one number or one per channel.

    Args:
        input: any tensor; its second dimension are the channels.
        weight: a.

    Shape:
        - input: [*] with one number, [N, C, *] with one per channel
        - weight: [] or [1] or [C]
        - Output: [*]

    Raises:
        RuntimeError: there are not as many numbers as channels, or the types differ.
        NotImplementedError: the input is not floating-point.

    Cost: four operations per element; ∂a is the sum of ∂y·min(0, x) over all elements that share a.

    References: He et al. 2015, arXiv:1502.01852, equation (1).

    See: `minimodels.nn.PReLU`; tests/functional/test_activations.py.

    Example:
        >>> prelu(torch.tensor([[-1.0, -1.0, 2.0]]), torch.tensor([0.1, 0.2, 0.3]))
        tensor([[-0.1000, -0.2000,  2.0000]])
    """
    input, weight = autocast_to_low_precision(input, input), autocast_to_low_precision(input, weight)
    if weight.dtype != input.dtype:
        raise RuntimeError(f"prelu: Type promoting not supported. Got {input.dtype} and {weight.dtype}")
    if input.dtype not in KINDS:
        raise NotImplementedError(f'"prelu" not implemented for {input.dtype}')
    _check_slopes(input, weight)
    slope = weight.view(1, -1, *[1] * (input.ndim - 2)) if input.ndim > 1 else weight.view(weight.shape[: input.ndim])
    return input.relu() + slope * input.clamp(max=0)  # of the two, one is zero


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """Replace what does not exceed a threshold: y = x if x > t, else v.

    Args:
        input: any tensor of real numbers.
        threshold: t.
        value: v.
        inplace: write the result over the input.

    Shape:
        - input: [*]
        - Output: [*]

    Raises:
        NotImplementedError: the input is boolean, or complex and so without an order.

    Cost: five operations per element; keeps its input for the backward pass.

    See: `minimodels.nn.Threshold`; tests/functional/test_activations.py.

    Example:
        >>> threshold(torch.tensor([-1.0, 0.5, 2.0]), 0.5, 20.0)
        tensor([20., 20.,  2.])
    """
    if not input.is_floating_point():
        threshold, value = int(threshold), int(value)
    return _THRESHOLD(input, threshold, value, inplace=inplace)


def _check_slopes(input: Tensor, weight: Tensor) -> None:
    if weight.ndim > 1:
        raise RuntimeError(f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {weight.ndim}")
    channels = input.shape[1] if input.ndim > 1 else 1
    if weight.numel() != 1 and input.ndim == 0:
        raise RuntimeError(f"prelu: a single number cannot have {weight.numel()} channels")
    if weight.numel() not in (1, channels):
        raise RuntimeError(
            f"Mismatch of parameter numbers and input channel size. "
            f"Found parameter numbers = {weight.numel()} and channel size = {channels}."
        )


def _leaky_relu(x: Tensor, slope: float) -> Tensor:
    return x.relu() + slope * x.clamp(max=0)


def _leaky_relu_into(x: Tensor, y: Tensor, slope: float) -> None:
    torch.clamp(x, max=0, out=y).mul_(slope).add_(x.relu())


def _leaky_relu_slope(x: Tensor, slope: float) -> Tensor:
    positive = indicator(torch.gt, x, 0)
    return positive.add(1 - positive, alpha=slope)


def _threshold(x: Tensor, bound: float, value: float) -> Tensor:
    return x.masked_fill(x <= bound, value)


def _threshold_into(x: Tensor, y: Tensor, bound: float, value: float) -> None:
    replaced = indicator(torch.le, x, bound)
    torch.clamp(x, min=bound, out=y).mul_(1 - replaced)  # clamped, no infinity comes to a zero
    y.add_(replaced, alpha=value)


def _threshold_slope(x: Tensor, bound: float, value: float) -> Tensor:
    return 1 - indicator(torch.le, x, bound)


_LEAKY_RELU = Curve("leaky_relu", _leaky_relu, _leaky_relu_slope, _leaky_relu_into)
_INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
_THRESHOLD = Curve("threshold", _threshold, _threshold_slope, _threshold_into, kinds=(*KINDS, *_INTEGERS))
