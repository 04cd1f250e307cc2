"""Layer norm and RMS norm of a few rows without a gradient, in as few operations as it takes.

With so few numbers every operation costs its call, so the equation is put into operations that take constants along:
with n numbers a row and d = x − (1/n)·Σx (RMS norm: d = x),

    y = β + √n·(d/h)∘γ,   h = √(Σd² + n·ε) = hypot(‖d‖, √(n·ε))

which is γ·d/√(σ² + ε) + β, since σ² = Σd²/n.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from minimodels.functional.norms.pieces import LONG
from minimodels.functional.unwatched import FEW, constant, unwatched


def serves(x: Tensor, shape: Sequence[int], eps: float, weight: Tensor | None, bias: Tensor | None = None) -> bool:
    """Say whether this file has the operation, and nobody wants more than its numbers.

    Args:
        x: what is normalised, its numbers in order: the output lies in memory as it does.
        shape: the dimensions over which, one.
        eps: ε, of which there is a root.
        weight: γ, which there has to be.
        bias: β, or None.

    Example:
        >>> x, weight = torch.ones(2, 3), torch.ones(3)
        >>> serves(x, (3,), 1e-5, weight), serves(x, (3,), 1e-5, None)
        (True, False)
    """
    return (
        unwatched(x, weight, bias)
        and weight is not None
        and not isinstance(shape, int)
        and x.shape[-1:] == tuple(shape) == weight.shape
        and x.dtype in (torch.float32, torch.float64)
        and x.dtype == weight.dtype
        and (bias is None or (bias.dtype == x.dtype and bias.shape == weight.shape))
        and 0 < x.numel() <= FEW
        and x.shape[-1] <= LONG
        and x.is_contiguous()
        and eps >= 0
    )


def normalize(x: Tensor, weight: Tensor, bias: Tensor | None, eps: float, centred: bool = True) -> Tensor:
    """Normalise the last dimension, scale and shift: the output of definition.py.

    Microseconds of a row of 768 numbers in float32 (Intel Xeon, two threads), in the cache, and after a weight has
    pushed all out of it: rows.py with what leads to it 56 and 191, this file 9 and 58, torch.nn.LayerNorm 6 and 58.

    Args:
        x: not empty, of any number of dimensions.
        weight: γ.
        bias: β; None is 0.
        eps: ε.
        centred: subtract the mean.

    Shape:
        - x: [*, n]; weight, bias: [n]
        - Output: [*, n]

    Cost: six operations (RMS norm five), of which three go over all numbers.

    See: definition.py; tests/functional/test_norms.py.

    Example:
        >>> normalize(torch.tensor([1.0, 3.0, 3.0, 1.0]), torch.ones(4), torch.ones(4), eps=0.0)
        tensor([0., 2., 2., 0.])
    """
    n = x.shape[-1]
    d = torch.sub(x, x.sum(-1, keepdim=True), alpha=1 / n) if centred else x
    h = torch.linalg.vector_norm(d, dim=-1, keepdim=True).hypot_(constant(math.sqrt(n * eps), x))
    scaled = d.div_(h) if centred else d.div(h)
    if bias is not None:
        return torch.addcmul(bias, scaled, weight, value=math.sqrt(n))
    return scaled.mul_(weight).mul_(constant(math.sqrt(n), x))
