"""What element-wise functions share: an activation is a formula and its derivative, and the rest is here.

The formula is the equation of the page. Transforms and compilers get it as it is: a compiler fuses it into one pass.
Without one, every operation of a formula is a pass over memory, and so the numbers go through in chunks that stay in
the processor's cache, the passes write over one buffer where a curve says how, and the backward pass starts from the
input alone, which is kept anyway, instead of what every step of the formula would keep.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from minimodels.functional import placement
from minimodels.functional.precision import accumulator
from minimodels.functional.transforms import apply, steps_aside

CHUNK = 1 << 16
"""Elements at a time for each thread of a CPU: four buffers of them in float32, 1 MiB, fit the cache of a core.

Forward / backward of GELU on 512x3072 in milliseconds on an Intel Xeon (2 MiB of cache a core), in chunks of 2¹⁵, 2¹⁶,
2¹⁷, 2¹⁸ elements on one thread: 2.4/3.2, 1.6/2.8, 1.5/2.8, 1.6/3.3; of 2¹⁶, 2¹⁷, 2¹⁸, 2¹⁹ on two: 1.6/2.8, 1.3/2.4,
1.1/2.5, 1.2/2.6."""

DEVICE_CHUNK = 1 << 24
"""Elements at a time on an accelerator, where four times as many gain 3 % (see `placement.PIECE`)."""

KINDS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


@dataclass(frozen=True)
class Curve:
    """An element-wise function y = f(x), the same for every element.

    Args:
        name: the function's, for error messages.
        formula: (x, *settings) → f(x) in plain algebra, with PyTorch's derivative at every kink.
        slope: (x, *settings) → f′(x); differentiable itself, but x is no transform's here.
        into: (x, y, *settings): f(x) written over y in few passes, or None where the formula is as good.
        slope_into: (x, y, spare, *settings): f′(x) written over y likewise; spare is memory to be scribbled on.
        kinds: number types that f is defined for.
    """

    name: str
    formula: Callable[..., Tensor]
    slope: Callable[..., Tensor]
    into: Callable[..., Any] | None = None
    slope_into: Callable[..., Any] | None = None
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

    def unasked(self, x: Tensor) -> Tensor:
        """Send every element through at once, where the caller has asked already what a call asks.

        In a network that reads a token, between two products, the questions take as long as the curve.

        Args:
            x: a tensor on a CPU, of few numbers of 32 or 64 bits, that nobody differentiates, transforms or compiles.

        Example:
            >>> cube = Curve("cube", lambda x: x * x * x, lambda x: 3 * x * x)
            >>> cube.unasked(torch.tensor([1.0, 2.0]))
            tensor([1., 8.])
        """
        if self.into is None:
            return self.formula(x)
        y = torch.empty_like(x)
        self.into(x, y)
        return y


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
        return _carried(ctx.curve, x, gradient, ctx.settings), None, None


def _forward(curve: Curve, x: Tensor, settings: tuple[float, ...]) -> Tensor:
    """Write f(x) chunk by chunk."""
    y = torch.empty_like(x)
    if curve.into is not None and x.numel() <= at_once(x) and accumulator(x.dtype) == x.dtype:  # one piece, as it is
        curve.into(x, y, *settings)
        return y
    for a, b in widened(chunks(x, y)):
        if curve.into is None:
            b.copy_(curve.formula(a, *settings))
        else:
            curve.into(a, b, *settings)
    return y


def _carried(curve: Curve, x: Tensor, gradient: Tensor, settings: tuple[float, ...]) -> Tensor:
    """Write f′(x)·∂y chunk by chunk."""
    carried = torch.empty_like(x)
    if gradient.stride() != carried.stride():
        gradient = torch.empty_like(x).copy_(gradient)
    for a, g, b, *spare in widened(chunks(x, gradient, carried), spares=curve.slope_into is not None):
        if curve.slope_into is None:
            torch.mul(curve.slope(a, *settings), g, out=b)
        else:
            curve.slope_into(a, b, *spare, *settings)
            b.mul_(g)
    return carried


def chunks(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Cut tensors into runs of memory, if they are laid out alike and without gaps.

    Args:
        *tensors: of one shape, the last of them fresh: it lies without gaps.

    Example:
        >>> sizes = [len(x) for (x,) in chunks(torch.zeros(1 + CHUNK * torch.get_num_threads()))]
        >>> len(sizes), sizes[-1]
        (2, 1)
    """
    fresh = tensors[-1]
    most = at_once(fresh)
    if fresh.numel() <= most or any(t.stride() != fresh.stride() for t in tensors):
        yield tensors
        return
    flat = [t.as_strided((t.numel(),), (1,)) for t in tensors]
    yield from zip(*(t.split(most) for t in flat), strict=True)


def at_once(x: Tensor) -> int:
    """Count the elements of a chunk: on a CPU what fits the caches of all cores that work on it.

    Args:
        x: a tensor, of which the device counts.

    Example:
        >>> at_once(torch.zeros(1)) == CHUNK * torch.get_num_threads()
        True
    """
    return placement.at_once(x, CHUNK * torch.get_num_threads(), DEVICE_CHUNK)


def widened(pieces: Iterable[tuple[Tensor, ...]], spares: int = 0) -> Iterator[tuple[Tensor, ...]]:
    """Hand out pieces to be computed in float32 where they have 16 bits: rounded once, when the next is asked for.

    Args:
        pieces: operands, and last the result, which is written; no piece is longer than the first.
        spares: how many buffers of the type that is computed in follow the result, the same memory every time.

    Example:
        >>> y = torch.empty(2, dtype=torch.bfloat16)
        >>> for a, b in widened([(torch.ones_like(y), y)]):
        ...     b.copy_(a + 1 / 3).dtype
        torch.float32
        >>> y
        tensor([1.3359, 1.3359], dtype=torch.bfloat16)
    """
    lent: list[Tensor] = []
    for *operands, result in pieces:
        wide = accumulator(result.dtype)
        narrow = wide != result.dtype
        lent = lent or [torch.empty_like(result, dtype=wide) for _ in range(spares + narrow * (1 + len(operands)))]
        buffers = [t if t.shape == result.shape else t[: len(result)] for t in lent]
        if not narrow:
            yield (*operands, result, *buffers)
            continue
        found, *copies = buffers[spares:]
        yield (*(b.copy_(t) for b, t in zip(copies, operands, strict=True)), found, *buffers[:spares])
        result.copy_(found)
