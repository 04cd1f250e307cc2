"""Grouped-query attention: its two ends, its cache in any pieces, its window, masks, and where tokens stand."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels import nn
from minimodels.tap import listening
from minimodels.testing import assert_equivalent, tensors


@st.composite
def layers(draw, **fixed):
    """A layer of some grouping, width, window and pairing, with weights of its own."""
    groups, share, d = draw(st.integers(1, 3)), draw(st.integers(1, 3)), 2 * draw(st.integers(1, 3))
    settings = {
        "num_heads": groups * share,
        "num_key_value_heads": groups,
        "head_dim": d,
        "bias": draw(st.booleans()),
        "rotary": draw(st.sampled_from([None, nn.RotaryEmbedding(d, dtype=torch.float64), nn.RotaryEmbedding(2)])),
        "sliding_window": draw(st.sampled_from([None, 1, 2, 4])),
    } | fixed
    torch.manual_seed(draw(st.integers(0, 9)))
    return nn.GroupedQueryAttention(4, **settings).double()


def cache(layer, capacity=9, N=2):
    return nn.KeyValueCache(1, N, layer.num_key_value_heads, capacity, layer.head_dim, dtype=torch.float64)


class Reference(torch.nn.Module):
    """The same maps, and PyTorch's attention over heads that are repeated."""

    def __init__(self, layer):
        super().__init__()
        self.heads, self.d = layer.num_heads, layer.head_dim
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            ours = getattr(layer, name)
            setattr(self, name, torch.nn.Linear(ours.in_features, ours.out_features, ours.bias is not None).double())

    def forward(self, x):
        q, k, v = (f(x).view(*x.shape[:2], -1, self.d).transpose(1, 2) for f in (self.q_proj, self.k_proj, self.v_proj))
        k, v = (t.repeat_interleave(self.heads // t.shape[1], 1) for t in (k, v))
        y = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o_proj(y.transpose(1, 2).flatten(2))


@given(data=st.data(), layer=layers(rotary=None, sliding_window=None))
def test_it_is_torchs_attention_with_repeated_heads(data, layer):
    assert_equivalent(layer, Reference(layer), data.draw(tensors((2, 5, 4), layouts=False)), order=1)


@given(x=tensors((2, 5, 4)), seed=st.integers(0, 9))
def test_with_as_many_heads_on_both_sides_it_is_multi_head_attention(x, seed):
    torch.manual_seed(seed)
    layer = nn.GroupedQueryAttention(4, 2, bias=True, causal=False).double()
    reference = torch.nn.MultiheadAttention(4, 2, batch_first=True).double()
    with torch.no_grad():
        maps = layer.q_proj, layer.k_proj, layer.v_proj
        reference.in_proj_weight.copy_(torch.cat([f.weight for f in maps]))
        reference.in_proj_bias.copy_(torch.cat([f.bias for f in maps]))
        reference.out_proj.load_state_dict(layer.o_proj.state_dict())
    torch.testing.assert_close(layer(x), reference(x, x, x, need_weights=False)[0])


@given(x=tensors((2, 5, 4)), layer=layers(num_key_value_heads=1))
def test_with_one_head_of_keys_all_queries_share_it(x, layer):
    many = nn.GroupedQueryAttention(
        4, layer.num_heads, None, layer.head_dim, layer.q_proj.bias is not None, 0.0, layer.rotary, layer.sliding_window
    ).double()
    state = layer.state_dict()
    for name in state:
        if "k_proj" in name or "v_proj" in name:
            state[name] = torch.cat([state[name]] * layer.num_heads)
    many.load_state_dict(state)
    torch.testing.assert_close(layer(x), many(x))


@given(x=tensors((2, 6, 4)), layer=layers(), cuts=st.lists(st.integers(1, 5), max_size=3, unique=True).map(sorted))
def test_in_pieces_of_any_size_it_reads_the_same(x, layer, cuts):
    memory = cache(layer)
    pieces = [layer(part, past_key_values=memory) for part in x.tensor_split(cuts, dim=1)]
    torch.testing.assert_close(torch.cat(pieces, dim=1), layer(x), rtol=1e-5, atol=1e-5)
    assert memory.length == 6


@given(x=tensors((1, 6, 4)), layer=layers(), t=st.integers(0, 5))
def test_a_token_sees_its_window_and_nothing_else(x, layer, t):
    moved = x.clone()
    moved[:, t] += 1
    changed = (layer(moved) != layer(x)).any(-1).nonzero()[:, 1].tolist()
    end = 6 if layer.sliding_window is None else min(6, t + layer.sliding_window)
    assert set(changed) <= set(range(t, end))


@given(x=tensors((1, 6, 4)), layer=layers(), shift=st.integers(0, 500))
def test_where_a_text_begins_does_not_matter(x, layer, shift):
    if layer.rotary is None:
        layer.rotary = nn.RotaryEmbedding(2)
    angles = layer.rotary.angles(torch.arange(shift, shift + 6))
    torch.testing.assert_close(layer(x, angles=angles), layer(x), rtol=1e-3, atol=1e-3)


@given(x=tensors((1, 6, 4)), layer=layers(rotary=nn.RotaryEmbedding(2)), step=st.integers(1, 5))
def test_angles_that_are_given_count(x, layer, step):
    strides = layer.rotary.angles(torch.arange(0, 6 * step, step))
    found = layer(x, angles=strides)
    layer.rotary = nn.RotaryEmbedding(2, scaling={"rope_type": "linear", "factor": 1 / step})
    torch.testing.assert_close(found, layer(x), rtol=1e-5, atol=1e-5)


@given(x=tensors((2, 5, 4)), layer=layers(), padding=st.integers(1, 3))
def test_padding_on_the_left_changes_nothing(x, layer, padding):
    padded = torch.cat([torch.full((2, padding, 4), 50.0, dtype=x.dtype), x], dim=1)
    mask = (torch.arange(padding + 5) >= padding)[None, None, None]
    angles = None
    if layer.rotary is not None:
        angles = layer.rotary.angles((torch.arange(padding + 5) - padding).clamp(min=0))
    torch.testing.assert_close(layer(padded, mask, angles)[:, padding:], layer(x))


@given(x=tensors((1, 5, 4)), layer=layers(rotary=None, sliding_window=None))
def test_alibi_goes_on_top_with_and_without_a_cache(x, layer):
    alibi, memory = nn.ALiBi(layer.num_heads, dtype=torch.float64), cache(layer, N=1)
    whole = layer(x, alibi(5, 5))
    steps = [layer(x[:, t : t + 1], alibi(1, t + 1), past_key_values=memory) for t in range(5)]
    torch.testing.assert_close(torch.cat(steps, dim=1), whole)
    assert not torch.allclose(whole, layer(x)), "distance counts"


@given(x=tensors((1, 5, 4)), order=st.permutations(range(5)), layer=layers(rotary=None, sliding_window=None))
def test_without_positions_and_causality_a_text_is_a_set(x, order, layer):
    layer.causal = False
    torch.testing.assert_close(layer(x[:, order]), layer(x)[:, order])


def test_dropout_is_for_training():
    torch.manual_seed(0)
    layer, x = nn.GroupedQueryAttention(8, 4, 2, dropout=0.5), torch.randn(1, 6, 8)
    assert not torch.equal(layer(x), layer(x))
    layer.eval()
    assert torch.equal(layer(x), layer(x))


def test_attention_can_be_watched():
    heard = {}
    layer = nn.GroupedQueryAttention(8, 4, 2, rotary=nn.RotaryEmbedding(2))
    with listening(lambda name, value: heard.setdefault(name, value)):
        layer(torch.randn(1, 6, 8))
    assert {"position.angles", "position.rotated", "attention.weights"} <= heard.keys()
    torch.testing.assert_close(heard["attention.weights"].sum(-1), torch.ones(1, 4, 6))


def test_factory_arguments_the_meta_device_and_names():
    layer = nn.GroupedQueryAttention(8, 4, 2, bias=True, device="meta", dtype=torch.bfloat16)
    assert {(p.device.type, p.dtype) for p in layer.parameters()} == {("meta", torch.bfloat16)}
    assert layer(torch.empty(2, 3, 8, device="meta", dtype=torch.bfloat16)).shape == (2, 3, 8)
    names = {f"{p}_proj.{w}" for p in "qkvo" for w in ("weight", "bias")}
    assert set(layer.state_dict()) == names
    assert set(nn.GroupedQueryAttention(8, 4, rotary=nn.RotaryEmbedding(2), bias=True).state_dict()) == names


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_16_bits_stay_16_bits(dtype):
    torch.manual_seed(0)
    layer, x = (
        nn.GroupedQueryAttention(16, 4, 2, rotary=nn.RotaryEmbedding(4)).to(dtype),
        torch.randn(2, 7, 16).to(dtype),
    )
    assert layer(x).dtype is dtype
    torch.testing.assert_close(layer(x).double(), layer.double()(x.double()), rtol=3e-2, atol=3e-2)


def test_compiles_to_one_graph_and_goes_through_transforms():
    torch.manual_seed(0)
    layer, x = nn.GroupedQueryAttention(8, 4, 2, rotary=nn.RotaryEmbedding(2), sliding_window=3), torch.randn(2, 5, 8)
    torch.compiler.reset()
    torch.testing.assert_close(torch.compile(layer, fullgraph=True, backend="aot_eager")(x), layer(x))
    weights = dict(layer.named_parameters())
    loss = lambda w: torch.func.functional_call(layer, w, x).square().sum()  # noqa: E731
    found = torch.func.grad(loss)(weights)
    loss(weights).backward()
    for name, weight in weights.items():
        torch.testing.assert_close(found[name], weight.grad)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ((8, 4, 3), r"num_heads \(4\) has to be a multiple of num_key_value_heads \(3\)"),
        ((8, 4, 0), r"multiple of num_key_value_heads \(0\)"),
        ((9, 4), r"embed_dim \(9\) has to be a multiple of num_heads \(4\), or give head_dim"),
        ((8, 4, 4, 2, False, 0.0, None, 3, False), "a sliding window is for causal attention"),
    ],
)
def test_what_does_not_fit(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        nn.GroupedQueryAttention(*settings)


def test_what_it_shows():
    assert repr(nn.GroupedQueryAttention(8, 4, 2)).startswith(
        "GroupedQueryAttention(\n  8, num_heads=4, num_key_value_heads=2, head_dim=2, sliding_window=None, causal=True"
    )
