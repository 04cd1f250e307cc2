"""Attention that hands out its weights: they are made in tiles, and kept in the type of the operands.

The forward pass is the one of tiles.py, which writes down what it divides. The weights W are its second output, so that
they may be looked at, or take part in a loss, and the derivative needs no others. From g = ∂O and h = ∂W, if there is
one, with ∂w = g·Vᵀ + h,

    ∂V = Wᵀ·g,   ∂S = W∘(∂w − δ),   δ = Σ W∘∂w = Σ g∘O + Σ W∘h,   ∂Q = c·∂S·K,   ∂K = c·∂Sᵀ·Q

a few heads at a time, on memory that all of them use. In 16 bits the product itself takes δ away, before it rounds: see
tiles_derivative.py.
"""

import itertools
from typing import Any

import torch
from torch import Tensor

from minimodels.functional.attention.cutting import BLOCK, Cut
from minimodels.functional.attention.definition import attention_and_weights
from minimodels.functional.attention.tile import parts
from minimodels.functional.attention.tiles import forward
from minimodels.functional.matmul import batched_product, product_dtype
from minimodels.functional.precision import accumulator
from minimodels.functional.transforms import apply, steps_aside


def attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float) -> tuple[Tensor, Tensor]:
    """Compute W·V and W = softmax(scale·Q·Kᵀ + M).

    Args:
        query: Q.
        key: K.
        value: V.
        mask: booleans (True: may look) or numbers that are added; not differentiated.
        scale: what the products are multiplied by.

    Shape:
        - query: [N, H, L, d]; key: [N, H, S, d]; value: [N, H, S, e]; mask: 4 dimensions, broadcastable to [N, H, L, S]
        - Output: [N, H, L, e] and [N, H, L, S]

    Cost: N·H·L·S·(d + e) multiply-adds, backward twice that. Kept are the N·H·L·S weights; the backward pass has those
        of a few heads beside them.

    See: definition.py; tests/functional/attention/test_algorithms.py.

    Example:
        >>> x = torch.ones(1, 1, 2, 2)
        >>> y, weights = attention(x, x, torch.tensor([[[[1.0], [3.0]]]]), None, 1.0)
        >>> y.flatten(), weights[0, 0]
        (tensor([2., 2.]), tensor([[0.5000, 0.5000],
                [0.5000, 0.5000]]))
    """
    if torch.is_grad_enabled() and any(t.requires_grad for t in (query, key, value)):
        output, weights = apply(_Weighted, query, key, value, mask, scale)  # a Function gives as many as its forward
        return output, weights
    return _forward(query, key, value, mask, scale)


class _Weighted(torch.autograd.Function):
    """Attention and its weights, with the derivative of both."""

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float
    ) -> tuple[Tensor, Tensor]:
        output, weights = _forward(query, key, value, mask, scale)
        ctx.save_for_backward(query, key, value, mask, output, weights)
        ctx.scale = scale
        ctx.set_materialize_grads(False)
        return output, weights

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        query, key, value, mask, output, weights = ctx.saved_tensors
        by_output, by_weights = gradients
        if torch.is_grad_enabled() or steps_aside(*(t for t in gradients if t is not None)):
            wanted = ctx.needs_input_grad[:3]
            found = _by_autograd(wanted, (query, key, value), mask, ctx.scale, gradients)
        else:
            by_output = torch.zeros_like(output) if by_output is None else by_output
            found = _derivative(query, key, value, ctx.scale, output, weights, by_output, by_weights)
        return (*found, None, None)


def _forward(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float) -> tuple[Tensor, Tensor]:
    weights = query.new_empty(*query.shape[:3], key.shape[2])
    return forward(Cut(query, key, mask, None), query, key, value, scale, weights)[0], weights


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
    """Give ∂Q, ∂K and ∂V, of as many heads of a sample at a time as a block holds."""
    dq, dk, dv = (torch.empty_like(t) for t in (query, key, value))
    threads, low = torch.get_num_threads() if query.is_cpu else 1, product_dtype(query)
    (samples, heads), sizes = weights.shape[:2], weights.shape[2:]
    together = min(heads, max(threads, BLOCK * threads // sizes.numel()))
    memory = query.new_empty(together, *sizes, dtype=low)
    for at in itertools.product(range(samples), parts(heads, together)):
        q, k, v, g, w = (t[at].to(low) for t in (query, key, value, by_output, weights))
        ds = memory[: len(w)]
        if accumulator(low) is low:
            batched_product(g, v, out=ds)
            (ds if by_weights is None else ds.add_(by_weights[at])).mul_(w)
            ds.addcmul_(w, ds.sum(-1, keepdim=True), value=-1)  # Σ w∘∂w: of a single key nothing is left, exactly
        else:  # 16 bits would round w∘∂w before the difference is taken: the product takes δ away
            delta = _inner(by_output[at], output[at])
            if by_weights is not None:
                delta.add_(_inner(by_weights[at], w))
            near = delta.to(low)
            beside = torch.cat([g, -near, near - delta], -1).to(low), torch.cat([v, v.new_ones(*v.shape[:-1], 2)], -1)
            batched_product(*beside, out=ds)
            (ds if by_weights is None else ds.add_(by_weights[at])).mul_(w)
        torch.mul(batched_product(ds, k.transpose(1, 2)), scale, out=dq[at])
        torch.mul(batched_product(ds.transpose(1, 2), q.transpose(1, 2)), scale, out=dk[at])
        dv[at].copy_(batched_product(w.transpose(1, 2), g.transpose(1, 2)))
    return dq, dk, dv


def _inner(a: Tensor, b: Tensor) -> Tensor:
    """Sum the products of two tensors' rows, in the type of sums."""
    return (a.to(accumulator(a.dtype)) * b).sum(-1, keepdim=True)


def _by_autograd(
    wanted: tuple[bool, ...],
    operands: tuple[Tensor, Tensor, Tensor],
    mask: Tensor | None,
    scale: float,
    gradients: tuple[Tensor | None, ...],
) -> tuple[Tensor | None, ...]:
    """Differentiate the definition: for second derivatives, and for gradients that come in batches."""
    create_graph = torch.is_grad_enabled()
    with torch.enable_grad():
        found = attention_and_weights(*operands, mask, scale)
        pairs = [(t, g) for t, g in zip(found, gradients, strict=True) if g is not None]
        sources = [t for t, want in zip(operands, wanted, strict=True) if want]
        results = torch.autograd.grad(
            [t for t, _ in pairs], sources, [g for _, g in pairs], create_graph=create_graph, allow_unused=True
        )
    each = iter(results)
    return tuple(next(each) if want else None for want in wanted)
