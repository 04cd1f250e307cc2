"""Attention of all heads at once, the weights kept: for short sequences, and for dropout.

Where the weights are few, it costs more to cut them into tiles and to compute them twice than to hold them. Three large
products with all that lies between them in place, on the memory of the scores:

    W = softmax(Q·Kᵀ·c + M),   O = (W∘D)·V

D is dropout's mask, zeros and 1/(1 − p). The derivative keeps W (and D, if there is one), and nothing is computed anew:

    ∂V = (W∘D)ᵀ·g,   ∂W = (g·Vᵀ)∘D,   ∂S = W∘(∂W − δ),   δ = Σ W∘∂W = Σ g∘O,   ∂Q = c·∂S·K,   ∂K = c·∂Sᵀ·Q
"""

import math
from typing import Any

import torch
from torch import Tensor

from minimodels.functional.attention.cutting import LOWEST
from minimodels.functional.attention.definition import by_autograd
from minimodels.functional.attention.masks import Band, combine_masks
from minimodels.functional.matmul import batched_product
from minimodels.functional.precision import accumulator
from minimodels.functional.transforms import apply, steps_aside


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    band: Band | None,
    scale: float,
    dropout_p: float = 0.0,
) -> Tensor:
    """Compute dropout(softmax(scale·Q·Kᵀ + M))·V with all heads at once.

    Args:
        query: Q; every H/G of its heads share a head of keys and values.
        key: K.
        value: V.
        mask: booleans (True: may look) or numbers that are added; not differentiated.
        band: what a query may see by its place; None for everything.
        scale: what the products are multiplied by.
        dropout_p: probability with which a weight is zeroed.

    Shape:
        - query: [N, H, L, d]; key: [N, G, S, d]; value: [N, G, S, e]; mask: 4 dimensions, broadcastable to [N, H, L, S]
        - Output: [N, H, L, e]

    Cost: N·H·L·S·(d + e) multiply-adds, backward twice that. Kept are N·H·L·S weights, twice with dropout; the backward
        pass has as many beside them.

    See: definition.py; tests/functional/attention/test_algorithms.py.

    Example:
        >>> x = torch.ones(1, 1, 2, 2)
        >>> attention(x, x, torch.tensor([[[[1.0], [3.0]]]]), None, Band(), 1.0).flatten()
        tensor([1., 2.])
    """
    if torch.is_grad_enabled() and any(t.requires_grad for t in (query, key, value)):
        return apply(_Batched, query, key, value, mask, band, scale, dropout_p)
    return _forward(query, key, value, mask, band, scale, dropout_p)[0]


class _Batched(torch.autograd.Function):
    """Attention with its derivative."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, *rest: Any) -> Tensor:
        output, weights, kept = _forward(query, key, value, mask, *rest)
        ctx.save_for_backward(query, key, value, mask, output, weights, kept)
        ctx.rest = rest
        return output

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, mask, output, weights, kept = ctx.saved_tensors
        band, scale, _ = ctx.rest
        if torch.is_grad_enabled() or steps_aside(gradient):
            wanted = ctx.needs_input_grad[:3]
            found = by_autograd(wanted, (query, key, value), mask, band, scale, gradient, kept)
        else:
            found = _backward(query, key, value, scale, output, weights, kept, gradient)
        return (*found, None, None, None, None)


def _forward(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, band: Band | None, scale: float, dropout_p: float
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Give the output, the weights, and dropout's mask."""
    shape = *query.shape[:3], key.shape[2]
    q, k, v = _rows(query, key), _rows(key, key), _rows(value, key)
    weights = batched_product(q * scale, k).view(shape)
    _softmax_(weights, _everything(mask, band, weights), blind=mask is not None or not _all_see(band, shape))
    kept = _kept(weights, dropout_p) if dropout_p > 0 else None
    dropped = weights if kept is None else weights * kept
    output = batched_product(_rows(dropped, key), v.transpose(1, 2))
    return output.view(*shape[:3], -1).to(query.dtype), weights, kept


def _softmax_(scores: Tensor, mask: Tensor | None, blind: bool) -> None:
    """Turn scores into weights in place.

    Args:
        scores: [N, H, L, S].
        mask: booleans, or numbers that are added.
        blind: some queries may see nothing.
    """
    if mask is not None:
        scores.add_(torch.where(mask, 0.0, -math.inf) if mask.dtype == torch.bool else mask)
    largest = scores.amax(-1, keepdim=True)
    if blind:
        largest.clamp_(min=torch.finfo(scores.dtype).min)  # −∞ − (−∞) is no number
    scores.sub_(largest).clamp_(min=LOWEST).exp_()
    if mask is not None:
        scores.mul_(mask if mask.dtype == torch.bool else mask > -math.inf)
    total = scores.sum(-1, keepdim=True)
    scores.div_(total.clamp_(min=1) if blind else total)  # the largest adds exp(0), wherever anything is seen


def _backward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    scale: float,
    output: Tensor,
    weights: Tensor,
    kept: Tensor | None,
    gradient: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Give ∂Q, ∂K and ∂V."""
    q, k, v, g = (_rows(t, key) for t in (query, key, value, gradient))
    dropped = _rows(weights if kept is None else weights * kept, key)
    dv = batched_product(dropped.transpose(1, 2), g.transpose(1, 2))
    ds = batched_product(g, v).view(weights.shape)
    if kept is not None:
        ds.mul_(kept)
    delta = (gradient.to(ds.dtype) * output).sum(-1, keepdim=True)
    ds = _rows(ds.sub_(delta).mul_(weights), key)
    dq = batched_product(ds, k.transpose(1, 2)).mul_(scale)
    dk = batched_product(ds.transpose(1, 2), q.transpose(1, 2)).mul_(scale)
    return dq.view(query.shape).to(query.dtype), dk.view(key.shape).to(key.dtype), dv.view(value.shape).to(value.dtype)


def _rows(t: Tensor, key: Tensor) -> Tensor:
    """Put the rows of all heads that share keys below each other, [N·G, share·rows, …], in the type of sums."""
    heads = key.shape[0] * key.shape[1]
    return t.to(accumulator(t.dtype)).reshape(heads, -1, t.shape[-1])


def _everything(mask: Tensor | None, band: Band | None, scores: Tensor) -> Tensor | None:
    """Write the band into the mask."""
    return mask if band is None else combine_masks(band.mask(scores.shape[2], scores.shape[3], scores.device), mask)


def _all_see(band: Band | None, shape: tuple[int, ...]) -> bool:
    return band is None or band.reaches(shape[2], shape[3])


def _kept(weights: Tensor, p: float) -> Tensor:
    """Draw dropout's mask as `dropout` does."""
    return torch.zeros_like(weights) if p == 1 else torch.empty_like(weights).bernoulli_(1 - p).div_(1 - p)
