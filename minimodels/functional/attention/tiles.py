"""Attention whose memory grows with the length, not with its square: a few rows of the weights at a time.

A tile is some queries of some heads against all the keys that they see. Its scores live in one small buffer that every
tile uses again, and that stays in the processor's cache from the product that fills it to the product that empties it.
The row is whole, so its softmax is the exact one: no running maximum has to be corrected, as it would be with tiles
of keys. Causality cuts the row at the diagonal, a window at its other end too: what nobody may see is not computed.

With e = exp(s − m), m = max s and l = Σ e of every row, the weights are p = e / l and the output is o = e·V / l. The
derivative is in tiles_derivative.py.

In bfloat16 the scores, their exponentials and l are float32, and so is the product that makes the scores: it is in the
exponent, where a rounding counts as many times as the score is large. Where the processor has a unit for it, the other
product is of the weights, rounded once, and the values as they are.

References: Milakov & Gimelshein 2018, arXiv:1805.02867 (softmax and memory); Rabe & Staats 2021, arXiv:2112.05682
(attention in pieces); Dao et al. 2022, arXiv:2205.14135, section 3.1 (the tiles).
"""

from typing import Any

import torch
from torch import Tensor

from minimodels.functional.attention.cutting import Cut
from minimodels.functional.attention.definition import by_autograd
from minimodels.functional.attention.masks import Band
from minimodels.functional.attention.tile import Tile
from minimodels.functional.attention.tiles_derivative import derivative
from minimodels.functional.matmul import batched_product
from minimodels.functional.precision import accumulator
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
    return forward(Cut(query, key, mask, band), query, key, value, scale)[0]


class _Tiled(torch.autograd.Function):
    """Attention in tiles, with its derivative in tiles."""

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, band: Band | None, scale: float
    ) -> Tensor:
        output, largest, total = forward(Cut(query, key, mask, band), query, key, value, scale)
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
            cut = Cut(query, key, mask, ctx.band, turned=True)
            found = derivative(cut, query, key, value, ctx.scale, output, largest, total, gradient)
        return (*found, None, None, None)


def forward(
    cut: Cut, query: Tensor, key: Tensor, value: Tensor, scale: float, weights: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Give the output, and of every row of scores the largest and the sum of exponentials.

    Args:
        cut: the tiles.
        query: Q [N, H, L, d].
        key: K [N, G, S, d].
        value: V [N, G, S, e].
        scale: what the products are multiplied by.
        weights: where all of them are written to, [N, H, L, S], if they are wanted, but for what a band hides.
    """
    output, largest, total = memory(query, key, value)
    queries, outputs = cut.by_heads(query), cut.by_heads(output)  # [N, G, share, L, …]
    if cut.blind:  # queries that see nothing may be in no tile
        output.zero_()
        largest.zero_()
        total.fill_(1)
    for step, blocks in cut.steps():
        q, m, l = (t[step].flatten(0, 1) for t in (queries, largest, total))  # [P, share, L, …]
        k, v = (t[step].flatten(0, 1) for t in (key, value))  # [P, S, …]
        q, k, v = cut.cast("q", q, cut.dtype), cut.cast("k", k, cut.dtype), cut.cast("v", v, cut.low)
        y, v = outputs[step], v.transpose(1, 2)
        tiles = [
            (
                tile,
                rows,
                q[:, :, rows].flatten(1, 2),
                k[:, at],
                v[..., more],
                m[:, :, rows],
                l[:, :, rows],
                y[..., rows, :],
            )
            for rows, found in blocks
            for tile in found
            for at in [tile.columns]
            for more in [slice(at.start, at.start + tile.weights.shape[-1])]
        ]
        for tile, rows, q_, k_, v_, m_, l_, y_ in tiles:
            batched_product(q_, k_, out=tile.product, scale=scale)
            cut.hide_(tile, step, rows)
            torch.amax(tile.scores, -1, keepdim=True, out=m_)
            if cut.blind:
                m_.clamp_(min=torch.finfo(cut.dtype).min)  # −∞ − (−∞) is no number
            tile.scores.sub_(m_)
            cut.exponentiate_(tile, step, rows)
            torch.sum(tile.scores, -1, keepdim=True, out=l_)
            if cut.blind:
                l_.clamp_(min=1)  # the largest score adds exp(0) to the sum, wherever anything is seen
            _weigh(cut, tile, l_, v_, y_)
            if weights is not None:
                _keep(cut, tile, l_, cut.by_heads(weights)[step][..., rows, tile.columns])
    return output, largest, total


def memory(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Make memory for the output, and for two numbers of every row of scores.

    Args:
        query: Q.
        key: K.
        value: V.

    Shape:
        - query: [N, H, L, d]; key: [N, G, S, d]; value: [N, G, S, e]
        - Output: [N, H, L, e], and [N, G, H/G, L, 1] twice
    """
    (samples, heads, queries, depth), width = query.shape, value.shape[-1]
    alike = width == depth and query.stride(-1) == 1
    output = torch.empty_like(query) if alike else query.new_empty(samples, heads, queries, width)
    shape, dtype = (samples, key.shape[1], heads // key.shape[1], queries, 1), accumulator(query.dtype)
    return output, query.new_empty(shape, dtype=dtype), query.new_empty(shape, dtype=dtype)


def _weigh(cut: Cut, tile: Tile, total: Tensor, values: Tensor, output: Tensor) -> None:
    """Write e·V / l. Where the product rounds, the sum must be 1 before: else the output were rounded twice."""
    product = cut.room("o", *tile.scores.shape[:3], values.shape[1], dtype=cut.low)
    if cut.rounds:
        tile.scores.div_(total)
        tile.low.copy_(tile.product)
        if tile.zeros.shape[-1]:
            tile.zeros.zero_()
    batched_product(tile.weights, values, out=product.flatten(1, 2))
    output.copy_((product if cut.rounds else product.div_(total)).view(output.shape))


def _keep(cut: Cut, tile: Tile, total: Tensor, place: Tensor) -> None:
    """Write down the weights, which are divided already where the product rounds."""
    if cut.rounds:
        place.copy_(tile.low.unflatten(1, place.shape[2:4]).unflatten(0, place.shape[:2]))
    else:
        place.copy_(tile.scores.div_(total).view(place.shape))
