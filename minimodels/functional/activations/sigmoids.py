"""Sigmoids, which level out on both sides, and their integrals and logarithms."""

import torch
from torch import Tensor

from minimodels.functional.activations.curves import Curve, indicator
from minimodels.functional.precision import autocast_to_float32


def sigmoid(input: Tensor) -> Tensor:
    """Squash into (0, 1): y = σ(x) = 1 / (1 + exp(−x)).

    Args:
        input: any tensor; integers become floating-point numbers.

    Shape:
        - input: [*]
        - Output: [*]

    Cost: one exponential per element; keeps its output for the backward pass, ∂x = ∂y·y·(1 − y).

    References: Verhulst 1845 (the logistic function); Rumelhart, Hinton & Williams 1986, doi:10.1038/323533a0.

    See: `minimodels.nn.Sigmoid`; tests/functional/test_activations.py.

    Example:
        >>> sigmoid(torch.tensor([0.0, 100.0]))
        tensor([0.5000, 1.0000])
    """
    return input.sigmoid()


def tanh(input: Tensor) -> Tensor:
    """Squash into (−1, 1): y = (exp(x) − exp(−x)) / (exp(x) + exp(−x)).

    Args:
        input: any tensor; integers become floating-point numbers.

    Shape:
        - input: [*]
        - Output: [*]

    Cost: one hyperbolic tangent per element; keeps its output for the backward pass, ∂x = ∂y·(1 − y²). The sigmoid's
        2σ(2x) − 1 is the same on paper, but loses the small numbers: at x = 1e-9 float32 gives 0.

    References: LeCun et al. 1998, "Efficient BackProp", doi:10.1007/3-540-49430-8_2, section 1.4.4.

    See: `minimodels.nn.Tanh`; tests/functional/test_activations.py.

    Example:
        >>> tanh(torch.tensor([-100.0, 0.0, 1e-9]))
        tensor([-1.0000e+00,  0.0000e+00,  1.0000e-09])
    """
    return input.tanh()


def softsign(input: Tensor) -> Tensor:
    """Squash into (−1, 1), levelling out as slowly as 1/x: y = x / (1 + |x|).

    Args:
        input: any tensor of numbers; integers become floating-point numbers.

    Shape:
        - input: [*]
        - Output: [*]

    Raises:
        NotImplementedError: the input is boolean.

    Cost: three operations per element; keeps its input for the backward pass.

    References: Glorot & Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks".

    See: `minimodels.nn.Softsign`; tests/functional/test_activations.py.

    Example:
        >>> softsign(torch.tensor([-3.0, 0.0, 1.0]))
        tensor([-0.7500,  0.0000,  0.5000])
    """
    return _SOFTSIGN(input) if input.is_floating_point() else _softsign(input)


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """Round off the kink of the rectifier: y = log(1 + exp(β·x)) / β; its derivative is the sigmoid σ(β·x).

    Args:
        input: any tensor of floating-point numbers.
        beta: β, the larger, the closer to the rectifier.
        threshold: where β·x exceeds it, y = x.

    Shape:
        - input: [*]
        - Output: [*]

    Raises:
        NotImplementedError: the input is not floating-point.

    Cost: one exponential and one logarithm per element; keeps its input for the backward pass.

    References: Dugas et al. 2001, "Incorporating second-order functional knowledge for better option pricing".

    See: `minimodels.nn.Softplus`; tests/functional/test_activations.py.

    Example:
        >>> softplus(torch.tensor([0.0, 100.0]))
        tensor([  0.6931, 100.0000])
    """
    if input.device.type != "cpu":  # where autocast counts it among the float32 operations
        input = autocast_to_float32(input, input)
    return _SOFTPLUS(input, beta, threshold)


def logsigmoid(input: Tensor) -> Tensor:
    """Take the logarithm of the sigmoid without forming it: y = log σ(x) = min(0, x) − log(1 + exp(−|x|)).

    Args:
        input: any tensor of floating-point numbers.

    Shape:
        - input: [*]
        - Output: [*]

    Raises:
        NotImplementedError: the input is not floating-point.

    Cost: one exponential and one logarithm per element; keeps its input for the backward pass, ∂x = ∂y·σ(−x).

    See: `minimodels.nn.LogSigmoid`; tests/functional/test_activations.py.

    Example:
        >>> logsigmoid(torch.tensor([-1000.0]))  # log(sigmoid(x)) would give -inf
        tensor([-1000.])
    """
    return _LOGSIGMOID(input.contiguous())  # the layout that PyTorch's gives


def _softsign(x: Tensor) -> Tensor:
    return x / (x.abs() + 1)


def _softsign_into(x: Tensor, y: Tensor) -> None:
    torch.abs(x, out=y).add_(1)
    torch.div(x, y, out=y)


def _softsign_slope(x: Tensor) -> Tensor:
    return (x.abs() + 1).square().reciprocal()


def _softplus(x: Tensor, beta: float, threshold: float) -> Tensor:
    z = beta * x
    return torch.where(z > threshold, x, z.clamp(max=threshold).exp().log1p() / beta)


def _softplus_slope(x: Tensor, beta: float, threshold: float) -> Tensor:
    z = beta * x
    return z.sigmoid().maximum(indicator(torch.gt, z, threshold))


def _logsigmoid(x: Tensor) -> Tensor:
    return -torch.logaddexp(-x, x.new_zeros(()))  # the sum above, with the derivative 1/2 at 0


def _logsigmoid_into(x: Tensor, y: Tensor) -> None:
    torch.abs(x, out=y).neg_().exp_().log1p_()
    torch.sub(x.clamp(max=0), y, out=y)


def _logsigmoid_slope(x: Tensor) -> Tensor:
    return (-x).sigmoid()


_SOFTSIGN = Curve("softsign", _softsign, _softsign_slope, _softsign_into)
_SOFTPLUS = Curve("softplus", _softplus, _softplus_slope)
_LOGSIGMOID = Curve("logsigmoid", _logsigmoid, _logsigmoid_slope, _logsigmoid_into)
