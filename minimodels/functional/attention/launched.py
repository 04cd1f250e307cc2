"""Attention on an accelerator: some queries of all heads at a time, by few and large launches.

The memory is read and written at each step, so what counts is how many times the scores pass. A product takes away what
must be taken away before their exponentials, in columns of its own, where a step by itself would read and write them
once more; it adds up the exponentials too:

    s = q·kᵀ,  m = max s,    e = exp(c·[q, m₁, m₂]·[k, −1, −1]ᵀ),    [o·l, l] = e·[v, 1]

    p = exp(c·[q, λ₁, λ₂, λ₃]·[k, −1, −1, −1]ᵀ),  λ = m + log l / c,    ∂V = pᵀ·g
    ∂s = p∘([g, δ₁, δ₂, δ₃]·[v, −1, −1, −1]ᵀ),  δ = Σ g∘o,    ∂Q = c·∂s·K,   ∂K = c·∂sᵀ·Q

where m₁ + m₂ + … is a number in pieces of 8 bits each, which every unit multiplies exactly. In bfloat16 scores are
float32 on their way from the product to the exponential; e, p, ∂p − δ and ∂s are rounded once, as factors; all sums are
float32. Causality leaves out the keys that none of the queries sees.

64 heads of 1024x1024 in bfloat16 on an NVIDIA H100, microseconds: product to float32 105, maximum 95, second product
105 (in place of a difference, 228), exponential 151, e·[v, 1] 63 (in place of that and a sum, 115).
"""

import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from minimodels.functional import placement
from minimodels.functional.attention.definition import by_autograd
from minimodels.functional.attention.masks import Band
from minimodels.functional.matmul import add_batched_product_, batched_product, product_dtype
from minimodels.functional.transforms import apply, steps_aside

PARTS, LEAST = 4, 1 << 25
"""Into how many parts the queries go that do not see everything, and how many scores a part has at least.

8 parts of 2²⁴ scores computed a tenth less and were bound by their launches on an NVIDIA H200: forward and backward of
16x12x1024 causal took 3.6 ms of the card's time, and 6.9 ms in all.
"""


def serves(query: Tensor, mask: Tensor | None, scale: float) -> bool:
    """Say whether this form takes the operands: nothing is added to the scores, whose largest stays so when scaled.

    Args:
        query: Q.
        mask: M.
        scale: c.
    """
    return placement.launches(query) and mask is None and scale > 0 and query.dtype is not torch.float64


def attention(query: Tensor, key: Tensor, value: Tensor, band: Band | None, scale: float) -> Tensor:
    """Compute softmax(scale·Q·Kᵀ)·V.

    Args:
        query: Q; every H/G of its heads share a head of keys and values.
        key: K.
        value: V.
        band: what a query may see by its place; None for everything.
        scale: c, above zero.

    Shape:
        - query: [N, H, L, d]; key: [N, G, S, d]; value: [N, G, S, e]
        - Output: [N, H, L, e]

    Cost: L·S·(2·d + e) multiply-adds a head, of which a causal band leaves 5/8; backward 5·L·S·d. Peak memory
        `placement.PIECE` scores, with their exponentials, and copies of the operands. Q, K, V, the output and a number
        a query are kept.

    References: Milakov & Gimelshein 2018, arXiv:1805.02867; Dao et al. 2022, arXiv:2205.14135, section B.2.

    See: definition.py; tests/functional/test_placement.py.

    Example:
        >>> x = torch.ones(1, 1, 2, 2)
        >>> attention(x, x, torch.tensor([[[[1.0], [3.0]]]]), Band(), 1.0).flatten()
        tensor([1., 2.])
    """
    if torch.is_grad_enabled() and any(t.requires_grad for t in (query, key, value)):
        return apply(_Launched, query, key, value, band, scale)
    return _forward(query, key, value, band, scale)[0]


