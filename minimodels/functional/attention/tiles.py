"""Attention whose memory grows with the length, not with its square: a few rows of the weights at a time.

A tile is some queries of some heads against all the keys that they see. Its scores live in one small buffer that every
tile uses again, and that stays in the processor's cache from the product that fills it to the product that empties it.
The row is whole, so its softmax is the exact one: no running maximum has to be corrected, as it would be with tiles
of keys. Causality cuts the row at the diagonal, a window at its other end too: what nobody may see is not computed.

With e = exp(s − m), m = max s and l = Σ e of every row, the weights are p = e / l and the output is o = e·V / l.
The derivative, from g = ∂o, is

    ∂V = pᵀ·g,   ∂p = g·Vᵀ,   ∂s = p∘(∂p − δ),  δ = Σ p∘∂p = Σ g∘o,   ∂Q = ∂s·K,   ∂K = ∂sᵀ·Q

The backward pass makes the scores anew from Q and K, as it has not kept them. It keeps m and l, two numbers a row.
(m + log l, which one would rather keep, loses l where m is huge: where a mask adds the smallest of all numbers.) 1/l is
made a factor of g, which has few columns, so that e serves in the place of p: no pass over the tile divides.

References: Milakov & Gimelshein 2018, arXiv:1805.02867 (softmax and memory); Rabe & Staats 2021, arXiv:2112.05682
(attention in pieces); Dao et al. 2022, arXiv:2205.14135, sections 3.1 and B.2 (the tiles, and the derivative).
"""

from typing import Any

import torch
from torch import Tensor

from minimodels.functional.attention.cutting import Cut
from minimodels.functional.attention.definition import by_autograd
from minimodels.functional.attention.masks import Band
from minimodels.functional.matmul import add_batched_product_, batched_product
from minimodels.functional.transforms import apply, steps_aside


def attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, band: Band | None, scale: float
) -> Tensor:
    """Compute softmax(scale·Q·Kᵀ + M)·V in tiles.

    Args:
        query: Q; every H/G of its heads share a head of keys and values.
        key: K.
        value: V.
        mask: booleans (True: may look) or numbers that are added; not differentiated.
        band: what a query may see by its place; None for everything.
        scale: what the products are multiplied by.

    Shape:
        - query: [N, H, L, d]; key: [N, G, S, d]; value: [N, G, S, e]; mask: 4 dimensions, broadcastable to [N, H, L, S]
        - Output: [N, H, L, e], laid out as the query is where d = e

    Cost: L·S·(d + e) multiply-adds a head, of which a causal band leaves half; backward 2.5 times that. Peak memory one
        tile of scores (two in the backward pass) and what a few heads take; Q, K, V, the output and two numbers a query
        are kept.

    See: definition.py; tests/functional/attention/test_algorithms.py.

    Example:
        >>> x = torch.ones(1, 1, 2, 2)
        >>> attention(x, x, torch.tensor([[[[1.0], [3.0]]]]), None, Band(), 1.0).flatten()
        tensor([1., 2.])
    """
    if torch.is_grad_enabled() and any(t.requires_grad for t in (query, key, value)):
        return apply(_Tiled, query, key, value, mask, band, scale)
    return _forward(Cut(query, key, mask, band), query, key, value, scale)[0]


class _Tiled(torch.autograd.Function):
    """Attention in tiles, with its derivative in tiles."""

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, band: Band | None, scale: float
    ) -> Tensor:
        output, largest, total = _forward(Cut(query, key, mask, band), query, key, value, scale)
        ctx.save_for_backward(query, key, value, mask, output, largest, total)
        ctx.band, ctx.scale = band, scale
        return output

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, mask, output, largest, total = ctx.saved_tensors
        if torch.is_grad_enabled() or steps_aside(gradient):
            wanted = ctx.needs_input_grad[:3]
            found = by_autograd(wanted, (query, key, value), mask, ctx.band, ctx.scale, gradient)
        else:
            cut = Cut(query, key, mask, ctx.band)
            found = _backward(cut, query, key, value, ctx.scale, output, largest, total, gradient)
        return (*found, None, None, None)


