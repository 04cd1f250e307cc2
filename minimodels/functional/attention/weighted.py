"""Attention that keeps its weights, or hands them out: they are made in tiles, and kept in the type of the operands.

The forward pass is the one of tiles.py, which writes down what it divides. The weights W are its second output, so that
they may be looked at, or take part in a loss, and the derivative needs no others. Where products round, weights of 16
bits are all that the backward pass of tiles.py would make of the scores, and to keep a few of them is the faster.

From g = ∂O and h = ∂W, if there is one, with ∂w = g·Vᵀ + h,

    ∂V = Wᵀ·g,   ∂S = W∘(∂w − δ),   δ = Σ W∘∂w = Σ g∘O + Σ W∘h,   ∂Q = c·∂S·K,   ∂K = c·∂Sᵀ·Q

a few heads at a time, on memory that all of them use. In 16 bits the product itself takes δ away, before it rounds: see
tiles_derivative.py.
"""

from typing import Any

import torch
from torch import Tensor

from minimodels.functional.attention.cutting import BLOCK, Cut
from minimodels.functional.attention.definition import by_autograd
from minimodels.functional.attention.masks import Band
from minimodels.functional.attention.tile import Step, steps
from minimodels.functional.attention.tiles import forward
from minimodels.functional.matmul import batched_product, product_dtype
from minimodels.functional.precision import accumulator
from minimodels.functional.transforms import apply, steps_aside


def attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, band: Band | None, scale: float
) -> tuple[Tensor, Tensor]:
    """Compute W·V and W = softmax(scale·Q·Kᵀ + M).

    Args:
        query: Q; every H/G of its heads share a head of keys and values.
        key: K.
        value: V.
        mask: booleans (True: may look) or numbers that are added; not differentiated.
        band: what a query may see by its place; None for everything.
        scale: what the products are multiplied by.

    Shape:
        - query: [N, H, L, d]; key: [N, G, S, d]; value: [N, G, S, e]; mask: 4 dimensions, broadcastable to [N, H, L, S]
        - Output: [N, H, L, e] and [N, H, L, S]

    Cost: N·H·L·S·(d + e) multiply-adds, backward twice that. Kept are the N·H·L·S weights; the backward pass has those
        of a few heads beside them.

    See: definition.py; tests/functional/attention/test_algorithms.py.

    Example:
        >>> x = torch.ones(1, 1, 2, 2)
        >>> y, weights = attention(x, x, torch.tensor([[[[1.0], [3.0]]]]), None, None, 1.0)
        >>> y.flatten(), weights[0, 0]
        (tensor([2., 2.]), tensor([[0.5000, 0.5000],
                [0.5000, 0.5000]]))
    """
    if torch.is_grad_enabled() and any(t.requires_grad for t in (query, key, value)):
        output, weights = apply(_Weighted, query, key, value, mask, band, scale)  # as many as its forward gives
        return output, weights
    return _forward(query, key, value, mask, band, scale)


class _Weighted(torch.autograd.Function):
    """Attention and its weights, with the derivative of both."""

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, band: Band | None, scale: float
    ) -> tuple[Tensor, Tensor]:
        output, weights = _forward(query, key, value, mask, band, scale)
        ctx.save_for_backward(query, key, value, mask, output, weights)
        ctx.band, ctx.scale = band, scale
        ctx.set_materialize_grads(False)
        return output, weights

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        query, key, value, mask, output, weights = ctx.saved_tensors
        by_output, by_weights = gradients
        if torch.is_grad_enabled() or steps_aside(*(t for t in gradients if t is not None)):
            wanted = ctx.needs_input_grad[:3]
            operands = query, key, value
            found = by_autograd(wanted, operands, mask, ctx.band, ctx.scale, by_output, by_weights=by_weights)
        else:
            by_output = torch.zeros_like(output) if by_output is None else by_output
            found = _derivative(query, key, value, ctx.scale, output, weights, by_output, by_weights)
        return (*found, None, None, None)


