"""Attention in tiles for a compiler: one operation that it takes as it is.

A compiler that goes through tiles.py unrolls its loops, tile by tile; given the definition instead, it has all scores
in memory at once. So the tiles are registered with PyTorch as an operator: the compiler is told what shapes come out,
and which operator is the derivative, and calls both. Nothing breaks the graph, sizes may stay open, and memory grows
with the length, not with its square.

    attention_in_tiles(Q, K, V, M, band, c) → O, m, l
    attention_in_tiles_backward(Q, K, V, M, band, c, O, m, l, g) → ∂Q, ∂K, ∂V

A band is written as its numbers: none for no band, or the offset, and the window if there is one.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.library import custom_op

from minimodels.functional.attention import tiles
from minimodels.functional.attention.cutting import Cut
from minimodels.functional.attention.definition import by_autograd
from minimodels.functional.attention.masks import Band
from minimodels.functional.attention.tiles_derivative import derivative
from minimodels.functional.transforms import steps_aside


def attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, band: Band | None, scale: float
) -> Tensor:
    """Compute softmax(scale·Q·Kᵀ + M)·V in tiles, as an operator that a compiler does not look into.

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

    Cost: that of `tiles.attention`, and 50 µs for the calls.

    See: tiles.py; tests/functional/attention/test_compiled.py.

    Example:
        >>> x = torch.ones(1, 1, 2, 2)
        >>> attention(x, x, torch.tensor([[[[1.0], [3.0]]]]), None, Band(), 1.0).flatten()
        tensor([1., 2.])
    """
    output: Tensor = _forward(query, key, value, mask, _numbers(band), scale)[0]
    return output


def _numbers(band: Band | None) -> list[int]:
    return [] if band is None else [number for number in band if number is not None]


def _band(numbers: Sequence[int]) -> Band | None:
    return Band(*numbers) if numbers else None


@custom_op("minimodels::attention_in_tiles", mutates_args=())
def _forward(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, band: Sequence[int], scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    return tiles.forward(Cut(query, key, mask, _band(band)), query, key, value, scale)


@custom_op("minimodels::attention_in_tiles_backward", mutates_args=())
def _backward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    band: Sequence[int],
    scale: float,
    output: Tensor,
    largest: Tensor,
    total: Tensor,
    gradient: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    cut = Cut(query, key, mask, _band(band), turned=True)
    return derivative(cut, query, key, value, scale, output, largest, total, gradient)


@_forward.register_fake
def _(query: Tensor, key: Tensor, value: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor]:
    return tiles.memory(query, key, value)


@_backward.register_fake
def _(query: Tensor, key: Tensor, value: Tensor, *_: Any) -> tuple[Tensor, ...]:
    return tuple(torch.empty_like(t) for t in (query, key, value))


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    *operands, band, scale = inputs
    ctx.save_for_backward(*operands, *output)
    ctx.mark_non_differentiable(*output[1:])
    ctx.band, ctx.scale = band, scale


def _differentiate(ctx: Any, gradient: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
    *operands, mask, output, largest, total = ctx.saved_tensors
    if torch.is_grad_enabled() or steps_aside(gradient):
        wanted = ctx.needs_input_grad[:3]
        found = by_autograd(wanted, operands, mask, _band(ctx.band), ctx.scale, gradient)
    else:
        found = _backward(*operands, mask, ctx.band, ctx.scale, output, largest, total, gradient)
    return (*found, None, None, None)


_forward.register_autograd(_differentiate, setup_context=_keep)
