"""Cases of attention by several heads and of the Transformer's layers.

Every query is left at least one key to look at: what a reference makes of one that sees nothing is its own affair.
"""

import math
from typing import Any

import torch
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from torch import Tensor

from minimodels.testing.cases.case import Case, Part, seeds, sizes, tensors

batches = st.sampled_from([(), (1,), (3,)])
Masks = tuple[Tensor | None, Tensor | None, bool]


@st.composite
def multihead_attention_cases(draw: DrawFn) -> Case:
    """Draw attention by several heads, its three inputs and its masks, batched or not, with its weights or without.

    Dropout is drawn too; a contract that wants a function of its input sets the same seed.

    Args:
        draw: hypothesis's own.
    """
    H, d = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    E, L, S, batch = H * d, draw(sizes), draw(sizes), draw(batches)
    widths = {"kdim": draw(st.sampled_from([None, 2, 5])), "vdim": draw(st.sampled_from([None, 2, 5]))}
    flags = {name: draw(st.booleans()) for name in ("bias", "add_bias_kv", "add_zero_attn", "batch_first")}
    dropout = draw(st.sampled_from([0.0, 0.0, 0.5, 1.0]))
    query, key, value = (
        draw(_batch(batch, length, width or E, flags["batch_first"]))
        for length, width in ((L, E), (S, widths["kdim"]), (S, widths["vdim"]))
    )
    mask, padding, causal = draw(_masks(batch, H, L, S, draw(st.booleans())))
    inputs = (query, key, value, padding, draw(st.booleans()), mask, draw(st.booleans()), causal)
    return Case(inputs, (E, H), {"dropout": dropout, **widths, **flags})


@st.composite
def encoder_layer_cases(draw: DrawFn) -> Case:
    """Draw an encoder layer, its input and its masks.

    Args:
        draw: hypothesis's own.
    """
    args, kwargs = draw(_layers())
    return Case(draw(_encoder_inputs(args, kwargs)), args, kwargs)


@st.composite
def decoder_layer_cases(draw: DrawFn) -> Case:
    """Draw a decoder layer, its two inputs and its masks.

    Args:
        draw: hypothesis's own.
    """
    args, kwargs = draw(_layers())
    return Case(draw(_decoder_inputs(args, kwargs)), args, kwargs)


@st.composite
def encoder_cases(draw: DrawFn) -> Case:
    """Draw a stack of encoder layers, with a norm on top or without; it is told that its mask is causal, or finds out.

    Args:
        draw: hypothesis's own.
    """
    args, kwargs = draw(_layers())
    x, mask, padding, causal = draw(_encoder_inputs(args, kwargs))
    stack = draw(_stacks("TransformerEncoderLayer", args, kwargs))
    flags = {name: draw(st.booleans()) for name in ("enable_nested_tensor", "mask_check")}
    return Case((x, mask, padding, draw(st.sampled_from([causal, None]))), stack, flags)


@st.composite
def decoder_cases(draw: DrawFn) -> Case:
    """Draw a stack of decoder layers, with a norm on top or without; it is told that its mask is causal, or finds out.

    Args:
        draw: hypothesis's own.
    """
    args, kwargs = draw(_layers())
    *inputs, causal, memory_causal = draw(_decoder_inputs(args, kwargs))
    stack = draw(_stacks("TransformerDecoderLayer", args, kwargs))
    return Case((*inputs, draw(st.sampled_from([causal, None])), memory_causal), stack)


@st.composite
def transformer_cases(draw: DrawFn) -> Case:
    """Draw a Transformer, with its own encoder and decoder or with given ones, its two inputs and its masks.

    Args:
        draw: hypothesis's own.
    """
    args, kwargs = draw(_layers())
    (E, H), first = args, kwargs["batch_first"]
    S, T, batch, boolean = draw(sizes), draw(sizes), draw(batches), draw(st.booleans())
    src, tgt = draw(_batch(batch, S, E, first)), draw(_batch(batch, T, E, first))
    src_mask, src_padding, _ = draw(_masks(batch, H, S, S, boolean))
    tgt_mask, tgt_padding, _ = draw(_masks(batch, H, T, T, boolean))
    memory_mask, memory_padding, _ = draw(_masks(batch, H, T, S, boolean))
    masks = (src_mask, tgt_mask, memory_mask, src_padding, tgt_padding, memory_padding)
    given = {
        f"custom_{name.lower()}": Part(f"Transformer{name}", draw(_stacks(f"Transformer{name}Layer", args, kwargs)))
        for name in ("Encoder", "Decoder")
        if draw(st.booleans())
    }
    counts = {f"num_{name}_layers": draw(st.integers(1, 2)) for name in ("encoder", "decoder")}
    return Case((src, tgt, *masks), args, {**kwargs, **counts, **given})


