"""Hand-derived derivatives: how they are called, and when they have to step aside."""

from typing import Any, cast

import torch
from torch import Tensor
from torch.autograd import Function


def apply(function: type[Function], *operands: Any) -> Tensor:
    """Run an operation that brings its own derivative.

    Args:
        function: its forward and backward.
        operands: what `forward` takes.

    Example:
        >>> class Square(Function):
        ...     @staticmethod
        ...     def forward(ctx, x):
        ...         ctx.save_for_backward(x)
        ...         return x * x
        ...
        ...     @staticmethod
        ...     def backward(ctx, gradient):
        ...         return 2 * ctx.saved_tensors[0] * gradient
        >>> x = torch.tensor(3.0, requires_grad=True)
        >>> apply(Square, x).backward()
        >>> x.grad
        tensor(6.)
    """
    return cast(Tensor, function.apply(*operands))


def plain_autograd() -> bool:
    """Say whether ordinary reverse-mode autograd (or none) is at work, so that a hand-derived backward may run.

    `torch.func.grad`, `vmap`, `jvp` and `torch.autograd.forward_ad` push a value through rules that a
    `torch.autograd.Function` written for speed does not have; the definition, made of plain tensor algebra, has all
    of them. Under `torch.compile` the transforms are traced away, and this is a constant.

    Returns:
        True outside of every transform.

    Example:
        >>> plain_autograd(), torch.func.vmap(lambda x: x * plain_autograd())(torch.ones(1))
        (True, tensor([0.]))
    """
    if torch.compiler.is_compiling():
        return True
    return not torch._C._are_functorch_transforms_active() and torch.autograd.forward_ad._current_level < 0
