"""Attention as its equation: every query compares itself with every key, and takes the mean of the values by that."""

import math
from typing import Any

import torch
from torch import Tensor

from minimodels.functional.attention.masks import Band, combine_masks
from minimodels.functional.masking import dropout
from minimodels.functional.precision import accumulator
from minimodels.functional.transforms import apply, plain_autograd
from minimodels.tap import tap


def attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float | None = None) -> Tensor:
    """Compute softmax(Q·Kᵀ/√d + M)·V.

    Args:
        query: Q.
        key: K.
        value: V.
        mask: M: what is added to the scores, or booleans that say who may look where; None lets everyone look.
        scale: instead of 1/√d.

    Shape:
        - query: [..., L, d]; key: [..., S, d]; value: [..., S, e]; mask: broadcastable to [..., L, S]
        - Output: [..., L, e]

    References: Vaswani et al. 2017, arXiv:1706.03762, equation 1.

    See: tests/functional/attention/test_attention.py.

    Example:
        >>> x = torch.eye(2)
        >>> attention(x, x, x, None).argmax(-1)
        tensor([0, 1])
    """
    return attention_and_weights(query, key, value, mask, scale)[0]


def attention_and_weights(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    scale: float | None = None,
    dropout_p: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Compute W·V and the weights W = softmax(Q·Kᵀ/√d + M) themselves: how much each query looks at each key.

    Args:
        query: Q.
        key: K.
        value: V.
        mask: M: what is added to the scores, or booleans that say who may look where; None lets everyone look.
        scale: instead of 1/√d.
        dropout_p: probability with which a weight is zeroed; the rest grow by 1/(1 − p).

    Shape:
        - query: [..., L, d]; key: [..., S, d]; value: [..., S, e]; mask: broadcastable to [..., L, S]
        - Output: [..., L, e] and [..., L, S]

    Returns:
        the output, and the weights that made it, after dropout.

    Cost: (d + e)·L·S multiply-adds, and about six numbers for each of the L·S pairs in memory.

    References: Vaswani et al. 2017, arXiv:1706.03762, equation 1.

    See: tests/functional/attention/test_attention.py.

    Example:
        >>> x = torch.eye(2)
        >>> attention_and_weights(x, x, x, mask=torch.tensor([[True, False], [True, True]]), scale=1.0)[1]
        tensor([[1.0000, 0.0000],
                [0.2689, 0.7311]])
    """
    q, k, v = (t.to(accumulator(t.dtype)) for t in (query, key, value))
    scores = q * (1 / math.sqrt(q.shape[-1]) if scale is None else scale) @ k.transpose(-2, -1)  # [..., L, S]
    if mask is not None:
        scores = torch.where(mask, scores, -math.inf) if mask.dtype == torch.bool else scores + mask.to(scores.dtype)
    weights = tap("attention.weights", masked_softmax(tap("attention.scores", scores)))
    weights = dropout(weights, dropout_p)
    return tap("attention.output", (weights @ v).to(query.dtype)), weights.to(query.dtype)


def masked_softmax(scores: Tensor) -> Tensor:
    """Turn scores into weights: exp(s_j − m) / Σ_k exp(s_k − m), m = max s; a row of −∞ alone gives zeros.

    Such a row is a query that may look nowhere. Its largest score is −∞, its sum 0; with 0 and 1 in their places
    nothing is divided by zero, neither here nor in a derivative of any order.

    Args:
        scores: s, with −∞ where nobody may look.

    Shape:
        [..., L, S], as the output

    Example:
        >>> masked_softmax(torch.tensor([[0.0, 0.0], [0.0, -math.inf], [-math.inf, -math.inf]]))
        tensor([[0.5000, 0.5000],
                [1.0000, 0.0000],
                [0.0000, 0.0000]])
    """
    if scores.numel() == 0:  # there is no largest of nothing
        return scores.exp()
    return apply(_Softmax, scores) if plain_autograd() else _weights(scores)


def _weights(scores: Tensor) -> Tensor:
    e = _shifted(scores).exp()
    return e / _total(e)


def _shifted(scores: Tensor) -> Tensor:
    largest = scores.detach().amax(-1, keepdim=True)  # a constant: its derivative cancels
    return scores - torch.where(largest == -math.inf, 0.0, largest)


def _total(e: Tensor) -> Tensor:
    total = e.sum(-1, keepdim=True)
    return torch.where(total == 0, 1.0, total)


class _Softmax(torch.autograd.Function):
    """The softmax on memory of its own, with its derivative ∂s = w∘(∂w − Σ w∘∂w), which needs the weights alone.

    A compiler gets it without steps that write over their operand and hand it on: it fuses them anyway, and PyTorch
    2.11 compiled such a derivative as if zeros came from above.
    """

    @staticmethod
    def forward(ctx: Any, scores: Tensor) -> Tensor:
        if torch.compiler.is_compiling():
            weights = _weights(scores)
        else:
            e = _shifted(scores).exp_()
            weights = e.div_(_total(e))
        ctx.save_for_backward(weights)
        return weights

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (weights,) = ctx.saved_tensors
        excess: Tensor = gradient - (gradient * weights).sum(-1, keepdim=True)
        return excess * weights if torch.compiler.is_compiling() else excess.mul_(weights)


def by_autograd(
    wanted: tuple[bool, ...],
    operands: tuple[Tensor, Tensor, Tensor],
    mask: Tensor | None,
    band: Band | None,
    scale: float,
    gradient: Tensor | None,
    kept: Tensor | None = None,
    by_weights: Tensor | None = None,
) -> tuple[Tensor | None, ...]:
    """Differentiate the definition: for second derivatives, and for gradients that come in batches.

    Args:
        wanted: which operands' gradients.
        operands: Q [N, H, L, d], K [N, G, S, d] and V [N, G, S, e].
        mask: booleans, or numbers that are added.
        band: what a query may see by its place.
        scale: what the products are multiplied by.
        gradient: of the output; None where there is none.
        kept: what dropout multiplied the weights by.
        by_weights: gradient of the weights, where they were handed out.
    """
    create_graph = torch.is_grad_enabled()
    with torch.enable_grad():
        query, key, value = operands
        if band is not None:
            mask = combine_masks(band.mask(query.shape[2], key.shape[2], query.device), mask)
        share = query.shape[1] // key.shape[1]
        key, value = (t.repeat_interleave(share, 1) for t in (key, value))
        y, weights = attention_and_weights(query, key, value, mask, scale)
        y = y if kept is None else (weights * kept.to(weights.dtype)) @ value
        ends, above = zip(*((t, g) for t, g in ((y, gradient), (weights, by_weights)) if g is not None), strict=True)
        sources = [t for t, want in zip(operands, wanted, strict=True) if want]
        found = iter(torch.autograd.grad(ends, sources, above, create_graph=create_graph, allow_unused=True))
    return tuple(next(found) if want else None for want in wanted)