@st.composite
def _layers(draw: DrawFn) -> tuple[tuple[int, int], dict[str, Any]]:
    """Draw what every layer is made with; norms of 4 numbers or more, with an ε that keeps noise small."""
    H, d = draw(st.sampled_from([(1, 4), (2, 2), (2, 3), (3, 2)]))
    kwargs: dict[str, Any] = {name: draw(st.booleans()) for name in ("batch_first", "norm_first", "bias")}
    kwargs["dim_feedforward"] = draw(sizes)
    kwargs["dropout"] = draw(st.sampled_from([0.0, 0.0, 0.5, 1.0]))
    kwargs["activation"] = draw(st.sampled_from(["relu", "gelu", torch.tanh]))
    kwargs["layer_norm_eps"] = draw(st.sampled_from([0.01, 0.1]))
    return (H * d, H), kwargs


@st.composite
def _stacks(draw: DrawFn, layer: str, args: tuple[int, int], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """Draw what a stack is made with."""
    norm = draw(st.sampled_from([None, Part("LayerNorm", (args[0], kwargs["layer_norm_eps"]))]))
    return Part(layer, args, kwargs), draw(st.integers(1, 2)), norm


@st.composite
def _encoder_inputs(draw: DrawFn, args: tuple[int, int], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    (E, H), L, batch = args, draw(sizes), draw(batches)
    return draw(_batch(batch, L, E, kwargs["batch_first"])), *draw(_masks(batch, H, L, L, draw(st.booleans())))


@st.composite
def _decoder_inputs(draw: DrawFn, args: tuple[int, int], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    (E, H), first = args, kwargs["batch_first"]
    T, S, batch, boolean = draw(sizes), draw(sizes), draw(batches), draw(st.booleans())
    tgt, memory = draw(_batch(batch, T, E, first)), draw(_batch(batch, S, E, first))
    mask, padding, causal = draw(_masks(batch, H, T, T, boolean))
    memory_mask, memory_padding, memory_causal = draw(_masks(batch, H, T, S, boolean))
    return tgt, memory, mask, memory_mask, padding, memory_padding, causal, memory_causal


def _batch(batch: tuple[int, ...], length: int, width: int, batch_first: bool) -> st.SearchStrategy[Tensor]:
    """Draw sequences of vectors."""
    return tensors((*batch, length, width) if batch_first else (length, *batch, width))


@st.composite
def _masks(draw: DrawFn, batch: tuple[int, ...], H: int, L: int, S: int, boolean: bool) -> Masks:
    """Draw a mask of scores or none, a mask of padding or none, and whether the first is promised to be causal."""
    kind = draw(st.sampled_from(["none", "causal", "promised", "for all", "for each head"]))
    rows = {"for all": (L, S), "for each head": (math.prod(batch) * H, L, S)}
    mask = None
    if kind in rows:
        mask = draw(_hidden(rows[kind], boolean))
    elif kind != "none":
        mask = _as_drawn(torch.ones(L, S, dtype=torch.bool).triu(1), torch.zeros(L, S), boolean)
    padding = draw(_hidden((*batch, S), boolean)) if draw(st.booleans()) else None
    return mask, padding, kind == "promised"


@st.composite
def _hidden(draw: DrawFn, shape: tuple[int, ...], boolean: bool) -> Tensor:
    """Draw where not to look, and how gladly elsewhere; the first key is always seen."""
    generator = torch.Generator().manual_seed(draw(seeds))
    hidden = torch.rand(shape, generator=generator) < draw(st.sampled_from([0.0, 0.3, 1.0]))
    hidden[..., 0] = False
    return _as_drawn(hidden, torch.randn(shape, generator=generator, dtype=torch.float64), boolean)


def _as_drawn(hidden: Tensor, liking: Tensor, boolean: bool) -> Tensor:
    """Write a mask as booleans, or as numbers that are added to scores."""
    return hidden if boolean else liking.double().masked_fill(hidden, -math.inf)
