"""Gates: one half of the input decides how much of the other half passes."""

from typing import Any

import torch
from torch import Tensor

from minimodels.functional.activations.curves import KINDS, chunks, in_wide
from minimodels.functional.precision import accumulator
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


def swiglu(gate: Tensor, up: Tensor) -> Tensor:
    """Let one tensor, through silu, gate another: y = silu(a) ⊙ b = a·σ(a)·b.

    Args:
        gate: a.
        up: b, what is gated.

    Shape:
        - gate, up: [*]
        - Output: [*]

    Raises:
        RuntimeError: the two differ in shape or type.
        NotImplementedError: the numbers are not floating-point.

    Cost: one sigmoid and two products per element; keeps a and b for the backward pass, and nothing in between.

    References: Shazeer 2020, arXiv:2002.05202, equation 5.

    See: `minimodels.nn.SwiGLU`; tests/functional/test_activations.py.

    Example:
        >>> swiglu(torch.tensor([0.0, 1.0]), torch.tensor([10.0, 10.0]))
        tensor([0.0000, 7.3106])
    """
    if gate.shape != up.shape or gate.dtype != up.dtype:
        sides = " and ".join(f"{[*t.shape]} of {t.dtype}" for t in (gate, up))
        raise RuntimeError(f"a gate and what it gates have to be alike, but are {sides}")
    if gate.dtype not in KINDS:
        raise NotImplementedError(f'"swiglu" not implemented for {gate.dtype}')
    if torch.compiler.is_compiling() or steps_aside(gate, up) or listened():
        return in_wide(_swiglu, gate, up)
    return apply(_SwiGLU, gate, up)


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


def _swiglu(a: Tensor, b: Tensor) -> Tensor:
    return tap("swiglu.gate", a * a.sigmoid()) * b


def _swiglu_slopes(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """The derivatives by a, (y·(1 − σ) + σ)·b with y = silu(a), and by b, y."""
    s = a.sigmoid()
    y = a * s
    return (y * (1 - s) + s) * b, y


class _SwiGLU(torch.autograd.Function):
    """The gated numbers with their derivatives, which start from the two operands alone, in pieces that stay in cache.

    On one thread of a Xeon, 2048x1376 numbers take 13.8 ms with backward, and 512x512 take 0.80; silu and a product as
    two operations take 18.9 and 1.27, and keep half as much again in between.
    """

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(a, b)
        if accumulator(a.dtype) != a.dtype:
            return in_wide(_swiglu, a, b)
        y = torch.empty_like(a)
        for a_i, b_i, y_i in chunks(a, b, y):
            torch.sigmoid(a_i, out=y_i).mul_(a_i).mul_(b_i)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        a, b = ctx.saved_tensors
        again = torch.is_grad_enabled() or steps_aside(gradient)  # differentiated again, or a batch of gradients
        wide = accumulator(a.dtype)
        if again or wide != a.dtype:
            by_a, by_b = (gradient * slope for slope in _swiglu_slopes(a.to(wide), b.to(wide)))
            return by_a.to(a.dtype), by_b.to(b.dtype)
        by_a, by_b = torch.empty_like(a), torch.empty_like(a)
        for a_i, b_i, g_i, x_i, y_i in chunks(a, b, gradient, by_a, by_b):
            s = a_i.sigmoid()
            torch.mul(a_i, s, out=y_i)
            torch.addcmul(y_i, y_i, s, value=-1, out=x_i).add_(s).mul_(b_i).mul_(g_i)
            y_i.mul_(g_i)
        return by_a, by_b
