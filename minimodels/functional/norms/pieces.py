"""Normalisation piece by piece, each small enough to stay in the processor's cache from the first pass to the last.

Means are taken over some dimensions, so a tensor can be cut along another: rows for layer norm, groups of an image for
group norm, channels for batch norm. A piece is then normalised from beginning to end, by several passes that cost
little, and the machine's memory is read once and written once.

The derivative is written by hand. With d = x − μ, r = 1/√(σ² + ε), g = ∂y and sums over the n elements of a mean,

    ∂x = r·(γ·g − Σ γ·g / n − d · r²·Σ γ·g·d / n),   ∂γ = Σ g·d·r,   ∂β = Σ g

that is r·γ·g without its components along a shift and along a scaling of x, which do not change y. d is computed anew:
that is cheaper than to write x̂ to memory and read it back, and sums over d do not cancel as sums over x would.

References: Ioffe & Szegedy 2015, arXiv:1502.03167, section 3 (the derivative).
"""

import itertools
from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor

from minimodels.functional import placement
from minimodels.functional.norms import definition
from minimodels.functional.norms.definition import Axes, Normalized
from minimodels.functional.precision import accumulator
from minimodels.functional.transforms import apply, steps_aside

CHUNK = 1 << 17
"""Elements a piece: 512 KiB of float32, of which a core's cache holds the few that a sweep works on."""

LONG = 1 << 14
"""Elements in a row from which on `vector_norm`, which adds up without pairing, loses digits (1e-6 at 100,000)."""


def normalize(x: Tensor, weight: Tensor | None, bias: Tensor | None, axes: Axes) -> Normalized:
    """Normalise, scale and shift: the same operation as in definition.py.

    Args:
        x: what is normalised, not empty.
        weight: γ, of as many dimensions as x, broadcast along those of size 1; None is 1.
        bias: β, of the weight's shape; None is 0.
        axes: over what.

    Cost: three passes to normalise, one or two for γ and β; backward four to six; all but one read and one write
        within the cache. Kept for the derivative are x, μ and σ².

    See: definition.py; tests/functional/test_norms.py.

    Example:
        >>> normalize(torch.tensor([[1.0, 3.0, 3.0, 1.0]]), None, None, Axes((1,), eps=0.0)).output
        tensor([[-1.,  1.,  1., -1.]])
    """
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (x, weight, bias)):
        return Normalized(*apply(_Normalize, x, weight, bias, axes))
    return _normalize(x, weight, bias, axes)


