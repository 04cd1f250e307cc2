"""Running statistics: what training remembers of its batches, and evaluation normalises with."""

import torch
from torch import Tensor
from torch.autograd import forward_ad

from minimodels.functional.norms import pieces
from minimodels.functional.precision import accumulator
from minimodels.functional.transforms import steps_aside


def remember(running: Tensor, value: Tensor, momentum: float | Tensor) -> None:
    """Move a running statistic towards a batch's: s ← s + m·(v − s), in place and without a derivative.

    Args:
        running: s, one number per channel.
        value: v.
        momentum: m.

    Example:
        >>> mean = torch.zeros(1)
        >>> remember(mean, torch.tensor([2.0]), 0.25)
        >>> mean
        tensor([0.5000])
    """
    with torch.no_grad():
        value = value.detach()
        if not torch.compiler.is_compiling() and forward_ad._current_level >= 0:
            value = forward_ad.unpack_dual(value).primal
        kind = accumulator(running.dtype)
        weight = momentum.to(kind) if isinstance(momentum, Tensor) else momentum
        running.copy_(torch.lerp(running.to(kind), value.to(kind), weight))


def unbiased(variance: Tensor, count: int) -> Tensor:
    """Turn a mean of squares over n elements into an estimate of the population's variance: σ²·n/(n − 1).

    Args:
        variance: σ².
        count: n.

    Example:
        >>> unbiased(torch.tensor(1.0), 2)
        tensor(2.)
    """
    return variance * (count / (count - 1)) if count > 1 else variance


def normalize(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, mean: Tensor, variance: Tensor, eps: float
) -> Tensor:
    """Normalise with statistics that are known beforehand: an affine map, y = a·x + (β − a·μ), a = γ/√(σ² + ε).

    Args:
        x: what is normalised.
        weight: γ, of as many dimensions as x, broadcast along those of size 1; None is 1.
        bias: β, likewise; None is 0.
        mean: μ, likewise.
        variance: σ², likewise.
        eps: ε, added to the variance.

    Returns:
        y of x's shape and dtype.

    Example:
        >>> one, four = torch.tensor([[1.0]]), torch.tensor([[4.0]])
        >>> normalize(torch.tensor([[5.0], [1.0]]), None, None, one, four, 0.0)
        tensor([[2.],
                [0.]])
    """
    kind = accumulator(x.dtype)
    scale = (variance.to(kind) + eps).rsqrt()
    scale = scale if weight is None else scale * weight
    shift = -mean.to(kind) * scale
    shift = shift if bias is None else shift + bias
    if torch.compiler.is_compiling() or not x.numel() or steps_aside(x, scale, shift):
        return (x * scale + shift).to(x.dtype)
    return pieces.scale_and_shift(x, scale, shift)
