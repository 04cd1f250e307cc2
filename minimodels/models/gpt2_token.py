"""GPT-2's blocks for one token a text, in as few calls as it takes: the equations of gpt2.py and nothing between them.

A product reads megabytes of weights, and they push the program out of the caches. Whatever runs before the next product
is fetched from memory again, so that it costs what it is long, and not what it computes: calls of modules, what they
look up, what functions ask of their operands. Here all is asked before the first product, of all blocks together, and
between the products stand the operations alone. Who would see or change more than that gets the modules' own calls.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from minimodels.functional.activations.smooth import GELUS
from minimodels.functional.attention import causal_attention, one_query
from minimodels.functional.matmul import form_with_columns
from minimodels.functional.norms import few, pieces
from minimodels.functional.unwatched import FEW, unwatched
from minimodels.models.causal import ACTIVATIONS
from minimodels.nn import Dropout, KeyValueCache, LayerNorm, Module
from minimodels.nn.untouched import called_plainly, untouched

Map = Callable[[Tensor], Tensor]


class Kinds(NamedTuple):
    """The classes that gpt2.py has for a block and what it is made of."""

    block: type[Module]
    attention: type[Module]
    mlp: type[Module]
    affine: type[Module]


class Block(NamedTuple):
    """What a block does, as functions of rows, and what its attention has to know: which layer, heads, scale."""

    layer: int
    heads: int
    scale: float
    ln_1: Map
    c_attn: Map
    c_proj: Map
    ln_2: Map
    c_fc: Map
    act: Map
    mlp_proj: Map


def gathered(blocks: Iterable[Module], kinds: Kinds, x: Tensor, cache: KeyValueCache) -> list[Block]:
    """Gather what the blocks do with a token.

    Args:
        blocks: the model's.
        kinds: what they have to be.
        x: what comes in.
        cache: keys and values of the tokens before.

    Shape:
        - x: [N, T, E]

    Returns:
        a list without anything in it where this road is not theirs: more than a token a text or very many texts, 16-bit
        numbers, a cache of another kind, a gradient, a listener, a compiler, hooks, training, or other modules in the
        place of GPT-2's.

    Cost: 0.16 ms for 12 blocks.

    See: tests/models/test_gpt2.py.
    """
    if type(cache) is not KeyValueCache or not unwatched(x) or not called_plainly():
        return []
    if x.shape[1] != 1 or not 0 < x.numel() <= FEW or x.shape[2] > pieces.LONG or x.dtype not in _WIDE:
        return []
    numbers: list[Tensor | None] = [*cache.layers]
    forms: dict[Any, Any] = {}
    found = [_taken(block, kinds, len(x), numbers, forms) for block in blocks]
    plain = unwatched(*numbers) and all(t is not None and t.dtype is x.dtype for t in numbers)
    return [block for block in found if block is not None] if plain and None not in found else []


def read(blocks: list[Block], x: Tensor, mask: Tensor | None, cache: KeyValueCache) -> Tensor:
    """Read a token of each text: x ← x + attention(norm(x)), then x ← x + mlp(norm(x)), block after block.

    Args:
        blocks: what `gathered` has found.
        x: what comes in.
        mask: booleans, False for padding, which nobody looks at; None where there is none.
        cache: keys and values of the tokens before, which the new ones join.

    Shape:
        - x: [N, 1, E]; mask: [N, 1, 1, S]
        - Output: [N, 1, E]

    Cost: that of the blocks.

    See: `minimodels.models.gpt2.GPT2Block`; tests/models/test_gpt2.py.
    """
    N, _, E = x.shape
    x = x.reshape(N, E)
    for block in blocks:
        qkv = block.c_attn(block.ln_1(x)).view(N, 3, block.heads, 1, -1)
        q, (k, v) = qkv[:, 0], cache.write(qkv[:, 1:].transpose(0, 1), block.layer)  # [N, heads, 1 or S, d]
        if mask is None:
            y = one_query.attention(q, k, v, block.scale)
        else:
            y = causal_attention(q, k, v, attn_mask=mask, scale=block.scale)
        x = block.c_proj(y.reshape(N, E)).add_(x)
        x = block.mlp_proj(block.act(block.c_fc(block.ln_2(x)))).add_(x)
    return x.view(N, 1, E)


_WIDE = torch.float32, torch.float64
_TANH = GELUS["tanh"].unasked
_ACTS: dict[int, Map] = {id(act): act for act in ACTIVATIONS.values()}
_ACTS |= {id(ACTIVATIONS[name]): _TANH for name in ("gelu_new", "gelu_pytorch_tanh")}


def _taken(block: Module, kinds: Kinds, rows: int, numbers: list[Tensor | None], forms: dict[Any, Any]) -> Block | None:
    """Take a block apart, if it is what it was made as; its weights join the numbers, to be looked at together."""
    if not untouched(block, kinds.block):
        return None
    parts: dict[str, Any] = block._modules  # PyTorch's own look-up of a name takes as long as an operation
    ln_1, attn, ln_2, mlp = parts["ln_1"], parts["attn"], parts["ln_2"], parts["mlp"]
    act = _ACTS.get(id(mlp.act))
    if act is None or attn.training or not untouched(attn, kinds.attention) or not untouched(mlp, kinds.mlp):
        return None
    if not untouched(ln_1, LayerNorm) or not untouched(ln_2, LayerNorm):
        return None
    inner, outer = attn._modules, mlp._modules
    for dropout in (inner["resid_dropout"], outer["dropout"]):
        if dropout.training or not untouched(dropout, Dropout):
            return None
    maps = []
    for affine in (inner["c_attn"], inner["c_proj"], outer["c_fc"], outer["c_proj"]):
        if not untouched(affine, kinds.affine) or (map_ := _product(affine, rows, numbers, forms)) is None:
            return None
        maps.append(map_)
    c_attn, c_proj, c_fc, mlp_proj = maps
    norm_1, norm_2 = _norm(ln_1, numbers), _norm(ln_2, numbers)
    return Block(attn.layer, attn.heads, attn.scale, norm_1, c_attn, c_proj, norm_2, c_fc, act, mlp_proj)


def _norm(module: Any, numbers: list[Tensor | None]) -> Map:
    found = module._parameters
    weight, bias = found.get("weight"), found.get("bias")
    numbers += weight, bias
    return partial(few.normalize, weight=weight, bias=bias, eps=module.eps)


def _product(module: Any, rows: int, numbers: list[Tensor | None], forms: dict[Any, Any]) -> Map | None:
    """The map x·W + b; weights that lie alike are multiplied alike, which is asked about once."""
    found = module._parameters
    w, b = found.get("weight"), found.get("bias")
    if w is None or b is None:
        return None
    numbers += w, b
    kind = w.shape, w.stride()
    form = forms.get(kind)
    if form is None:
        form = forms[kind] = form_with_columns(rows, w, b)
    return partial(form, w=w, bias=b)
