"""What element-wise functions share: an activation is a formula and its derivative, and the rest is here.

The formula is the equation of the page. Transforms and compilers get it as it is: a compiler fuses it into one pass.
Without one, every operation of a formula is a pass over memory, and so the numbers go through in chunks that stay in
the processor's cache, the passes write over one buffer where a curve says how, and the backward pass starts from the
input alone, which is kept anyway, instead of what every step of the formula would keep.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from minimodels.functional.precision import accumulator
from minimodels.functional.transforms import apply, steps_aside

CHUNK = 1 << 17
"""Elements at a time: three buffers of them in float32, 1.5 MiB, fit the cache of a core. On one thread of a Xeon a
mish of 512x3072 takes 2.9 ms so, 4.4 in chunks of a sixteenth of this, and 4.3 in one piece."""

KINDS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


@dataclass(frozen=True)
class Curve:
    """An element-wise function y = f(x), the same for every element.

    Args:
        name: the function's, for error messages.
        formula: (x, *settings) → f(x) in plain algebra, with PyTorch's derivative at every kink.
        slope: (x, *settings) → f′(x); differentiable itself, but x is no transform's here.
        into: (x, y, *settings): f(x) written over y in few passes, or None where the formula is as good.
        kinds: number types that f is defined for.
    """

    name: str
    formula: Callable[..., Tensor]
    slope: Callable[..., Tensor]
    into: Callable[..., Any] | None = None
    kinds: tuple[torch.dtype, ...] = KINDS

    def __call__(self, input: Tensor, *settings: float, inplace: bool = False) -> Tensor:
        """Send every element through the curve.

        Args:
            input: any tensor.
            settings: the numbers that the curve's formula takes.
            inplace: write the result over the input; what the derivative needs of it is copied first.

        Raises:
            NotImplementedError: the curve is not defined for numbers of this type.

        Example:
            >>> cube = Curve("cube", lambda x: x * x * x, lambda x: 3 * x * x)
            >>> cube(torch.tensor([1.0, 2.0]))
            tensor([1., 8.])
        """
        if input.dtype not in self.kinds:
            raise NotImplementedError(f'"{self.name}" not implemented for {input.dtype}')
        if inplace:
            return input.copy_(self(input.clone() if torch.is_grad_enabled() else input, *settings))
        if torch.compiler.is_compiling() or steps_aside(input):
            return in_wide(self.formula, input, *settings)
        if torch.is_grad_enabled() and input.requires_grad:
            return apply(_Along, input, self, settings)
        return _forward(self, input, settings)


def indicator(comparison: Callable[..., Any], x: Tensor, bound: float) -> Tensor:
    """Give 1 where a comparison holds and 0 elsewhere, as numbers of the input's own type.

    Multiplying by it is twenty times as fast as `torch.where` on a CPU, whose kernel for it is not vectorised.

    Args:
        comparison: torch.gt, torch.le, …
        x: left side.
        bound: right side.

    Example:
        >>> indicator(torch.gt, torch.tensor([-1.0, 0.0, 2.0]), 0)
        tensor([0., 0., 1.])
    """
    x = x.detach()
    holds = torch.empty_like(x)
    comparison(x, bound, out=holds)
    return holds


def in_wide(formula: Callable[..., Tensor], *operands: Tensor | float) -> Tensor:
    """Compute in float32 what comes in 16 bits, and round once, at the end.

    Args:
        formula: what to compute.
        operands: tensors, the first of which gives the result its type, and numbers.

    Example:
        >>> in_wide(torch.exp, torch.ones(1, dtype=torch.bfloat16))
        tensor([2.7188], dtype=torch.bfloat16)
    """
    (dtype, *_) = [x.dtype for x in operands if isinstance(x, Tensor)]
    wide = accumulator(dtype)
    return formula(*(x.to(wide) if isinstance(x, Tensor) else x for x in operands)).to(dtype)


class _Along(torch.autograd.Function):
    """A curve with its derivative, which starts from the input alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, curve: Curve, settings: tuple[float, ...]) -> Tensor:
        ctx.save_for_backward(x)
        ctx.curve, ctx.settings = curve, settings
        return _forward(curve, x, settings)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        slope = ctx.curve.slope
        if torch.is_grad_enabled() or steps_aside(gradient):  # to be differentiated again, or a batch of gradients
            return in_wide(lambda x, g: g * slope(x, *ctx.settings), x, gradient), None, None
        carried = torch.empty_like(x)
        if gradient.stride() != carried.stride():
            gradient = torch.empty_like(x).copy_(gradient)
        for a, g, b in chunks(x, gradient, carried):
            if accumulator(x.dtype) != x.dtype:
                b.copy_(slope(a.to(accumulator(x.dtype)), *ctx.settings).mul_(g))
            else:
                torch.mul(slope(a, *ctx.settings), g, out=b)
        return carried, None, None


def _forward(curve: Curve, x: Tensor, settings: tuple[float, ...]) -> Tensor:
    y = torch.empty_like(x)
    for a, b in chunks(x, y):
        if curve.into is None or accumulator(x.dtype) != x.dtype:
            b.copy_(in_wide(curve.formula, a, *settings))
        else:
            curve.into(a, b, *settings)
    return y


def chunks(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Cut tensors into runs of memory, if they are laid out alike and without gaps.

    Args:
        *tensors: of one shape, the last of them fresh: it lies without gaps.

    Example:
        >>> [len(x) for (x,) in chunks(torch.zeros(CHUNK + 1))]
        [131072, 1]
    """
    first, fresh = tensors[0], tensors[-1]
    if first.numel() <= CHUNK or any(t.stride() != fresh.stride() for t in tensors) or first.device.type != "cpu":
        yield tensors
        return
    flat = [t.as_strided((t.numel(),), (1,)) for t in tensors]
    yield from zip(*(t.split(CHUNK) for t in flat), strict=True)
