"""The derivative of attention in tiles: tiles of some keys and some queries, in memory that stays in the cache.

With p = exp(s − m − log l), where m is the largest and l the sum of exponentials of a query's row of scores s, which
the forward pass keeps, and from g = ∂o,

    ∂V = pᵀ·g,   ∂p = g·Vᵀ,   ∂s = p∘(∂p − δ),  δ = Σ p∘∂p = Σ g∘o,   ∂Q = ∂s·K,   ∂K = ∂sᵀ·Q

A tile has the keys as its rows: pᵀ and ∂sᵀ then stand as two of the three products want them, which end with the tile's
keys, and ∂Q alone is added up from tile to tile. (Where there is a mask, m is taken away first, then log l: it may add
the smallest of all numbers, and beside such an m the sum would lose log l.)

In bfloat16 p, ∂p − δ and ∂s are rounded once each, as factors of products that are summed in float32. There the
product itself takes δ away, before it rounds: ∂p − δ = [g, −δ′, δ′ − δ]·[v, 1, 1]ᵀ, δ′ being what bfloat16 holds of δ.
Sums over tiles are float32.

All views of a step are made before its work: between two passes over a tile, which empty the caches nearest to the
processor, a call that only makes a view takes several times as long.

References: Dao et al. 2022, arXiv:2205.14135, section B.2; Dao 2023, arXiv:2307.08691, section 3.1 (keys outside).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from minimodels.functional.attention.cutting import Cut, Step, Tile
from minimodels.functional.matmul import add_batched_product_, batched_product


class Operands(NamedTuple):
    """What a step multiplies, for each head of queries: P·share heads, [heads, L or S, …]."""

    q: Tensor  # in the type of sums, as K beside it
    k: Tensor
    g: Tensor  # in the type of products, as what follows; with columns for δ, if that is not the type of sums
    v: Tensor
    query: Tensor
    key: Tensor
    shifts: list[Tensor]  # what to take away from the scores one after the other, [heads, 1, L]
    delta: Tensor | None  # [heads, 1, L], if it is in no column


class Part(NamedTuple):
    """What of it belongs to some queries."""

    q: Tensor
    g: Tensor
    query: Tensor  # turned, as the next: both are multiplied last
    gradient: Tensor
    shifts: list[Tensor]
    delta: Tensor | None
    sums: Tensor  # of ∂Q / c


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
    dqs, width = cut.by_heads(dq), value.shape[-1]
    for step, blocks in cut.steps():
        held = _operands(cut, step, query, key, value, scale, output, largest, total, gradient)
        dq_ = cut.room("dq", *held.query.shape).zero_()
        for rows, tiles in blocks:
            k, v, key_ = held.k[:, rows], held.v[:, rows], held.key[:, rows].transpose(1, 2)
            dk_, dv_ = cut.room("dk", *k.shape), cut.room("dv", *k.shape[:2], width)
            views = [_part(held, tile.columns, dq_, width) for tile in tiles]
            for i, (tile, part) in enumerate(zip(tiles, views, strict=True)):
                batched_product(k, part.q, out=tile.product, scale=scale)
                weights = _weights(cut, tile, step, rows, part.shifts)
                ds = batched_product(v, part.g, out=tile.spare)
                ds = (ds if part.delta is None else ds.sub_(part.delta)).mul_(weights)
                _add_(cut, dv_, i == 0, weights, part.gradient)
                _add_(cut, dk_, i == 0, ds, part.query)
                _add_(cut, part.sums, False, ds.transpose(1, 2), key_)
            _place(dv_, 1.0, dv[step][..., rows, :], cut.share, bool(tiles))
            _place(dk_, scale, dk[step][..., rows, :], cut.share, bool(tiles))
        dqs[step].copy_(dq_.mul_(scale).view(dqs[step].shape))
    return dq, dk, dv


def _part(held: Operands, at: slice, sums: Tensor, width: int) -> Part:
    """View what belongs to some queries."""
    q, g, query = held.q[:, at], held.g[:, at], held.query[:, at]
    shifts = [shift[..., at] for shift in held.shifts]
    delta = None if held.delta is None else held.delta[..., at]
    return Part(q, g, query.transpose(1, 2), g[..., :width].transpose(1, 2), shifts, delta, sums[:, at])


def _operands(
    cut: Cut,
    step: Step,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    scale: float,
    output: Tensor,
    largest: Tensor,
    total: Tensor,
    gradient: Tensor,
) -> Operands:
    """Take a step's heads; those that share keys and values get them each."""
    q, y, g = (cut.by_heads(t)[step] for t in (query, output, gradient))  # [samples, heads, share, L, …]
    k, v = (t[step].unsqueeze(2).expand(-1, -1, cut.share, -1, -1) for t in (key, value))
    m, log = largest[step], total[step].log()
    delta = cut.room("dq", *g.shape).copy_(g).mul_(y).sum(-1, keepdim=True)
    columns = cut.low != cut.dtype
    if columns:
        near = delta.to(cut.low)
        g, v = _beside(cut, "g", g, -near, near - delta), _beside(cut, "v", v, 1.0, 1.0)
    q_, k_, g, v = (t.flatten(0, 2) for t in (q, k, g.to(cut.low), v.to(cut.low)))
    factors = cut.cast("q", q_, cut.dtype), cut.cast("k", k_, cut.dtype)
    rows = (t.flatten(0, 2).transpose(1, 2) for t in ([m + log, delta] if cut.mask is None else [m, log, delta]))
    *shifts, delta = rows
    query, key = (q_, k_) if columns else factors
    return Operands(*factors, g, v, query, key, shifts, None if columns else delta)


def _beside(cut: Cut, name: str, factor: Tensor, *columns: Tensor | float) -> Tensor:
    """Put two columns behind those of a factor."""
    found = cut.room(name, *factor.shape[:-1], factor.shape[-1] + 2, dtype=cut.low)
    found[..., :-2] = factor
    found[..., -2:-1], found[..., -1:] = columns
    return found


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
        sums.copy_(product) if first else sums.add_(product)


def _place(sums: Tensor, scale: float, place: Tensor, share: int, seen: bool) -> None:
    """Write what the heads found that share keys, if any query saw them."""
    if seen:
        sums = sums.mul_(scale).view(*place.shape[:2], share, *place.shape[2:])
        place.copy_(sums.sum(2) if share > 1 else sums[:, :, 0])
    else:
        place.zero_()