class _Launched(torch.autograd.Function):
    """Attention with its derivative."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, band: Band | None, scale: float) -> Tensor:
        output, level = _forward(query, key, value, band, scale)
        ctx.save_for_backward(query, key, value, output, level)
        ctx.band, ctx.scale = band, scale
        return output

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, output, level = ctx.saved_tensors
        if torch.is_grad_enabled() or steps_aside(gradient):
            wanted = ctx.needs_input_grad[:3]
            found = by_autograd(wanted, (query, key, value), None, ctx.band, ctx.scale, gradient)
        else:
            found = _backward(query, key, value, ctx.band, ctx.scale, output, level, gradient)
        return (*found, None, None)


class Part(NamedTuple):
    """Some queries, the keys that any of them sees, and memory for their scores."""

    rows: slice  # of all queries that share keys, below each other
    columns: slice
    scores: Tensor  # [P, rows, columns]
    factors: Tensor  # of as many numbers, in the type of products
    spare: Tensor  # the same once more, on the memory of the scores
    hidden: list[tuple[Tensor, Tensor]]  # parts of the scores, and what is added there: 0 or −∞


def _forward(query: Tensor, key: Tensor, value: Tensor, band: Band | None, scale: float) -> tuple[Tensor, Tensor]:
    """Give the output, and λ of every query."""
    low, d, width = product_dtype(query), query.shape[-1], value.shape[-1]
    q, k, v = (_beside(t, key, low) for t in (query, key, value))
    k[..., d : d + 2], v[..., width] = -1.0, 1.0
    found = q.new_zeros(*q.shape[:2], v.shape[-1], dtype=torch.float32)
    v = v.transpose(1, 2)
    for part in _parts(q, k, band, share=query.shape[1] // key.shape[1]):
        rows, seen = q[:, part.rows], k[:, part.columns]
        s = batched_product(rows[..., :d], seen[..., :d], out=part.scores)
        _hide_(part)
        m = s.amax(-1, keepdim=True)
        m = m if band is None else m.nan_to_num_(nan=math.nan, posinf=math.inf, neginf=0.0)  # nothing is seen
        rows[..., d : d + 1] = near = m.to(torch.bfloat16)
        torch.sub(m, near, out=rows[..., d + 1 : d + 2])
        batched_product(rows, seen, out=s, scale=scale)
        _hide_(part)
        e = torch.exp(s, out=part.factors)
        batched_product(e, v[..., part.columns], out=found[:, part.rows])
    sums, total = (t.unflatten(0, key.shape[:2]) for t in (found[..., :width], found[..., width : width + 1]))
    total = total if band is None else total.masked_fill_(total == 0, 1.0)
    output = torch.empty_like(query) if width == d else query.new_empty(*query.shape[:3], width)
    torch.div(sums.reshape(output.shape), total.reshape(*output.shape[:3], 1), out=output)
    level = q[..., d : d + 2].sum(-1, keepdim=True, dtype=torch.float32)
    return output, level.add_(total.log().view(level.shape), alpha=1 / scale)


def _backward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    band: Band | None,
    scale: float,
    output: Tensor,
    level: Tensor,
    gradient: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Give ∂Q, ∂K and ∂V."""
    low, d, width = product_dtype(query), query.shape[-1], value.shape[-1]
    q, k = _beside(query, key, low, level), _beside(key, key, low)
    g, v = _beside(gradient, key, low, _delta(gradient, output).reshape(level.shape)), _beside(value, key, low)
    k[..., d : d + 3], v[..., width : width + 3] = -1.0, -1.0
    parts = _parts(q, k, band, share=query.shape[1] // key.shape[1])
    dq, dk, dv = _sums(parts, q, k, v, g, (d, width), scale)
    del q, k, v, g, parts  # before there is memory for what is handed out
    return _placed(dq, scale, query), _placed(dk, scale, key), _placed(dv, 1.0, value)


def _delta(gradient: Tensor, output: Tensor) -> Tensor:
    return (gradient.float() * output).sum(-1, keepdim=True)


def _sums(
    parts: Iterator[Part], q: Tensor, k: Tensor, v: Tensor, g: Tensor, widths: tuple[int, int], scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Add up ∂Q/c, ∂K/c and ∂V from part to part, the last two in float32."""
    d, width = widths
    dq = torch.zeros_like(q[..., :d], memory_format=torch.contiguous_format)
    dk, dv = (t.new_zeros(*t.shape[:2], n, dtype=torch.float32) for t, n in ((k, d), (v, width)))
    for part in parts:
        rows, seen, upstream = q[:, part.rows], k[:, part.columns], g[:, part.rows]
        batched_product(rows, seen, out=part.scores, scale=scale)
        _hide_(part)
        p = torch.exp(part.scores, out=part.factors)
        ds = batched_product(upstream, v[:, part.columns], out=part.spare).mul_(p)
        add_batched_product_(dv[:, part.columns], p.mT, upstream[..., :width].mT)
        add_batched_product_(dk[:, part.columns], ds.mT, rows[..., :d].mT)
        batched_product(ds, seen[..., :d].mT, out=dq[:, part.rows])
    return dq, dk, dv


def _placed(found: Tensor, scale: float, like: Tensor) -> Tensor:
    return torch.mul(found.view(like.shape), scale, out=torch.empty_like(like))


def _beside(t: Tensor, key: Tensor, dtype: torch.dtype, number: Tensor | None = None) -> Tensor:
    """Copy a factor for every head of keys, [N·G, rows, width and more], and a number of each row beside it, in pieces.

    There are zeros behind: see `widened`.
    """
    width, heads = t.shape[-1], key.shape[0] * key.shape[1]
    found = t.new_zeros(heads, t.shape[:3].numel() // heads, widened(width), dtype=dtype)
    found.view(*t.shape[:3], -1)[..., :width] = t
    for i in range(width, width + 3) if number is not None else ():
        assert number is not None
        near = number.to(torch.bfloat16)
        found[..., i : i + 1], number = near, number - near
    return found


def widened(width: int) -> int:
    """Say how many numbers a row has in the copy of a factor: 3 more, and as many as let rows begin at 16 bytes.

    Args:
        width: how many it has by itself.

    Example:
        >>> widened(64)
        72
    """
    return (width + 10) // 8 * 8


def rows_at_once(heads: int, queries: int, keys: int, banded: bool) -> int:
    """Say how many queries a part has.

    Args:
        heads: those of keys, of all samples.
        queries: how many share a head of keys; of one head alone, where there is a band.
        keys: S.
        banded: some see only some of the keys.

    Example:
        >>> rows_at_once(200, 1024, 1024, banded=True)
        256
    """
    fit = max(1, placement.PIECE // (heads * keys))
    few = max(-(-queries // PARTS), LEAST // (heads * keys)) if banded else queries
    return min(fit, few, queries)


def _parts(q: Tensor, k: Tensor, band: Band | None, share: int) -> Iterator[Part]:
    """Cut the queries of the heads that share keys, q [P, share·L, …], so that a part's scores fit."""
    heads, keys, queries = q.shape[0], k.shape[1], q.shape[1] // share
    length = queries if band is not None else queries * share
    most = rows_at_once(heads, length, keys, band is not None)
    memory = q.new_empty(heads * most * keys, dtype=torch.float32)
    other, spare = torch.empty_like(memory, dtype=q.dtype), memory.view(q.dtype)
    triangles = [] if band is None else _triangles(memory, most, band)
    for begin, start in itertools.product(range(0, queries * share, length), range(0, length, most)):
        rows = slice(start, min(start + most, length))
        columns = slice(0, keys) if band is None else band.columns(rows, keys)
        if columns.start < columns.stop:
            shape = heads, rows.stop - rows.start, columns.stop - columns.start
            scores, factors, once_more = (t[: math.prod(shape)].view(shape) for t in (memory, other, spare))
            hidden = [] if band is None else _edges(scores, rows, columns, band, triangles)
            yield Part(slice(begin + rows.start, begin + rows.stop), columns, scores, factors, once_more, hidden)


def _triangles(like: Tensor, rows: int, band: Band) -> list[Tensor]:
    """Make what is added where a band ends, [rows, rows]: behind a query, and before the window if there is one."""
    later = like.new_full((rows, rows), -math.inf).triu_(1)
    return [later] if band.window is None else [later, like.new_full((rows, rows), -math.inf).tril_(-1)]


def _edges(
    scores: Tensor, rows: slice, columns: slice, band: Band, triangles: list[Tensor]
) -> list[tuple[Tensor, Tensor]]:
    """Find the triangles at both ends of a band, where some of the rows see a column and others do not."""
    count, later = rows.stop - rows.start, rows.start + band.offset
    starts = [later] + ([] if band.window is None else [later - band.window + 1])
    found = []
    for start, triangle in zip(starts, triangles, strict=False):
        low, high = max(start, columns.start), min(start + count, columns.stop)
        if low < high:
            place = scores[..., low - columns.start : high - columns.start]
            found.append((place, triangle[:count, low - start : high - start]))
    return found


def _hide_(part: Part) -> None:
    for place, added in part.hidden:
        place.add_(added)