def _forward(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, band: Band | None, scale: float
) -> tuple[Tensor, Tensor]:
    make = query.new_empty if band is None else query.new_zeros  # tiles leave out what nobody sees
    weights = make(*query.shape[:3], key.shape[2])
    return forward(Cut(query, key, mask, band), query, key, value, scale, weights)[0], weights


def _derivative(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    scale: float,
    output: Tensor,
    weights: Tensor,
    by_output: Tensor,
    by_weights: Tensor | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Give ∂Q, ∂K and ∂V, of as many heads at a time as a block holds."""
    dq, dk, dv = (torch.empty_like(t) for t in (query, key, value))
    low, memory, heads = product_dtype(query), None, key.shape[1]
    threads = torch.get_num_threads() if query.is_cpu else 1
    for step in steps_back(len(weights), heads, weights[0].numel() // heads, threads):
        q, k, v, y, g, w = (_pairs(t, heads, step) for t in (query, key, value, output, by_output, weights))
        h = None if by_weights is None else _pairs(by_weights, heads, step)
        q, k, v, g, w = (t.to(low) for t in (q, k, v, g, w))
        memory = torch.empty_like(w) if memory is None else memory
        ds = _slope(memory[: len(w)], v, y, g, w, h)
        _place(batched_product(ds, k.transpose(1, 2)), scale, _of_step(dq, heads, step))
        _place(batched_product(ds.transpose(1, 2), q.transpose(1, 2)), scale, _of_step(dk, heads, step))
        _place(batched_product(w.transpose(1, 2), g.transpose(1, 2)), 1.0, _of_step(dv, heads, step))
    return dq, dk, dv


def _slope(memory: Tensor, v: Tensor, y: Tensor, g: Tensor, w: Tensor, h: Tensor | None) -> Tensor:
    """Give ∂S of some heads, in memory of the type of products."""
    if accumulator(memory.dtype) is memory.dtype:
        ds = batched_product(g, v, out=memory)
        (ds if h is None else ds.add_(h)).mul_(w)
        return ds.addcmul_(w, ds.sum(-1, keepdim=True), value=-1)  # Σ w∘∂w: of a single key nothing is left, exactly
    delta = _inner(g, y) if h is None else _inner(g, y).add_(_inner(h, w))
    near = delta.to(g.dtype)
    beside = torch.cat([g, -near, (near - delta).to(g.dtype)], -1), torch.cat([v, v.new_ones(*v.shape[:-1], 2)], -1)
    ds = batched_product(*beside, out=memory)  # 16 bits would round w∘∂w before the difference is taken
    return (ds if h is None else ds.add_(h)).mul_(w)


def steps_back(samples: int, heads: int, scores: int, threads: int) -> list[Step]:
    """Say how many heads go together in the backward pass.

    Args:
        samples: N.
        heads: G.
        scores: how many a head of keys has, of all queries that share it.
        threads: how many there are; each has a block, or a head.
    """
    return steps(samples, heads, max(threads, BLOCK * threads // scores))


def _of_step(t: Tensor, heads: int, step: Step) -> Tensor:
    """View what a step has of a tensor [N, H or G, …] as [n, h, share or 1, …]."""
    part: Tensor = t.unflatten(1, (heads, t.shape[1] // heads))[step]
    return part


def _pairs(t: Tensor, heads: int, step: Step) -> Tensor:
    """Put the rows of heads that share keys below each other: [P, share·rows, …], as products want them."""
    part = _of_step(t, heads, step)
    return part.reshape(part.shape[0] * part.shape[1], part.shape[2] * part.shape[3], part.shape[4])


def _place(product: Tensor, scale: float, place: Tensor) -> None:
    torch.mul(product.view(place.shape), scale, out=place)


def _inner(a: Tensor, b: Tensor) -> Tensor:
    """Sum the products of two tensors' rows, in the type of sums."""
    return (a.to(accumulator(a.dtype)) * b).sum(-1, keepdim=True)
