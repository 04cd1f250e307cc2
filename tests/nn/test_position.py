"""Position layers: what they add and turn, casts, the meta device, a cache's offsets, errors that name the end."""

import copy
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels import functional as F
from minimodels import nn
from minimodels.testing import assert_equivalent, tensors

LAYERS = {
    "sinusoidal": lambda **kw: nn.SinusoidalPositionalEmbedding(6),
    "learned": lambda **kw: nn.LearnedPositionalEmbedding(9, 6, **kw),
    "rotary": lambda **kw: nn.RotaryEmbedding(6, **kw),
    "neighbours": lambda **kw: nn.RotaryEmbedding(4, interleaved=True, **kw),
    "linear": lambda **kw: nn.RotaryEmbedding(6, scaling={"rope_type": "linear", "factor": 2.0}, **kw),
}
layers = pytest.mark.parametrize("name", LAYERS)
CONSTANT = {"inv_freq": lambda **kw: nn.RotaryEmbedding(6, **kw), "slopes": lambda **kw: nn.ALiBi(6, **kw)}
constants = pytest.mark.parametrize("buffer", CONSTANT)


@layers
@given(x=tensors((2, 5, 6)), cut=st.integers(0, 5))
def test_in_two_pieces_the_positions_count_on(name, x, cut):
    layer = LAYERS[name]().double()
    pieces = layer(x[:, :cut]), layer(x[:, cut:], offset=cut)
    torch.testing.assert_close(torch.cat(pieces, dim=1), layer(x))


@layers
@given(x=tensors((2, 3, 5, 6)), rows=st.lists(st.permutations(range(5)), min_size=2, max_size=2))
def test_each_row_may_stand_elsewhere(name, x, rows):
    layer = LAYERS[name]().double()
    found = layer(x, torch.tensor(rows)[:, None])  # [N, 1, T]
    for i, positions in enumerate(rows):
        torch.testing.assert_close(found[i], layer(x[i], torch.tensor(positions)))


@given(x=tensors((2, 5, 6)), positions=st.lists(st.integers(0, 8), min_size=5, max_size=5), seed=st.integers(0, 9))
def test_learned_positions_are_an_embedding(x, positions, seed):
    torch.manual_seed(seed)
    layer = nn.LearnedPositionalEmbedding(9, 6, dtype=torch.float64)
    torch.manual_seed(seed)
    table = torch.nn.Embedding(9, 6, dtype=torch.float64)
    assert torch.equal(layer.weight, table.weight)
    positions = torch.tensor(positions)

    class Added(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(table.weight.detach().clone())

        def forward(self, x):
            return x + torch.nn.functional.embedding(positions, self.weight)

    class Placed(nn.LearnedPositionalEmbedding):
        def forward(self, x):
            return super().forward(x, positions)

    assert_equivalent(Placed(9, 6).double(), Added(), x)


def test_the_table_ends_and_says_so():
    layer, x = nn.LearnedPositionalEmbedding(4, 2), torch.zeros(3, 2)
    assert layer(x, offset=1).shape == (3, 2)
    for call in (lambda: layer(x, offset=2), lambda: layer(x, torch.arange(2, 5))):
        with pytest.raises(IndexError, match="positions 2 to 4 are not all in the table, which ends at 3; shorten"):
            call()
    with pytest.raises(IndexError, match="positions -1 to 1"):
        layer(x, offset=-1)
    with pytest.raises(IndexError, match="0 to 4"):
        layer.to("meta")(torch.zeros(5, 2, device="meta"))


@constants
def test_what_follows_from_the_settings_is_not_rounded_and_not_saved(buffer):
    layer = CONSTANT[buffer]()
    before = layer.get_buffer(buffer).clone()
    assert not layer.state_dict()
    for cast in (layer.bfloat16, layer.half, layer.float, layer.double, lambda: layer.to(torch.bfloat16)):
        cast()
        assert layer.get_buffer(buffer).dtype is torch.float32
        assert torch.equal(layer.get_buffer(buffer), before)
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(twin.get_buffer(buffer), before)
    assert CONSTANT[buffer](dtype=torch.bfloat16).get_buffer(buffer).dtype is torch.float32
    assert CONSTANT[buffer](dtype=torch.float64).bfloat16().get_buffer(buffer).dtype is torch.float64


@constants
def test_from_the_meta_device_it_comes_with_its_numbers(buffer):
    layer = nn.Sequential(CONSTANT[buffer](device="meta"))
    assert layer[0].get_buffer(buffer).device.type == "meta"
    layer.to_empty(device="cpu")
    assert torch.equal(layer[0].get_buffer(buffer), CONSTANT[buffer]().get_buffer(buffer))


@layers
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_the_type_of_the_tokens_stays(name, dtype):
    x = torch.randn(2, 5, 6).to(dtype)
    layer = LAYERS[name]().to(dtype)
    found = layer(x, offset=3)
    assert found.dtype is dtype
    tolerance = 4 * torch.finfo(dtype).eps if dtype is not torch.float64 else 1e-6
    torch.testing.assert_close(found.double(), layer.double()(x.double(), offset=3), rtol=tolerance, atol=tolerance)


@layers
def test_on_the_meta_device_there_are_shapes(name):
    layer = LAYERS[name](device="meta")
    assert layer(torch.empty(2, 5, 6, device="meta")).shape == (2, 5, 6)


@layers
def test_compiles_to_one_graph_and_goes_through_transforms(name):
    layer, x = LAYERS[name](), torch.randn(2, 5, 6)
    torch.compiler.reset()
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), layer(x))
    torch.testing.assert_close(compiled(x, torch.arange(5)), layer(x))
    torch.testing.assert_close(torch.func.vmap(layer)(x), layer(x))
    gradient = torch.func.grad(lambda x: torch.func.functional_call(layer, dict(layer.named_parameters()), x).sum())(x)
    ones = torch.autograd.grad(layer(leaf := x.clone().requires_grad_()).sum(), leaf)[0]
    torch.testing.assert_close(gradient, ones)


def test_alibi_compiles():
    torch.compiler.reset()
    layer = nn.ALiBi(3)
    assert torch.equal(torch.compile(layer, fullgraph=True, backend="aot_eager")(2, 4), layer(2, 4))
    assert torch.equal(layer(2, 4), F.alibi_bias(F.alibi_slopes(3), 2, 4))
    assert torch.equal(nn.ALiBi(3, causal=False)(3, 3), -F.alibi_slopes(3)[:, None, None] * torch.tensor(
        [[0, 1, 2], [1, 0, 1], [2, 1, 0]]
    ))  # fmt: skip


def test_a_pair_has_two_numbers():
    with pytest.raises(ValueError, match="two by two, but dim is 5"):
        nn.RotaryEmbedding(5)


def test_what_they_show():
    assert repr(nn.ALiBi(3)) == "ALiBi(3, causal=True)"
    assert repr(LAYERS["linear"]()) == (
        "RotaryEmbedding(6, base=10000.0, scaling={'rope_type': 'linear', 'factor': 2.0}, interleaved=False)"
    )
    assert repr(LAYERS["sinusoidal"]()) == "SinusoidalPositionalEmbedding(6, base=10000.0)"
    assert repr(LAYERS["learned"]()) == "LearnedPositionalEmbedding(9, 6)"
