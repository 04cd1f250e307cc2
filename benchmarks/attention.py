"""Attention: GPT-2's heads at several lengths, a small character model's, one token beside a cache, shared heads.

The lengths are those of training; a batch of one has 12 heads of 64, as GPT-2 has.
"""

from typing import Any

import torch
from torch import Tensor

from benchmarks.cases import Case, Outputs, Pair, Setting
from minimodels import functional as F

Sizes = tuple[int, int, int, int]
T = torch.nn.functional


def attention(name: str, query: Sizes, key: Sizes | None = None, *, backward: bool = True, **kwargs: Any) -> list[Case]:
    """The cases of one shape.

    Args:
        name: the first column of the table.
        query: its sizes, [N, H, L, d].
        key: those of keys and values, where they differ.
        backward: time the derivative too.
        kwargs: what both sides are called with besides.
    """

    def make(setting: Setting, *, backward: bool) -> Pair:
        shapes = query, key or query, key or query
        if setting.tiny:
            shapes = tuple((1, heads, min(length, 5), 4) for _, heads, length, _ in shapes)
        operands = [setting.noise(*shape).requires_grad_(backward) for shape in shapes]
        upstream = setting.noise(*shapes[0])

        def forward(f: Any) -> Outputs:
            with torch.no_grad():
                return (f(*operands, **kwargs),)

        def both(f: Any) -> Outputs:
            output: Tensor = f(*operands, **kwargs)
            return (output.detach(), *torch.autograd.grad(output, operands, upstream))

        work = both if backward else forward
        ours, reference = F.scaled_dot_product_attention, T.scaled_dot_product_attention
        return Pair(lambda: work(ours), lambda: work(reference), lambda side: side())

    modes = {"forward": False, "forward + backward": True}
    return [
        Case("attention", name, mode, lambda setting, both=both: make(setting, backward=both))  # type: ignore[misc]
        for mode, both in modes.items()
        if backward or not both
    ]


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