def scale_and_shift(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Apply what is known beforehand: y = scale·x + shift.

    Args:
        x: any tensor, not empty.
        scale: of as many dimensions, broadcast along those of size 1.
        shift: of the scale's shape.

    Cost: two passes, one read and one write of memory.

    Example:
        >>> scale_and_shift(torch.tensor([[1.0], [2.0]]), torch.tensor([[10.0]]), torch.tensor([[1.0]]))
        tensor([[11.],
                [21.]])
    """
    return apply(_ScaleAndShift, x, scale, shift)


class _Normalize(torch.autograd.Function):
    """y = γ·(x − μ)·r + β."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, axes: Axes) -> tuple[Tensor, ...]:
        found = _normalize(x, weight, bias, axes)
        ctx.save_for_backward(x, weight, bias, found.mean, found.variance)
        ctx.axes = axes
        ctx.mark_non_differentiable(found.mean, found.variance)
        return tuple(found)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, mean, variance = ctx.saved_tensors
        wanted = ctx.needs_input_grad[:3]
        if torch.is_grad_enabled() or steps_aside(gradient):
            return (*definition.gradients(wanted, (x, weight, bias), gradient, ctx.axes), None)
        return (*_gradients(wanted, (x, weight, bias), mean, variance, gradient, ctx.axes), None)


class _ScaleAndShift(torch.autograd.Function):
    """y = scale·x + shift."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        y = torch.empty_like(x, memory_format=torch.contiguous_format)
        for x_, y_, a, b, buffer in _pieces((x, y, scale, shift), (), (scale.dtype,)):
            torch.add(torch.mul(x_, a, out=buffer), b, out=y_)
        ctx.save_for_backward(x, scale)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, scale = ctx.saved_tensors
        stretched = [dim for dim, size in enumerate(scale.shape) if size == 1]
        wide = gradient.to(scale.dtype)
        return (
            (wide * scale).to(x.dtype) if ctx.needs_input_grad[0] else None,
            (wide * x).sum(stretched, keepdim=True) if ctx.needs_input_grad[1] else None,
            wide.sum(stretched, keepdim=True) if ctx.needs_input_grad[2] else None,
        )


def _normalize(x: Tensor, weight: Tensor | None, bias: Tensor | None, axes: Axes) -> Normalized:
    """Normalise, in one sweep."""
    kind, count = accumulator(x.dtype), axes.count(x)
    sizes = [1 if dim in axes.dims else size for dim, size in enumerate(x.shape)]
    y = torch.empty_like(x, memory_format=torch.contiguous_format)
    mean, variance = x.new_empty(sizes, dtype=kind), x.new_empty(sizes, dtype=kind)
    operands = (x, y, mean, variance, _cast(weight, kind), _cast(bias, kind))
    for d, y_, m, v, gamma, beta, buffer in _pieces(operands, axes.dims, (kind,)):
        if axes.centred:
            torch.mean(d, axes.dims, keepdim=True, dtype=kind, out=m)
            torch.sub(d, m, out=buffer)
        d = buffer if axes.centred else d
        torch.div(_square_sum(d, axes.dims, kind), count, out=v)
        _scale_and_shift(d, (v + axes.eps).rsqrt_(), gamma, beta, buffer, y_)
    return Normalized(y, mean, variance)


def _gradients(
    wanted: tuple[bool, ...],
    operands: tuple[Tensor, Tensor | None, Tensor | None],
    mean: Tensor,
    variance: Tensor,
    gradient: Tensor,
    axes: Axes,
) -> tuple[Tensor | None, ...]:
    """Form ∂x, ∂γ and ∂β in one sweep."""
    x, *affine = operands
    stretched = tuple(dim for dim in range(x.ndim) if all(t is None or t.shape[dim] == 1 for t in affine))
    common = tuple(dim for dim in axes.dims if dim in stretched)  # all sums go over these, so they are taken once
    kind, count, weight = mean.dtype, axes.count(x), affine[0]
    inner = weight is not None and any(weight.shape[dim] > 1 for dim in axes.dims)  # else γ is a factor of the whole
    dx = torch.empty_like(x, memory_format=torch.contiguous_format) if wanted[0] else None
    totals = [
        x.new_zeros(t.shape, dtype=kind) if t is not None and want else None
        for t, want in zip(affine, wanted[1:], strict=True)
    ]
    rstd = (variance + axes.eps).rsqrt_()
    parts = (x, gradient, mean, rstd, _cast(weight, kind), dx, *totals)
    for d, g, m, r, gamma, dx_, dgamma, dbeta, buffer, product in _pieces(parts, axes.dims, (kind, kind)):
        d, g = torch.sub(d, m, out=buffer) if axes.centred else d, g.to(kind)
        torch.mul(g, d, out=product)
        sums, products = (t.sum(common, keepdim=True) if common else t for t in (g, product))  # Σ g and Σ g·d
        if dgamma is not None:
            dgamma.add_(_weighted_sum(products, r, stretched))
        if dbeta is not None:
            dbeta.add_(_weighted_sum(sums, None, stretched))
        if dx_ is not None:
            mean_g, mean_gd = (_weighted_sum(t, gamma if inner else None, axes.dims) / count for t in (sums, products))
            g = torch.mul(g, gamma, out=product) if inner else g
            g = torch.sub(g, mean_g, out=product) if axes.centred else g
            torch.addcmul(g, d, mean_gd * r.square(), value=-1, out=product)
            torch.mul(product, r if inner or gamma is None else r * gamma, out=dx_)
    return (dx, *(t if t is None or o is None else t.to(o.dtype) for t, o in zip(totals, affine, strict=True)))


def _pieces(
    tensors: tuple[Tensor | None, ...], dims: tuple[int, ...], buffers: tuple[torch.dtype, ...]
) -> Iterator[tuple[Any, ...]]:
    """Cut tensors along the first dimension that no mean goes over, and lend every piece buffers of some dtypes.

    The first tensor is the input. What stretches along the dimension, or is missing, goes to every piece whole; the
    buffers are the same memory every time. Where only the last dimension is left, pieces would be slivers of rows:
    then there is one.
    """
    x = tensors[0]
    assert x is not None
    dim = next((dim for dim in range(x.ndim) if dim not in dims), 0)
    size, most = x.shape[dim], placement.at_once(x, CHUNK)
    step = size if dim == x.ndim - 1 else -(-size // -(-x.numel() // most))  # rounded up, so that pieces are alike
    lent = [x.new_empty([*x.shape[:dim], step, *x.shape[dim + 1 :]], dtype=dtype) for dtype in buffers]
    if step == size:
        return iter([(*tensors, *lent)])
    count, rest = divmod(size, step)
    cut = [itertools.repeat(t) if t is None or t.shape[dim] == 1 else t.split(step, dim) for t in tensors]
    return zip(*cut, *([t] * count + [t.narrow(dim, 0, rest)] * (rest > 0) for t in lent), strict=False)


def _scale_and_shift(
    d: Tensor, r: Tensor, gamma: Tensor | None, beta: Tensor | None, buffer: Tensor, y: Tensor
) -> None:
    """Write y = γ·d·r + β, in as few passes as it takes."""
    r, gamma = _folded(r, gamma)
    if gamma is None and beta is None:
        torch.mul(d, r, out=y)
    elif gamma is None:
        torch.add(torch.mul(d, r, out=buffer), cast(Tensor, beta), out=y)
    elif beta is None:
        torch.mul(torch.mul(d, r, out=buffer), gamma, out=y)
    else:
        torch.addcmul(beta, torch.mul(d, r, out=buffer), gamma, out=y)


def _folded(r: Tensor, gamma: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Multiply r and γ beforehand if the product is small: if they do not stretch in different directions."""
    if gamma is None or (gamma.shape[-1] > 1 and r.shape[-1] == 1):
        return r, gamma
    return r * gamma, None


def _square_sum(d: Tensor, dims: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Add up squares over some dimensions; over the last one by a norm, which writes nothing."""
    last = d.ndim - 1
    if last not in dims or d.shape[last] > LONG:
        return d.to(dtype).square().sum(dims, keepdim=True)
    sums: Tensor = torch.linalg.vector_norm(d, dim=-1, keepdim=True, dtype=dtype).square()
    return sums if dims == (last,) else sums.sum(dims, keepdim=True)


def _weighted_sum(t: Tensor, weight: Tensor | None, dims: tuple[int, ...]) -> Tensor:
    """Form Σ t·weight; between rows and columns of a matrix as a product with a vector, which writes nothing."""
    if weight is None:
        return t.sum(dims, keepdim=True)
    if t.ndim == 2 and dims == (1,) and weight.shape[0] == 1:
        return t.mm(weight.t())
    if t.ndim == 2 and dims == (0,) and weight.shape[1] == 1:
        return weight.t().mm(t)
    return (t * weight).sum(dims, keepdim=True)


def _cast(t: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    return None if t is None else t.detach().to(dtype)
