"""What the fast algorithms of convolution share: one bilinear form read three ways, each the derivative of the others.

With an output gradient ∂y, a convolution is the number ⟨∂y, w ⋆ x⟩, linear in each of ∂y, w and x. Leave out one of
the three and what remains is a map of the other two:

    leave out ∂y   y  = w ⋆ x             the convolution
    leave out x    ∂x = input_gradient    the gradient by the input
    leave out w    ∂w = weight_gradient   the gradient by the kernel

Each of the three has the other two for derivatives, so the family is closed under differentiation: an algorithm
that brings the three has second derivatives, and any beyond, for nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from minimodels.functional.conv import definition
from minimodels.functional.precision import accumulator
from minimodels.functional.transforms import apply, owned, steps_aside
from minimodels.shapes import Windows

MANY = 1 << 18
"""Numbers of an output gradient from which they are added in two steps; see `bias_gradient`."""


@dataclass(frozen=True)
class Bilinear:
    """An algorithm: the three readings, each without a derivative of its own.

    Args:
        forward: y from x, w, bias and windows.
        backward_input: ∂x from ∂y, w, the input's spatial size and windows.
        backward_weight: ∂w from x, ∂y and windows.
    """

    forward: Callable[[Tensor, Tensor, Tensor | None, Windows], Tensor]
    backward_input: Callable[[Tensor, Tensor, tuple[int, ...], Windows], Tensor]
    backward_weight: Callable[[Tensor, Tensor, Windows], Tensor]

    def convolve(self, x: Tensor, w: Tensor, bias: Tensor | None, windows: Windows) -> Tensor:
        """Convolve: y[n, o, p] = bias[o] + Σ_c Σ_i w[o, c, i] · x[n, c, s·p + d·i].

        Args:
            x: the input.
            w: the kernel.
            bias: one number per output channel, or None.
            windows: stride, padding, dilation and groups.

        Shape:
            - x: [N, C, *size]; w: [O, C/groups, *kernel]; bias: [O]
            - Output: [N, O, *counts]
        """
        if steps_aside(x, w):
            return definition.convolve(x, w, bias, windows)
        return apply(_Convolve, x, w, bias, windows, self)

    def input_gradient(self, gradient: Tensor, w: Tensor, size: tuple[int, ...], windows: Windows) -> Tensor:
        """Carry an output gradient back to the input: ∂x[n, c, s·p + d·i] += Σ_o w[o, c, i] · ∂y[n, o, p].

        Args:
            gradient: ∂y.
            w: the kernel.
            size: the input's spatial size.
            windows: those of the convolution.

        Shape:
            - gradient: [N, O, *counts]; w: [O, C/groups, *kernel]
            - Output: [N, C, *size]
        """
        if steps_aside(gradient, w):
            x = w.new_zeros(gradient.shape[0], w.shape[1] * windows.groups, *size)
            return _by_autograd(lambda x: definition.convolve(x, w, None, windows), x, gradient)
        if not torch.is_grad_enabled():  # the derivative of a derivative is seldom asked for
            return owned(self.backward_input(gradient, w, size, windows))
        return apply(_InputGradient, gradient, w, size, windows, self)

    def weight_gradient(self, x: Tensor, gradient: Tensor, windows: Windows) -> Tensor:
        """Carry an output gradient back to the kernel: ∂w[o, c, i] = Σ_n Σ_p ∂y[n, o, p] · x[n, c, s·p + d·i].

        Args:
            x: the input.
            gradient: ∂y.
            windows: those of the convolution.

        Shape:
            - x: [N, C, *size]; gradient: [N, O, *counts]
            - Output: [O, C/groups, *kernel]
        """
        if steps_aside(x, gradient):
            w = x.new_zeros(gradient.shape[1], x.shape[1] // windows.groups, *windows.kernel)
            return _by_autograd(lambda w: definition.convolve(x, w, None, windows), w, gradient)
        if not torch.is_grad_enabled():
            return owned(self.backward_weight(x, gradient, windows))
        return apply(_WeightGradient, x, gradient, windows, self)


def bias_gradient(gradient: Tensor) -> Tensor:
    """Sum an output gradient over images and places: ∂b[o] = Σ_n Σ_p ∂y[n, o, p].

    First over the places of a channel and then over the images, where it is worth two calls. Over both at once torch
    adds number by number in bfloat16, and through the whole batch in a row. Milliseconds at once and so on two threads
    of an Intel Xeon: bfloat16, contiguous, 8x64x56x56 0.44 and 0.06, 8x256x56x56 1.9 and 0.27; float32, channels-last,
    64x32x26x26 0.170 and 0.080, 8x64x56x56 0.164 and 0.107, 64x64x11x11 0.022 and 0.017, 64x64x3x3 0.004 and 0.011. In
    float16 a sum on the way might be beyond the largest number where the whole is not.

    Args:
        gradient: ∂y.

    Shape:
        - gradient: [N, O, *counts]
        - Output: [O]

    Example:
        >>> bias_gradient(torch.ones(2, 3, 4))
        tensor([8., 8., 8.])
    """
    if gradient.dtype is accumulator(gradient.dtype):
        apart = not torch.compiler.is_compiling() and gradient.numel() >= MANY
    else:
        apart = gradient.dtype is torch.bfloat16 and gradient.is_contiguous()
    return gradient.flatten(2).sum(2).sum(0) if apart else gradient.sum((0, *range(2, gradient.ndim)))


def _by_autograd(f: Callable[[Tensor], Tensor], at: Tensor, gradient: Tensor) -> Tensor:
    """Let autograd carry a gradient back through a function that is linear, so that it does not matter where."""
    with torch.enable_grad():
        at = at.requires_grad_()
        (carried,) = torch.autograd.grad(f(at), at, gradient, create_graph=True)
    return carried


class _Convolve(torch.autograd.Function):
    """y = bias + w ⋆ x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, bias: Tensor | None, windows: Windows, algorithm: Bilinear) -> Tensor:
        by_x, by_w, *_ = ctx.needs_input_grad
        ctx.save_for_backward(x if by_w else None, w if by_x else None)  # each one's derivative needs the other
        ctx.size, ctx.windows, ctx.algorithm = tuple(x.shape[2:]), windows, algorithm
        return owned(algorithm.forward(x, w, bias, windows))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, w = ctx.saved_tensors
        by_x, by_w, by_bias, *_ = ctx.needs_input_grad
        return (
            ctx.algorithm.input_gradient(gradient, w, ctx.size, ctx.windows) if by_x else None,
            ctx.algorithm.weight_gradient(x, gradient, ctx.windows) if by_w else None,
            bias_gradient(gradient) if by_bias else None,
            None,
            None,
        )


