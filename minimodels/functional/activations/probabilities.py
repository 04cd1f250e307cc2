"""Probabilities: the softmax that turns scores into them, its logarithm, and its mirror image."""

import math
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from minimodels.functional.activations.curves import at_once, widened
from minimodels.functional.precision import accumulator, autocast_to_float32, rounded
from minimodels.functional.transforms import apply, plain_autograd, steps_aside
from minimodels.tap import tap


def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: torch.dtype | None = None) -> Tensor:
    """Turn scores into probabilities: y_i = exp(x_i − m) / Σ_j exp(x_j − m) with m = max_j x_j.

    The largest score is subtracted because exp(88.8) overflows in float32, and a shift of all scores changes nothing.

    Args:
        input: the scores.
        dim: the dimension over which the probabilities add up to 1; leaving it out is deprecated, as in PyTorch.
        _stacklevel: which caller the deprecation warning points at.
        dtype: cast the input to this before anything else.

    Shape:
        - input: [*]
        - Output: [*]

    Raises:
        IndexError: there is no such dimension.
        NotImplementedError: the numbers are integers or complex and no dtype is given.

    Cost: one exponential and four passes over a few slices at a time, which stay in the cache; backward
        ∂x = y·(∂y − Σ_j y_j·∂y_j) likewise, saving y alone.

    References: Bridle 1990, doi:10.1007/978-3-642-76153-9_28.

    See: `minimodels.nn.Softmax`; tests/functional/test_activations.py.

    Example:
        >>> softmax(torch.tensor([0.0, 0.0, 1000.0]), dim=0)
        tensor([0., 0., 1.])
    """
    dim = _dimension("softmax", input, dim, _stacklevel)
    scores = _scores("softmax", input, dtype)
    if not plain_autograd() or scores.numel() == 0:
        return tap("softmax.weights", _softmax(scores, dim))
    return tap("softmax.weights", apply(_Softmax, scores, dim))


def log_softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: torch.dtype | None = None
) -> Tensor:
    """Take the logarithm of the softmax without forming it: y_i = x_i − m − log Σ_j exp(x_j − m), m = max_j x_j.

    Args:
        input: the scores.
        dim: the dimension over which the probabilities add up to 1; leaving it out is deprecated, as in PyTorch.
        _stacklevel: which caller the deprecation warning points at.
        dtype: cast the input to this before anything else.

    Shape:
        - input: [*]
        - Output: [*]

    Raises:
        IndexError: there is no such dimension.
        NotImplementedError: the numbers are integers or complex and no dtype is given.

    Cost: one exponential per element, one logarithm per slice; backward ∂x = ∂y − exp(y)·Σ_j ∂y_j, saving y alone.

    See: `minimodels.nn.LogSoftmax`; tests/functional/test_activations.py.

    Example:
        >>> log_softmax(torch.tensor([0.0, -1000.0]), dim=0)  # log(softmax(x)) would give -inf
        tensor([    0., -1000.])
    """
    dim = _dimension("log_softmax", input, dim, _stacklevel)
    scores = _scores("log_softmax", input, dtype)
    if not plain_autograd() or scores.numel() == 0:
        return _log_softmax(scores, dim)
    return apply(_LogSoftmax, scores, dim)


def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: torch.dtype | None = None) -> Tensor:
    """Turn costs into probabilities, the lower, the likelier: the softmax of −x.

    Args:
        input: the costs.
        dim: the dimension over which the probabilities add up to 1; leaving it out is deprecated, as in PyTorch.
        _stacklevel: which caller the deprecation warning points at.
        dtype: cast to this before the softmax.

    Shape:
        - input: [*]
        - Output: [*]

    Raises:
        IndexError: there is no such dimension.
        NotImplementedError: the numbers are integers or complex and no dtype is given.

    Cost: that of `softmax`, and one pass more.

    See: `minimodels.nn.Softmin`; tests/functional/test_activations.py.

    Example:
        >>> softmin(torch.tensor([0.0, 0.0, 1000.0]), dim=0)
        tensor([0.5000, 0.5000, 0.0000])
    """
    return softmax(-input, _dimension("softmin", input, dim, _stacklevel), dtype=dtype)


def _softmax(x: Tensor, dim: int) -> Tensor:
    if x.numel() == 0:  # amax of nothing is an error, softmax of nothing is nothing
        return x.exp()
    wide = x.to(accumulator(x.dtype))
    e = (wide - wide.detach().amax(dim, keepdim=True)).exp()  # the maximum is a constant: its derivative cancels
    return rounded(e / e.sum(dim, keepdim=True), x.dtype)


def _log_softmax(x: Tensor, dim: int) -> Tensor:
    if x.numel() == 0:
        return x.exp()
    wide = x.to(accumulator(x.dtype))
    shifted = wide - wide.detach().amax(dim, keepdim=True)
    return rounded(shifted - shifted.exp().sum(dim, keepdim=True).log(), x.dtype)


