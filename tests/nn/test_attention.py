"""Attention by several heads the layer: itself as its own memory, dropout, masks, and laws of permutation."""

import copy
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels import nn
from minimodels.functional.attention import multihead
from minimodels.testing import assert_commutes, assert_equivalent, assert_invariant, assert_same

weights_or_not = pytest.mark.parametrize("need_weights", [True, False])
batch_firsts = pytest.mark.parametrize("batch_first", [True, False])
E, H, N, L = 6, 3, 2, 5


def pair(seed=0, **kwargs):
    layers = []
    for library in (nn, torch.nn):
        torch.manual_seed(seed)
        layers.append(library.MultiheadAttention(E, H, **kwargs).double())
    return layers


def noise(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class ToItself(torch.nn.Module):
    """One tensor as queries, keys and values."""

    def __init__(self, layer, **kwargs):
        super().__init__()
        self.layer, self.kwargs = layer, kwargs

    def forward(self, x):
        return self.layer(x, x, x, **self.kwargs)


class ToMemory(ToItself):
    """One tensor as queries, another as keys and values."""

    def forward(self, x, memory):
        return self.layer(x, memory, memory, **self.kwargs)


@weights_or_not
@batch_firsts
@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("shape", [(L, N, E), (L, E)])
def test_a_sequence_that_attends_to_itself(need_weights, batch_first, dropout, shape):
    """Under the same seed, dropout strikes the same weights, and the output lies in memory as PyTorch's does."""
    layers = pair(batch_first=batch_first, dropout=dropout)
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        assert_equivalent(*(ToItself(layer, need_weights=need_weights) for layer in layers), noise(*shape))
        memory = noise(*shape, seed=2)
        assert_equivalent(*(ToMemory(layer, need_weights=need_weights) for layer in layers), noise(*shape), memory)


@batch_firsts
def test_a_turned_batch_is_still_one_tensor(batch_first, monkeypatch):
    """One product projects a sequence that attends to itself, two one that attends to another."""
    layer, _ = pair(batch_first=batch_first)
    rows, linear = [], multihead.linear
    monkeypatch.setattr(
        multihead, "linear", lambda x, weight, bias: rows.append(len(weight)) or linear(x, weight, bias)
    )
    x, memory = noise(N, L, E), noise(N, L, E, seed=2)
    layer(x, x, x)
    layer(x, memory, memory)
    assert rows == [3 * E, E, E, 2 * E, E]


@weights_or_not
@batch_firsts
@pytest.mark.parametrize("heads", [2, 3])
@pytest.mark.parametrize("masks", ["none", "padding", "mask", "both"])
def test_inference_equals_torchs_whichever_kernel_it_takes(need_weights, batch_first, heads, masks):
    layers = [
        library.MultiheadAttention(E, heads, batch_first=batch_first).double().eval() for library in (nn, torch.nn)
    ]
    layers[1].load_state_dict(layers[0].state_dict())
    kwargs = {}
    if masks in ("padding", "both"):
        kwargs["key_padding_mask"] = torch.tensor([[False] * L, [False, False, False, True, True]])
    if masks in ("mask", "both"):
        kwargs["attn_mask"] = torch.ones(L, L, dtype=torch.bool).triu(1)
    x = noise(N, L, E) if batch_first else noise(L, N, E)
    with torch.no_grad():
        mine, theirs = (layer(x, x, x, need_weights=need_weights, **kwargs) for layer in layers)
    for a, b in zip(mine, theirs, strict=True):
        assert (a is b is None) or a is not None
        if a is not None:
            assert_same(a, b)


@weights_or_not
@batch_firsts
@pytest.mark.parametrize("padded", [True, False])
def test_a_promise_of_causality_changes_nothing(need_weights, batch_first, padded):
    layer, _ = pair(batch_first=batch_first)
    x = noise(N, L, E) if batch_first else noise(L, N, E)
    mask = torch.ones(L, L, dtype=torch.bool).triu(1)
    padding = torch.tensor([[False] * L, [False, False, True, False, True]]) if padded else None
    found = [
        layer(x, x, x, key_padding_mask=padding, need_weights=need_weights, attn_mask=mask, is_causal=promise)[0]
        for promise in (True, False)
    ]
    assert_same(*found)


@weights_or_not
def test_a_query_that_sees_nothing_finds_zeros(need_weights):
    """The named divergence: PyTorch gives NaN with weights, and in evaluation."""
    layer, _ = pair()
    torch.nn.init.normal_(layer.out_proj.bias)
    x = noise(L, N, E).requires_grad_()
    padding = torch.tensor([[False] * L, [True] * L])
    output, weights = layer(x, x, x, key_padding_mask=padding, need_weights=need_weights)
    assert_same(output[:, 1], layer.out_proj.bias.expand(L, E))
    assert weights is None or not weights[1].any()
    (gradient,) = torch.autograd.grad(output.square().sum(), x)
    assert not gradient[:, 1].any()
    assert gradient[:, 0].isfinite().all()
    assert gradient[:, 0].any()


@weights_or_not
@given(order=st.permutations(range(L)))
def test_a_permutation_of_keys_changes_nothing_and_one_of_queries_the_order(need_weights, order):
    layer, _ = pair()
    x, memory, order = noise(L, N, E), noise(L, N, E, seed=2), torch.tensor(order)

    def attend(query, memory):
        return layer(query, memory, memory, need_weights=need_weights)[0]

    assert_invariant(lambda m: attend(x, m), lambda m: m[order], memory)
    assert_commutes(lambda q: attend(q, memory), lambda q: q[order], x)
    assert_commutes(lambda q: attend(q, q), lambda q: q[order], x)


@weights_or_not
@given(order=st.permutations(range(H)))
def test_a_permutation_of_heads_changes_the_order_of_their_weights_alone(need_weights, order):
    layer, _ = pair()
    permuted = copy.deepcopy(layer)
    features = torch.arange(E).view(H, -1)[torch.tensor(order)].flatten()
    with torch.no_grad():
        permuted.in_proj_weight.copy_(layer.in_proj_weight.view(3, E, E)[:, features].flatten(0, 1))
        permuted.in_proj_bias.copy_(torch.linspace(-1, 1, 3 * E).view(3, E)[:, features].flatten())
        layer.in_proj_bias.copy_(torch.linspace(-1, 1, 3 * E))
        permuted.out_proj.weight.copy_(layer.out_proj.weight[:, features])
    x = noise(L, N, E)
    (output, weights), (mine, mine_weights) = (
        f(x, x, x, need_weights=need_weights, average_attn_weights=False) for f in (layer, permuted)
    )
    assert_same(mine, output)
    if need_weights:
        assert_same(mine_weights, weights[:, torch.tensor(order)])


@weights_or_not
def test_a_causal_mask_leaks_nothing(need_weights):
    layer, _ = pair()
    x = noise(L, N, E).requires_grad_()
    mask = nn.Transformer.generate_square_subsequent_mask(L, dtype=torch.float64)
    for t in range(L):
        output, _ = layer(x, x, x, need_weights=need_weights, attn_mask=mask, is_causal=not need_weights)
        (gradient,) = torch.autograd.grad(output[t].sum(), x)
        assert not gradient[t + 1 :].any()
        assert gradient[: t + 1].abs().sum((1, 2)).all()


@weights_or_not
def test_padding_is_as_good_as_nothing(need_weights):
    layer, _ = pair(batch_first=True)
    x = noise(N, L, E)
    padding = (torch.arange(L) >= 3).expand(N, L)
    output, _ = layer(x, x, x, key_padding_mask=padding, need_weights=need_weights)
    assert_same(output[:, :3], layer(x[:, :3], x[:, :3], x[:, :3])[0])


def test_zero_attention_and_a_learned_key_take_their_share():
    layer = nn.MultiheadAttention(E, H, add_bias_kv=True, add_zero_attn=True).double()
    x = noise(L, N, E)
    weights = layer(x, x, x, average_attn_weights=False)[1]
    assert weights.shape == (N, H, L, L + 2)
    assert_same(weights.sum(-1), torch.ones(N, H, L, dtype=torch.float64))
    scores = weights.log() - weights[..., -1:].log()  # a key of zeros scores 0
    q, k, _ = torch.nn.functional.linear(x, layer.in_proj_weight, layer.in_proj_bias).chunk(3, -1)
    q, k = (part.view(L, N, H, -1) for part in (q, k))
    assert_same(scores[..., :L], torch.einsum("inhd,jnhd->nhij", q, k) / math.sqrt(E // H))


@pytest.mark.parametrize("kind", [torch.bool, torch.float64])
def test_merge_masks_is_torchs(kind):
    layers, query = pair(batch_first=True), noise(N, L, E)
    two, three = torch.rand(L, L) < 0.5, torch.rand(N * H, L, L) < 0.5
    padding = torch.rand(N, L) < 0.5
    for mask in (None, two.to(kind), three.to(kind)):
        for pad in (None, padding.to(kind)):
            (mine, kind_of_mine), (theirs, kind_of_theirs) = (f.merge_masks(mask, pad, query) for f in layers)
            assert kind_of_mine == kind_of_theirs
            assert (mine is theirs is None) or torch.equal(mine, theirs)


@pytest.mark.parametrize("kwargs", [{}, {"kdim": 4}, {"vdim": 4}, {"kdim": E, "vdim": E}, {"add_bias_kv": True}])
def test_attributes_are_torchs(kwargs):
    layers = pair(**kwargs)
    for name in ("embed_dim", "kdim", "vdim", "_qkv_same_embed_dim", "num_heads", "dropout", "batch_first", "head_dim",
                 "add_zero_attn"):  # fmt: skip
        assert getattr(layers[0], name) == getattr(layers[1], name), name
    for name in ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight", "bias_k", "bias_v"):
        mine, theirs = (getattr(layer, name) for layer in layers)
        assert (mine is theirs is None) or torch.equal(mine, theirs), name


def test_drawing_anew_leaves_what_torch_leaves():
    """The map behind the heads keeps its matrix, and loses its bias, as in torch.nn."""
    layers = pair(add_bias_kv=True)
    for layer in layers:
        torch.manual_seed(3)
        layer._reset_parameters()
    for (name, mine), theirs in zip(layers[0].named_parameters(), layers[1].parameters(), strict=True):
        assert torch.equal(mine, theirs), name


def test_pickles_from_before_keys_had_a_width():
    layer, _ = pair()
    state = copy.copy(layer.__dict__)
    del state["_qkv_same_embed_dim"]
    old = nn.MultiheadAttention.__new__(nn.MultiheadAttention)
    old.__setstate__(state)
    x = noise(L, N, E)
    assert_same(old(x, x, x)[0], layer(x, x, x)[0])
