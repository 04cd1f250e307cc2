"""Layer norm and RMS norm of the rows of a matrix, a few rows at a time, with a hand-derived backward.

Means go over a row, γ and β stand for columns: so sums over rows and over columns, weighted or not, are products of a
matrix with a vector, which read it once and write next to nothing. With d = x − μ (RMS norm: d = x),
r = 1/√(mean(d²) + ε), g = ∂y and n elements a row,

    y = γ·d·r + β
    ∂x = r·(γ·g − (g·γᵀ)/n − d·r²·((g·d)·γᵀ)/n),   ∂γ = rᵀ·(g·d),   ∂β = 1ᵀ·g

where RMS norm leaves the second term of ∂x out. What is worked on stands where the result will be: the rows of a sweep
and the result are all that the cache has to hold, and in the backward pass d, which is computed anew.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from minimodels.functional.activations.curves import at_once, widened
from minimodels.functional.norms import definition
from minimodels.functional.norms.definition import Axes
from minimodels.functional.norms.pieces import LONG
from minimodels.functional.precision import accumulator
from minimodels.functional.transforms import apply, steps_aside

Gradients = list[Tensor | None]


def normalize(x: Tensor, weight: Tensor | None, bias: Tensor | None, axes: Axes) -> Tensor:
    """Normalise every row, scale and shift: the output of definition.py.

    Args:
        x: a matrix, not empty.
        weight: γ, [1, n]; None is 1.
        bias: β, [1, n]; None is 0.
        axes: over the last dimension.

    Cost: five passes (RMS norm three), backward ten (seven); all but one read and one write within the cache. Kept for
        the derivative are x, and μ and r of each row.

    See: definition.py; tests/functional/test_norms.py.

    Example:
        >>> normalize(torch.tensor([[1.0, 3.0, 3.0, 1.0]]), None, None, Axes((1,), eps=0.0))
        tensor([[-1.,  1.,  1., -1.]])
    """
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (x, weight, bias)):
        return apply(_Rows, x, weight, bias, axes)
    return _normalize(x, weight, bias, axes)[0]


class _Rows(torch.autograd.Function):
    """y = γ·(x − μ)·r + β."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, axes: Axes) -> Tensor:
        y, mean, r = _normalize(x, weight, bias, axes)
        ctx.save_for_backward(x, weight, bias, mean, r)
        ctx.axes = axes
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, mean, r = ctx.saved_tensors
        wanted = ctx.needs_input_grad[:3]
        if torch.is_grad_enabled() or steps_aside(gradient):
            return *definition.gradients(wanted, (x, weight, bias), gradient, ctx.axes), None
        found = _gradients(wanted, x, weight, mean, r, gradient.contiguous())
        return *(None if t is None else t.to(o.dtype) for t, o in zip(found, (x, weight, bias), strict=True)), None


def _normalize(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, axes: Axes
) -> tuple[Tensor, Tensor | None, Tensor]:
    """Give y, μ and r."""
    kind = accumulator(x.dtype)
    gamma, beta = (None if t is None else t.detach().to(kind) for t in (weight, bias))
    rows, n = x.shape
    y, r, eps = torch.empty_like(x), x.new_empty(rows, 1, dtype=kind), x.new_full((1, 1), axes.eps, dtype=kind)
    mean = torch.empty_like(r) if axes.centred else None
    for start, (d, out) in _sweep(x, y):
        r_ = r[start : start + len(d)]
        if mean is not None:
            m = torch.sum(d, 1, keepdim=True, out=mean[start : start + len(d)]).div_(n)
            d = torch.sub(d, m, out=out)
        torch.addcmul(eps, _root_of_squares(d, r_), r_, value=1 / n, out=r_).rsqrt_()
        torch.mul(d, r_, out=out)
        if gamma is not None and beta is not None:
            torch.addcmul(beta, out, gamma, out=out)
        elif gamma is not None:
            out.mul_(gamma)
        elif beta is not None:
            out.add_(beta)
    return y, mean, r


def _gradients(
    wanted: tuple[bool, ...], x: Tensor, weight: Tensor | None, mean: Tensor | None, r: Tensor, gradient: Tensor
) -> Gradients:
    """Give ∂x, ∂γ and ∂β, in one sweep."""
    kind, n = r.dtype, x.shape[1]
    gamma = x.new_ones(1, n, dtype=kind) if weight is None else weight.to(kind)
    dx, ones = torch.empty_like(x), torch.ones_like(r)
    cores = torch.get_num_threads() if x.is_cpu else 1
    by_gamma, by_beta = (x.new_zeros(cores, 1, n, dtype=kind) if want else None for want in wanted[1:])
    for start, (d, g, out, *spare) in _sweep(x, gradient, dx, spares=mean is not None):
        r_, ones_ = (t[start : start + len(d)] for t in (r, ones))
        if mean is not None:
            d = torch.sub(d, mean[start : start + len(d)], out=spare[0])
        product = torch.mul(g, d, out=out)
        if by_gamma is not None:
            _add_columns(by_gamma, product, r_)
        if by_beta is not None:
            _add_columns(by_beta, g, ones_)
        if wanted[0]:
            along_d = product.mm(gamma.t()).mul_(r_).mul_(r_)
            torch.mul(g, gamma, out=out)
            if mean is not None:
                out.sub_(g.mm(gamma.t()).div_(n))
            out.addcmul_(d, along_d, value=-1 / n).mul_(r_)
    return [dx if wanted[0] else None, *(None if t is None else t.sum(0) for t in (by_gamma, by_beta))]


def _add_columns(sums: Tensor, t: Tensor, weight: Tensor) -> None:
    """Add weightᵀ·t to sums [cores, 1, n], as many rows to each as a core works on: it has them in its cache.

    A chunk of the backward pass takes 97 µs so, and 125 by one product, which lets each core sum up some columns of all
    rows (2x64 rows of 1024 on two threads of an Intel Xeon; 80 without these sums).
    """
    blocks = len(sums) if len(t) % len(sums) == 0 else 1
    into = sums[:blocks]
    torch.baddbmm(into, weight.view(blocks, 1, -1), t.view(blocks, -1, t.shape[1]), out=into)


def _sweep(*matrices: Tensor, spares: int = 0) -> Iterator[tuple[int, tuple[Tensor, ...]]]:
    """Take a few rows at a time, widened, with the number of the first."""
    rows, n = matrices[0].shape
    sweeps = -(-rows * n // at_once(matrices[0]))
    step = -(-rows // sweeps)  # so that all sweeps are alike
    step += -step % torch.get_num_threads()  # and that every core has as many rows
    starts = range(0, rows, step)
    return zip(starts, widened((tuple(t[i : i + step] for t in matrices) for i in starts), spares), strict=True)


def _root_of_squares(d: Tensor, out: Tensor) -> Tensor:
    """Give √Σd² of every row; rows too long for `vector_norm` in pairs of sums."""
    if d.shape[1] <= LONG:
        torch.linalg.vector_norm(d, dim=1, keepdim=True, out=out)
        return out
    return torch.sum(d.square(), 1, keepdim=True, out=out).sqrt_()