class _InputGradient(torch.autograd.Function):
    """∂x, linear in ∂y and in w: its derivatives are a convolution and a weight gradient."""

    @staticmethod
    def forward(
        ctx: Any, gradient: Tensor, w: Tensor, size: tuple[int, ...], windows: Windows, algorithm: Bilinear
    ) -> Tensor:
        ctx.save_for_backward(gradient, w)
        ctx.windows, ctx.algorithm = windows, algorithm
        return owned(algorithm.backward_input(gradient, w, size, windows))

    @staticmethod
    def backward(ctx: Any, second: Tensor) -> tuple[Tensor | None, ...]:
        gradient, w = ctx.saved_tensors
        return (
            ctx.algorithm.convolve(second, w, None, ctx.windows) if ctx.needs_input_grad[0] else None,
            ctx.algorithm.weight_gradient(second, gradient, ctx.windows) if ctx.needs_input_grad[1] else None,
            None,
            None,
            None,
        )


class _WeightGradient(torch.autograd.Function):
    """∂w, linear in x and in ∂y: its derivatives are an input gradient and a convolution."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gradient: Tensor, windows: Windows, algorithm: Bilinear) -> Tensor:
        ctx.save_for_backward(x, gradient)
        ctx.windows, ctx.algorithm = windows, algorithm
        return owned(algorithm.backward_weight(x, gradient, windows))

    @staticmethod
    def backward(ctx: Any, second: Tensor) -> tuple[Tensor | None, ...]:
        x, gradient = ctx.saved_tensors
        size = tuple(x.shape[2:])
        return (
            ctx.algorithm.input_gradient(gradient, second, size, ctx.windows) if ctx.needs_input_grad[0] else None,
            ctx.algorithm.convolve(x, second, None, ctx.windows) if ctx.needs_input_grad[1] else None,
            None,
            None,
        )
