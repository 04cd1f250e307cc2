"""Cross-entropy with class indices for a compiler, in operations whose derivatives are one loop over the scores.

    ℓ = w_y·(log Σ_c exp(x_c − m) − (x_y − m)),     ∂ℓ/∂x_c = w_y·(exp(x_c − m)/S − [c = y]),     m = max_c x_c

PyTorch's derivative of reading x_y writes zeros of the size of the scores and adds one number a place to them. A
compiler does as it is told, and passes three times more over what it writes. So here the derivative asks of each class
whether it is the true one, which needs no memory, and the whole derivative is one pass.

512 rows, forward and backward, compiled for two threads of an Intel Xeon, milliseconds through log-probabilities and
PyTorch's derivative, so, and of torch.nn.functional:

    bfloat16, 10,000 and 50,257 classes     7.1  4.7  4.8     79  36  39
    float32                                  13  4.7  7.7     73  58  63
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from minimodels.functional.losses.reduction import reduced
from minimodels.functional.losses.truth import picked, total_weight, weights_of
from minimodels.functional.precision import accumulator
from minimodels.functional.transforms import apply


def surprise_of_indices(
    scores: Tensor, target: Tensor, weight: Tensor | None, classes: int, ignore_index: int, reduction: str
) -> Tensor:
    """Compute the cross-entropy with class indices.

    Args:
        scores: x.
        target: y, a class index a place.
        weight: w, one number per class, or None.
        classes: which dimension the classes are.
        ignore_index: positions whose target is this index are ignored.
        reduction: "none", "mean" or "sum".

    Cost: one exponential per element, and once more in the backward pass; keeps the scores and two numbers per place.

    See: tests/functional/losses/test_compiled.py.

    Example:
        >>> surprise_of_indices(torch.zeros(1, 2), torch.tensor([1]), None, 1, -100, "mean")  # a coin: log 2
        tensor(0.6931)
    """
    counted = target != ignore_index
    index = target.to(torch.int64).where(counted, 0)  # an ignored index may be out of range: read any class there
    wide = scores.to(accumulator(scores.dtype))
    below = wide - wide.detach().amax(classes, keepdim=True)  # the maximum is a constant: its derivative cancels
    loss = below.exp().sum(classes).log() - apply(_Picked, below, classes, index)
    if weight is not None:
        loss = loss * weights_of(weight, index, counted)
    total = total_weight(target, weight, ignore_index, target.shape)
    return reduced(loss.where(counted, 0), reduction, total).to(scores.dtype)


class _Picked(Function):
    """The number of the true class, with a derivative that is compared and not written: it is linear."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, dim: int, index: Tensor) -> Tensor:
        ctx.save_for_backward(index)
        ctx.dim, ctx.shape = dim, values.shape
        return picked(values, dim, index)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (index,) = ctx.saved_tensors
        each = torch.arange(ctx.shape[ctx.dim], device=index.device)
        each = each.view(-1, *[1] * (len(ctx.shape) - ctx.dim - 1))
        true = index.unsqueeze(ctx.dim) == each
        return torch.where(true, gradient.unsqueeze(ctx.dim), 0), None, None
