"""Attention: GPT-2's heads at several lengths, a small character model's, one token beside a cache, shared heads.

The lengths are those of training; a batch of one has 12 heads of 64, as GPT-2 has.
"""

import math
from typing import Any

import torch
from torch import Tensor

from benchmarks.cases import Case, Outputs, Pair, Setting, both_ways
from minimodels import functional as F

Sizes = tuple[int, int, int, int]
T = torch.nn.functional


def attention(
    name: str, query: Sizes, key: Sizes | None = None, *, backward: bool = True, larger: int = 16, **kwargs: Any
) -> list[Case]:
    """The cases of one shape. A causal mask halves the products; either backward product has two of its own.

    Args:
        name: the first column of the table.
        query: its sizes, [N, H, L, d].
        key: those of keys and values, where they differ.
        backward: time the derivative too.
        larger: how many times as large the batch is on a graphics card.
        kwargs: what both sides are called with besides.
    """

    def make(setting: Setting, *, backward: bool) -> Pair:
        shapes = query, key or query, key or query
        if setting.tiny:
            shapes = tuple((1, heads, min(length, 5), 4) for _, heads, length, _ in shapes)
        shapes = tuple((setting.larger * batch, *rest) for batch, *rest in shapes)
        operands = [setting.noise(*shape).requires_grad_(backward) for shape in shapes]
        upstream = setting.noise(*shapes[0]) if backward else None

        def forward(f: Any) -> Outputs:
            with torch.no_grad():
                return (f(*operands, **kwargs),)

        def both(f: Any) -> Outputs:
            output: Tensor = f(*operands, **kwargs)
            return (output.detach(), *torch.autograd.grad(output, operands, upstream))

        work = both if backward else forward
        ours, reference = setting.ready(F.scaled_dot_product_attention, T.scaled_dot_product_attention)
        flops = 4.0 * math.prod(shapes[0]) * shapes[1][2] / (2 if kwargs.get("is_causal") else 1)
        return Pair(
            lambda: work(ours),
            lambda: work(reference),
            lambda side: side(),
            operands + ([] if upstream is None else [upstream]),
            flops=flops * (3 if backward else 1),
        )

    cases = both_ways("attention", name, make, larger)
    return cases if backward else cases[:1]


SHARED = (1, 4, 1024, 64)
CASES = [
    *attention("causal: 12x4x64x32", (12, 4, 64, 32), is_causal=True),
    *attention("causal: 1x12x256x64", (1, 12, 256, 64), is_causal=True),
    *attention("causal: 1x12x1024x64", (1, 12, 1024, 64), is_causal=True),
    *attention("causal: 1x12x2048x64", (1, 12, 2048, 64), is_causal=True),
    *attention("everything: 12x4x64x32", (12, 4, 64, 32)),
    *attention("everything: 1x12x256x64", (1, 12, 256, 64)),
    *attention("everything: 1x12x1024x64", (1, 12, 1024, 64)),
    *attention("everything: 1x12x2048x64", (1, 12, 2048, 64)),
    *attention("causal, 12 heads share 4: 1x12x1024x64", (1, 12, 1024, 64), SHARED, is_causal=True, enable_gqa=True),
    *attention("one query, 1024 keys: 1x12x1x64", (1, 12, 1, 64), (1, 12, 1024, 64), backward=False),
    *attention("one query, 12 heads share 4: 1x12x1x64", (1, 12, 1, 64), SHARED, backward=False, enable_gqa=True),
]