def _forward(cut: Cut, query: Tensor, key: Tensor, value: Tensor, scale: float) -> tuple[Tensor, Tensor, Tensor]:
    """Give the output, and of every row of scores the largest and the sum of exponentials."""
    width = value.shape[-1]
    output = torch.empty_like(query) if width == query.shape[-1] else query.new_empty(*query.shape[:3], width)
    queries, outputs = cut.by_heads(query), cut.by_heads(output)  # [N, G, share, L, …]
    largest, total = queries.new_empty(2, *queries.shape[:4], 1, dtype=cut.dtype)
    if cut.blind:  # queries that see nothing may be in no tile
        output.zero_()
        largest.zero_()
        total.fill_(1)
    for step, tiles in cut.steps(query):
        q = (queries[step].to(cut.dtype) * scale).flatten(0, 1)  # [P, share, L, d]
        k, v = (t[step].flatten(0, 1).to(cut.dtype) for t in (key, value))  # [P, S, …]
        largest_, total_, output_ = largest[step].flatten(0, 1), total[step].flatten(0, 1), outputs[step]
        v = v.transpose(1, 2)
        for tile in tiles:
            rows, columns, scores, by_head, *_ = tile
            batched_product(q[:, :, rows].flatten(1, 2), k[:, columns], out=scores)
            cut.hide_(tile, step)
            m = torch.amax(by_head, -1, keepdim=True, out=largest_[:, :, rows])
            if cut.blind:
                m.clamp_(min=torch.finfo(cut.dtype).min)  # −∞ − (−∞) is no number
            by_head.sub_(m)
            cut.exponentiate_(tile, step)
            l = torch.sum(by_head, -1, keepdim=True, out=total_[:, :, rows])
            if cut.blind:
                l.clamp_(min=1)  # the largest score adds exp(0) to the sum, wherever anything is seen
            o = batched_product(scores, v[..., columns], out=q.new_empty(*scores.shape[:2], width))
            y = output_[..., rows, :]
            torch.div(o.view(y.shape), l.view(*y.shape[:4], 1), out=y)
    return output, largest, total


def _backward(
    cut: Cut,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    scale: float,
    output: Tensor,
    largest: Tensor,
    total: Tensor,
    gradient: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Give ∂Q, ∂K and ∂V."""
    queries, outputs, gradients = map(cut.by_heads, (query, output, gradient))
    dq = torch.zeros_like(query) if cut.blind else torch.empty_like(query)
    dk, dv = (t.new_zeros(t.shape, dtype=cut.dtype) for t in (key, value))
    dqs = cut.by_heads(dq)
    for step, tiles in cut.steps(query, spare=True):
        k, v = (t[step].flatten(0, 1).to(cut.dtype) for t in (key, value))  # [P, S, …]
        dk_, dv_, dq_ = dk[step].flatten(0, 1), dv[step].flatten(0, 1), dqs[step]
        m, l, y = (t[step].flatten(0, 1) for t in (largest, total, outputs))  # [P, share, L, …]
        q = (queries[step].to(cut.dtype) * scale).flatten(0, 1)
        g = gradients[step].flatten(0, 1) / l
        delta = (g * y).sum(-1, keepdim=True)
        for tile in tiles:
            rows, columns, e, by_head, ds, _ = tile
            q_, g_, k_ = q[:, :, rows].flatten(1, 2), g[:, :, rows].flatten(1, 2), k[:, columns]
            batched_product(q_, k_, out=e)
            cut.hide_(tile, step)
            by_head.sub_(m[:, :, rows])
            cut.exponentiate_(tile, step)
            add_batched_product_(dv_[:, columns], e.transpose(1, 2), g_.transpose(1, 2))
            batched_product(g_, v[:, columns], out=ds)
            ds.sub_(delta[:, :, rows].flatten(1, 2)).mul_(e)
            add_batched_product_(dk_[:, columns], ds.transpose(1, 2), q_.transpose(1, 2))
            place = dq_[..., rows, :]
            d = batched_product(ds, k_.transpose(1, 2), out=torch.empty_like(q_))
            torch.mul(d.view(place.shape), scale, out=place)
    return dq, dk.to(key.dtype), dv.to(value.dtype)
