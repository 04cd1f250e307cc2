"""The derivative of attention in tiles: tiles of some keys and some queries, in memory that stays in the cache.

With p = exp(s − m − log l), where m is the largest and l the sum of exponentials of a query's row of scores s, which
the forward pass keeps, and from g = ∂o,

    ∂V = pᵀ·g,   ∂p = g·Vᵀ,   ∂s = p∘(∂p − δ),  δ = Σ p∘∂p = Σ g∘o,   ∂Q = ∂s·K,   ∂K = ∂sᵀ·Q

A tile has the keys as its rows: pᵀ and ∂sᵀ then stand as two of the three products want them, which end with the tile's
keys, and ∂Q alone is added up from tile to tile. (Where there is a mask, m is taken away first, then log l: it may add
the smallest of all numbers, and beside such an m the sum would lose log l.)

In bfloat16 p, ∂p − δ and ∂s are rounded once each, as factors of products that are summed in float32. There the
products themselves take m + log l and δ away, before they round: see operands.py. Sums over tiles are float32.

Where the operands are views, those of a block are made before its work: between two passes over a tile, which empty the
caches nearest to the processor, a call that only makes a view takes several times as long.

References: Dao et al. 2022, arXiv:2205.14135, section B.2; Dao 2023, arXiv:2307.08691, section 3.1 (keys outside).
"""

import torch
from torch import Tensor

from minimodels.functional.attention.cutting import Cut
from minimodels.functional.attention.operands import Call, Rounded, Whole
from minimodels.functional.attention.tile import Step, Tile
from minimodels.functional.matmul import add_batched_product_, batched_product


def derivative(
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
    """Give ∂Q, ∂K and ∂V.

    Args:
        cut: the tiles, turned.
        query: Q [N, H, L, d].
        key: K [N, G, S, d].
        value: V [N, G, S, e].
        scale: c, what the products are multiplied by.
        output: o [N, H, L, e].
        largest: m [N, G, share, L, 1].
        total: l, likewise.
        gradient: of the output.

    Cost: 5 products of L·S·d multiply-adds a head, of which a causal band leaves half. Peak memory two tiles, and the
        operands of a step beside what autograd keeps.
    """
    dq, dk, dv = (torch.empty_like(t) for t in (query, key, value))
    dqs, call = cut.by_heads(dq), Call(query, key, value, scale, output, largest, total, gradient)
    for step, blocks in cut.steps():
        held = (Rounded if cut.rounds else Whole)(cut, step, call)
        dq_ = cut.room("dq", *dqs[step].shape).zero_().flatten(0, 2)
        for rows, tiles in blocks:
            k, v, key_ = held.of_keys(rows)
            dk_, dv_ = (cut.room(name, *k.shape[:2], t.shape[-1]) for name, t in (("dk", key), ("dv", value)))
            for i, (tile, part) in enumerate(zip(tiles, held.of_queries(tiles), strict=True)):
                batched_product(k, part.q, out=tile.product, scale=held.scale)
                weights = _weights(cut, tile, step, rows, part.shifts)
                ds = batched_product(v, part.g, out=tile.spare)
                ds = (ds if part.delta is None else ds.sub_(part.delta)).mul_(weights)
                _add_(cut, dv_, i == 0, weights, part.gradient)
                _add_(cut, dk_, i == 0, ds, part.query)
                _add_(cut, dq_[:, tile.columns], False, ds.transpose(1, 2), key_)
            _place(dv_, 1.0, dv[step][..., rows, :], cut.share, bool(tiles))
            _place(dk_, scale, dk[step][..., rows, :], cut.share, bool(tiles))
        dqs[step].copy_(dq_.mul_(scale).view(dqs[step].shape))
    return dq, dk, dv


def _weights(cut: Cut, tile: Tile, step: Step, rows: slice, shifts: list[Tensor]) -> Tensor:
    """Turn a tile's scores into p, in the type of products."""
    cut.hide_(tile, step, rows)
    for shift in shifts:
        tile.product.sub_(shift)
    cut.exponentiate_(tile, step, rows)
    return tile.weights if tile.weights.dtype == tile.product.dtype else tile.weights.copy_(tile.product)


def _add_(cut: Cut, sums: Tensor, first: bool, a: Tensor, b: Tensor) -> None:
    """Add a·bᵀ to what there is, or begin with it."""
    if sums.dtype == a.dtype and sums.is_contiguous():
        batched_product(a, b, out=sums) if first else add_batched_product_(sums, a, b)
    else:
        product = batched_product(a, b, out=cut.room("product", *sums.shape, dtype=a.dtype))
        sums.copy_(product) if first else sums.add_(cut.cast("widened", product, sums.dtype))


def _place(sums: Tensor, scale: float, place: Tensor, share: int, seen: bool) -> None:
    """Write what the heads found that share keys, if any query saw them."""
    if seen:
        sums = sums.mul_(scale).view(*place.shape[:2], share, *place.shape[2:])
        place.copy_(sums.sum(2) if share > 1 else sums[:, :, 0])
    else:
        place.zero_()
