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


def owned(result: Tensor) -> Tensor:
    """Hand out a forward's result as a tensor of its own, where it is a view of memory that the forward made.

    Autograd refuses to let anybody write to a view that a `torch.autograd.Function` returns, as `ReLU(inplace=True)`
    behind a layer does.

    Args:
        result: what a `forward` made.

    Example:
        >>> class Turned(Function):
        ...     @staticmethod
        ...     def forward(ctx, x):
        ...         return owned((2 * x).t())
        >>> apply(Turned, torch.ones(1, 2, requires_grad=True)).add_(1).shape
        torch.Size([2, 1])
    """
    return result.detach()


def plain_autograd() -> bool:
    """Say whether ordinary reverse-mode autograd (or none) is at work, so that a hand-derived backward may run.

    `torch.func.grad`, `vmap`, `jvp` and `torch.autograd.forward_ad` push a value through rules that a
    `torch.autograd.Function` written for speed does not have, and `torch.jit.trace` records only plain operations;
    the definition, made of plain tensor algebra, serves them all.

    Returns:
        True outside of every transform.

    Example:
        >>> plain_autograd(), torch.func.vmap(lambda x: x * plain_autograd())(torch.ones(1))
        (True, tensor([0.]))
    """
    if torch._C._are_functorch_transforms_active():  # a compiler sees through this question, not through the next
        return False
    if torch.compiler.is_compiling():
        return True
    return torch.autograd.forward_ad._current_level < 0 and torch._C._get_tracing_state() is None


def steps_aside(*operands: Tensor) -> bool:
    """Say whether an operation on these operands has to be left to the definition.

    Beside the transforms of `plain_autograd` these are batches of gradients, as
    `torch.autograd.functional.jacobian(..., vectorize=True)` hands to a backward pass.

    Args:
        operands: what goes in.

    Example:
        >>> steps_aside(torch.ones(1))
        False
    """
    if not plain_autograd():
        return True
    return not torch.compiler.is_compiling() and any(map(torch._C._functorch.is_legacy_batchedtensor, operands))
