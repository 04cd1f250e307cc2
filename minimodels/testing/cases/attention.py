"""Cases of attention."""

import math
from typing import Any

import torch
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from torch import Tensor

from minimodels.testing.cases.case import Case, seeds, sizes, tensors


@st.composite
def attention_cases(draw: DrawFn, blind: bool = False, shared: bool = True) -> Case:
    """Draw queries, keys and values (`inputs`), and how they attend (`kwargs`): a mask, a scale, shared heads ...

    There are none to three leading dimensions, and keys and values may stretch along one of them. A mask has
    booleans or numbers, some of them −∞, and leaves out or stretches along any dimension.

    Args:
        draw: hypothesis's own.
        blind: some queries may be forbidden to look anywhere; else every query sees the first key at least.
        shared: heads of queries may share one of keys and values.
    """
    leading: tuple[int, ...] = tuple(draw(st.lists(st.integers(1, 3), max_size=3)))
    share = draw(st.sampled_from([1, 1, 2, 3])) if shared and leading else 1
    queries, keys, width, out = draw(st.integers(1, 6)), draw(st.integers(1, 6)), draw(sizes), draw(sizes)
    kwargs: dict[str, Any] = {"scale": draw(st.sampled_from([None, 1.0, 0.25])), "is_causal": draw(st.booleans())}
    if share > 1:
        kwargs["enable_gqa"] = True
    heads = (*leading[:-1], leading[-1] * share) if leading else ()
    if not kwargs["is_causal"] and draw(st.booleans()):
        kwargs["attn_mask"] = draw(_masks((*heads, queries, keys), blind))
    query = (*heads, queries, width)
    key, value = ((*_stretched(draw, leading, share), keys, size) for size in (width, out))
    return Case(tuple(draw(tensors(shape)) for shape in (query, key, value)), (), kwargs)


def _stretched(draw: DrawFn, leading: tuple[int, ...], share: int) -> tuple[int, ...]:
    """Let an operand stretch along a leading dimension, where heads are not shared."""
    if share > 1 or not leading or not draw(st.booleans()):
        return leading
    place = draw(st.integers(0, len(leading) - 1))
    return tuple(1 if dim == place else size for dim, size in enumerate(leading))


@st.composite
def _masks(draw: DrawFn, shape: tuple[int, ...], blind: bool) -> Tensor:
    """Draw a mask that broadcasts to a shape."""
    first = draw(st.integers(0, len(shape) - 2))
    stretched = [1 if draw(st.booleans()) and draw(st.booleans()) else size for size in shape[first:]]
    generator = torch.Generator().manual_seed(draw(seeds))
    seen = torch.rand(stretched, generator=generator) < 0.6
    if not blind:
        seen[..., 0] = True
    if draw(st.booleans()):
        return seen
    return torch.where(seen, torch.randn(stretched, generator=generator, dtype=torch.float64), -math.inf)
