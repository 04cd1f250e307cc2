"""Gates: one half of the input decides how much of the other half passes."""

from typing import Any

import torch
from torch import Tensor

from minimodels.functional.activations.curves import KINDS, in_wide
from minimodels.functional.transforms import apply, steps_aside
from minimodels.tap import listened, tap


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """Let one half of the input gate the other: y = a·σ(b) with [a, b] = x.

    Args:
        input: the two halves, side by side.
        dim: the dimension that is halved.

    Shape:
        - input: [*, 2·S, *]
        - Output: [*, S, *]

    Raises:
        RuntimeError: the dimension has no half, or there is none.
        IndexError: there is no such dimension.
        NotImplementedError: the input is not floating-point.

    Cost: one sigmoid and one product for two elements; keeps its input for the backward pass.

    References: Dauphin et al. 2016, arXiv:1612.08083, equation (1).

    See: `minimodels.nn.GLU`; tests/functional/test_activations.py.

    Example:
        >>> glu(torch.tensor([3.0, 4.0, 0.0, 100.0]))
        tensor([1.5000, 4.0000])
    """
    if input.ndim == 0:
        raise RuntimeError("glu does not support scalars because halving size must be even")
    if not -input.ndim <= dim < input.ndim:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-input.ndim}, {input.ndim - 1}], but got {dim})"
        )
    if input.shape[dim] % 2:
        raise RuntimeError(f"Halving dimension must be even, but dimension {dim} is size {input.shape[dim]}")
    if input.dtype not in KINDS:
        raise NotImplementedError(f'"glu" not implemented for {input.dtype}')
    if torch.compiler.is_compiling() or steps_aside(input) or listened():
        return in_wide(lambda x: _glu(x, dim), input)
    return apply(_GLU, input, dim)


def _glu(x: Tensor, dim: int) -> Tensor:
    a, b = _halves(x, dim)
    return a * tap("glu.gate", b.sigmoid())


def _glu_gradient(x: Tensor, gradient: Tensor, dim: int) -> Tensor:
    a, b = _halves(x, dim)
    gate = b.sigmoid()
    passed = gradient * gate
    return torch.cat((passed, passed * (1 - gate) * a), dim)


def _halves(x: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    size = x.shape[dim] // 2
    return x.narrow(dim, 0, size), x.narrow(dim, size, size)


class _GLU(torch.autograd.Function):
    """The gated half with its derivative, which starts from the input alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, dim: int) -> Tensor:
        ctx.save_for_backward(x)
        ctx.dim = dim
        return in_wide(lambda x: _glu(x, dim), x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return in_wide(lambda x, g: _glu_gradient(x, g, ctx.dim), x, gradient), None