class _Softmax(torch.autograd.Function):
    """The softmax with its derivative, which needs the output alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, dim: int) -> Tensor:
        y = _softmax(x, dim) if _at_a_stroke(x) else _swept_softmax(x, dim)
        ctx.save_for_backward(y)
        ctx.dim = dim
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (y,) = ctx.saved_tensors
        if _at_a_stroke(y) or torch.is_grad_enabled() or steps_aside(gradient):
            wide = y.to(accumulator(y.dtype))
            share = wide * gradient
            return (share - wide * share.sum(ctx.dim, keepdim=True)).to(y.dtype), None
        carried = torch.empty_like(y)
        for p, g, out in widened(_slabs(ctx.dim, y, gradient.contiguous(), carried)):
            share = torch.mul(p, g, out=out).sum(1, keepdim=True)
            torch.sub(g, share, out=out).mul_(p)
        return carried, None


class _LogSoftmax(torch.autograd.Function):
    """The log-softmax with its derivative, which needs the output alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, dim: int) -> Tensor:
        y = _log_softmax(x, dim) if _at_a_stroke(x) else _swept_log_softmax(x, dim)
        ctx.save_for_backward(y)
        ctx.dim = dim
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (y,) = ctx.saved_tensors
        if _at_a_stroke(y) or torch.is_grad_enabled() or steps_aside(gradient):
            wide = gradient.to(accumulator(y.dtype))
            return (wide - y.to(wide.dtype).exp() * wide.sum(ctx.dim, keepdim=True)).to(y.dtype), None
        carried = torch.empty_like(y)
        for log_p, g, out in widened(_slabs(ctx.dim, y, gradient.contiguous(), carried)):
            torch.exp(log_p, out=out).mul_(g.sum(1, keepdim=True))
            torch.sub(g, out, out=out)
        return carried, None


def _swept_softmax(x: Tensor, dim: int) -> Tensor:
    y = torch.empty_like(x)
    for scores, e in widened(_slabs(dim, x, y)):
        torch.sub(scores, scores.amax(1, keepdim=True), out=e).exp_()
        e.div_(e.sum(1, keepdim=True))
    return y


def _swept_log_softmax(x: Tensor, dim: int) -> Tensor:
    y = torch.empty_like(x)
    for scores, shifted, e in widened(_slabs(dim, x, y), spares=1):
        torch.sub(scores, scores.amax(1, keepdim=True), out=shifted)
        shifted.sub_(torch.exp(shifted, out=e).sum(1, keepdim=True).log())
    return y


def _slabs(dim: int, *tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Cut contiguous tensors into few slices at a time, seen as [slices, elements of a slice, further dimensions]."""
    shape = tensors[0].shape
    dim = dim % max(1, len(shape))
    views = [
        t.view(math.prod(shape[:dim]), *shape[dim : dim + 1] or (1,), math.prod(shape[dim + 1 :])) for t in tensors
    ]
    step = max(1, at_once(tensors[0]) // max(1, views[0][0].numel()))
    return zip(*(view.split(step) for view in views), strict=True)


SMALL = 1 << 15
"""Elements up to which nothing is cut.

Microseconds of a log-softmax forward and backward on one thread of an Intel Xeon, a few rows at a time and at a stroke:
64x10 200 and 95, 64x256 367 and 117, 64x512 262 and 204, 64x1024 350 and 394.
"""


def _at_a_stroke(x: Tensor) -> bool:
    """Whether to compute on the whole: a compiler fuses it, and what is small is in the cache anyway."""
    return torch.compiler.is_compiling() or x.numel() <= SMALL


def _scores(name: str, input: Tensor, dtype: torch.dtype | None) -> Tensor:
    """Cast as asked, or as autocast does on the devices where it counts softmax among the float32 operations."""
    kind = dtype or input.dtype
    if not kind.is_floating_point:
        raise NotImplementedError(f'"{name}" not implemented for {kind}; give dtype= a floating-point type')
    if dtype is not None:
        return input.to(dtype).contiguous()
    return (input if input.device.type == "cpu" else autocast_to_float32(input, input)).contiguous()


def _dimension(name: str, input: Tensor, dim: int | None, stacklevel: int) -> int:
    """Check the dimension; guess it, with a warning, as PyTorch did before it asked for one."""
    if dim is None:
        warnings.warn(
            f"Implicit dimension choice for {name} has been deprecated. "
            "Change the call to include dim=X as an argument.",
            stacklevel=stacklevel,
        )
        dim = 0 if input.ndim in (0, 1, 3) else 1
    low, high = -max(input.ndim, 1), max(input.ndim, 1) - 1
    if not low <= dim <= high:
        raise IndexError(f"Dimension out of range (expected to be in range of [{low}, {high}], but got {dim})")
    return dim
