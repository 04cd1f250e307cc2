"""Normalisation: subtract the mean and divide by the standard deviation over some dimensions, then scale and shift.

    μ = mean(x),   σ² = mean((x − μ)²),   x̂ = (x − μ) / √(σ² + ε),   y = γ·x̂ + β

The variance is the biased one, a mean over all n elements. Batch, layer, group and instance norm are this one operation
and differ only in the dimensions; RMS norm leaves out μ. Here it is plain tensor algebra, which serves compilers (they
fuse it), every transform, and whoever taps x̂.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from minimodels.functional.precision import accumulator
from minimodels.tap import tap


class Axes(NamedTuple):
    """Which dimensions are normalised over, and how.

    Args:
        dims: the dimensions over which mean and variance are taken.
        eps: ε, added to the variance, so that nothing is divided by zero.
        centred: subtract the mean; without it σ² is the mean square.
    """

    dims: tuple[int, ...]
    eps: float
    centred: bool = True

    def count(self, x: Tensor) -> int:
        """Count the elements that share a mean: n.

        Args:
            x: what is normalised.
        """
        return math.prod(x.shape[dim] for dim in self.dims)


class Normalized(NamedTuple):
    """The result, and the statistics that it was normalised with.

    Args:
        output: y, of the input's shape and dtype.
        mean: μ, of size 1 in the normalised dimensions and without a derivative; meaningless if not centred.
        variance: σ², likewise.
    """

    output: Tensor
    mean: Tensor
    variance: Tensor


def normalize(x: Tensor, weight: Tensor | None, bias: Tensor | None, axes: Axes) -> Normalized:
    """Normalise, scale and shift: y = γ·(x − μ) / √(σ² + ε) + β; 16-bit numbers in float32.

    Args:
        x: what is normalised.
        weight: γ, of as many dimensions as x, broadcast along those of size 1; None is 1.
        bias: β, of the weight's shape; None is 0.
        axes: the dimensions, and ε.

    Cost: about eight passes over memory, one for each operation, unless a compiler fuses them.

    See: pieces.py; tests/functional/test_norms.py.

    Example:
        >>> normalize(torch.tensor([[1.0, 3.0]]), None, None, Axes((1,), eps=0.0)).output
        tensor([[-1.,  1.]])
    """
    deviation = x.to(accumulator(x.dtype))
    mean = deviation.mean(axes.dims, keepdim=True)
    if axes.centred:
        deviation = deviation - mean
    variance = deviation.square().mean(axes.dims, keepdim=True)
    y = tap("norm.normalized", deviation * (variance + axes.eps).rsqrt())
    y = y if weight is None else y * weight
    y = y if bias is None else y + bias
    return Normalized(y.to(x.dtype), mean.detach(), variance.detach())


def gradients(
    wanted: tuple[bool, ...], operands: tuple[Tensor, Tensor | None, Tensor | None], gradient: Tensor, axes: Axes
) -> tuple[Tensor | None, ...]:
    """Differentiate the definition: for second derivatives, and for gradients that come in batches.

    Args:
        wanted: which of the three gradients.
        operands: x, γ and β.
        gradient: ∂y.
        axes: over what.

    Example:
        >>> x = torch.tensor([[1.0, 3.0]], requires_grad=True)
        >>> (by_x, *_) = gradients((True, False, False), (x, None, None), torch.ones(1, 2), Axes((1,), eps=1.0))
        >>> by_x.tolist()
        [[0.0, 0.0]]
    """
    create_graph = torch.is_grad_enabled()
    with torch.enable_grad():
        y = normalize(*operands, axes).output
        sources = [t for t, want in zip(operands, wanted, strict=True) if t is not None and want]
        found = iter(torch.autograd.grad(y, sources, gradient, create_graph=create_graph))
    return tuple(next(found) if want else None for want in wanted)
