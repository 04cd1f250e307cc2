"""What LSTM, GRU and RNN share as modules: ragged batches, signatures, weights that are replaced, old pickles."""

import copy
import inspect
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels import nn
from minimodels.testing import assert_equivalent, assert_same
from minimodels.testing.cases.recurrent import recurrent_cases

KINDS = ["LSTM", "GRU", "RNN"]
kinds = pytest.mark.parametrize("kind", KINDS)


class OnPacked(torch.nn.Module):
    """A layer that packs its input first, so that all goes in and comes out as tensors."""

    def __init__(self, layer, lengths, ordered):
        super().__init__()
        self.layer, self.lengths, self.ordered = layer, lengths, ordered

    def forward(self, x, *hx):
        return self.layer(torch.nn.utils.rnn.pack_padded_sequence(x, self.lengths, False, self.ordered), *hx)


@kinds
@pytest.mark.parametrize("order", [1, 2])
@given(data=st.data(), lengths=st.lists(st.integers(1, 4), min_size=1, max_size=4), ordered=st.booleans())
def test_ragged_batches(kind, order, data, lengths, ordered):
    case = data.draw(recurrent_cases(kind))
    (inputs, hidden), kwargs = case.args, case.kwargs
    lengths = sorted(lengths, reverse=True) if ordered else lengths
    N, levels = len(lengths), kwargs["num_layers"] * (2 if kwargs["bidirectional"] else 1)
    x = torch.randn(max(lengths), N, inputs, dtype=torch.float64)
    states = [torch.randn(levels, N, kwargs.get("proj_size") or hidden, dtype=torch.float64)]
    if kind == "LSTM":
        states = [(states[0], torch.randn(levels, N, hidden, dtype=torch.float64))]
    pair = [OnPacked(getattr(m, kind)(*case.args, **kwargs).double(), lengths, ordered) for m in (nn, torch.nn)]
    assert_equivalent(*pair, x, *(states if data.draw(st.booleans()) else []), order=order, rtol=1e-9, atol=1e-9)


@kinds
def test_a_packed_batch_comes_back_packed(kind):
    sequences = [torch.randn(n, 3) for n in (2, 4, 1)]
    packed = torch.nn.utils.rnn.pack_sequence(sequences, enforce_sorted=False)
    output, _ = getattr(nn, kind)(3, 4)(packed)
    assert type(output) is type(packed)
    for mine, theirs in zip(output[1:], packed[1:], strict=True):
        assert torch.equal(mine, theirs)


@kinds
def test_a_wrong_packed_batch_is_refused(kind):
    """By torch.nn.LSTM not always: without first states it does not look, and computes with what is not there."""
    packed = torch.nn.utils.rnn.pack_sequence([torch.randn(2, 5)])
    flat = torch.nn.utils.rnn.pack_sequence([torch.randn(2)])
    layer = getattr(nn, kind)(3, 4)
    with pytest.raises(RuntimeError, match="input_size"):
        layer(packed)
    with pytest.raises(RuntimeError, match="dimensions"):
        layer(flat)
    with pytest.raises(ValueError, match="dtype"):
        layer(packed.to(torch.float64))


@kinds
def test_arguments_by_position(kind):
    positional = [3, 4, 2, *(["relu"] if kind == "RNN" else []), False, True, 0.25, True]
    layers = [getattr(module, kind)(*positional) for module in (nn, torch.nn)]
    assert repr(layers[0]) == repr(layers[1])
    for name in ("mode", "input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional",
                 "proj_size", *(["nonlinearity"] if kind == "RNN" else [])):  # fmt: skip
        assert getattr(layers[0], name) == getattr(layers[1], name), name
    shapes = [[[w.shape for w in weights] for weights in layer.all_weights] for layer in layers]
    assert shapes[0] == shapes[1]
    assert layers[0].flatten_parameters() is None


@kinds
def test_factory_arguments(kind):
    layer = getattr(nn, kind)(3, 4, device="meta", dtype=torch.bfloat16, layer_norm=True)
    assert all(p.device.type == "meta" and p.dtype is torch.bfloat16 for p in layer.parameters())


@kinds
def test_dropout_on_a_single_layer_is_warned_about(kind):
    for module in (nn, torch.nn):
        with pytest.warns(UserWarning, match="num_layers greater than 1") as caught:
            getattr(module, kind)(3, 4, dropout=0.5)
        assert caught[0].filename.endswith(("test_recurrent.py", "torch/nn/modules/rnn.py"))


@kinds
def test_extras_are_checked_shown_and_change_no_first_weight(kind):
    extras = {"layer_norm": True, "recurrent_dropout": 0.25}
    layers = []
    for kwargs in ({}, extras):
        torch.manual_seed(0)
        layers.append(getattr(nn, kind)(3, 4, 2, bidirectional=True, **kwargs))
    for name, parameter in layers[0].named_parameters():
        assert torch.equal(parameter, layers[1].get_parameter(name)), name
    assert repr(layers[1]).endswith("layer_norm=True, recurrent_dropout=0.25)")
    for p in (-0.1, 1.5, True, "much"):
        with pytest.raises(ValueError, match=r"could not convert|recurrent_dropout should be"):
            getattr(nn, kind)(3, 4, recurrent_dropout=p)
    with pytest.raises(TypeError):
        getattr(nn, kind)(3, 4, peephole=True)


@kinds
def test_weights_that_are_replaced_are_used(kind):
    """A parametrisation or a new parameter: the weights are looked up at each call, not kept aside."""
    layer = getattr(nn, kind)(3, 4)
    x = torch.randn(5, 2, 3)
    torch.nn.utils.parametrize.register_parametrization(layer, "weight_hh_l0", Zero())
    output, _ = layer(x)
    plain = getattr(nn, kind)(3, 4)
    plain.load_state_dict(
        {n: layer.weight_hh_l0 if n == "weight_hh_l0" else getattr(layer, n) for n, _ in plain.named_parameters()}
    )
    assert torch.equal(output, plain(x)[0])
    plain.weight_ih_l0 = torch.nn.Parameter(torch.zeros_like(plain.weight_ih_l0))
    assert torch.equal(plain(x)[0], plain(2 * x)[0])


class Zero(torch.nn.Module):
    def forward(self, w):
        return 0 * w


@kinds
def test_pickles_without_the_later_settings(kind):
    layer = getattr(nn, kind)(3, 4)
    state = copy.copy(layer.__dict__)
    for name in ("proj_size", "layer_norm", "recurrent_dropout", "update_dropout"):
        del state[name]
    old = type(layer).__new__(type(layer))
    old.__setstate__(state)
    x = torch.randn(5, 2, 3)
    assert torch.equal(old(x)[0], layer(x)[0])
    assert torch.equal(pickle.loads(pickle.dumps(layer))(x)[0], layer(x)[0])


@kinds
@pytest.mark.parametrize("first", [True, False])
def test_an_empty_batch(kind, first):
    x = torch.zeros(0, 5, 3) if first else torch.zeros(5, 0, 3)
    pair = [getattr(module, kind)(3, 4, 2, batch_first=first) for module in (nn, torch.nn)]
    assert_equivalent(*pair, x, order=1)


@kinds
def test_all_weights_are_torchs(kind):
    pair = [getattr(module, kind)(3, 4, 2, bidirectional=True) for module in (nn, torch.nn)]
    pair[1].load_state_dict(pair[0].state_dict())
    for mine, theirs in zip(*(layer.all_weights for layer in pair), strict=True):
        for a, b in zip(mine, theirs, strict=True):
            assert_same(a, b)


@kinds
def test_a_layer_shows_what_it_is_made_with(kind):
    layer = getattr(nn, kind)
    names = list(inspect.signature(layer).parameters)
    assert names[:3] == ["input_size", "hidden_size", "num_layers"]
    assert {"bidirectional", "device", "dtype", "layer_norm", "recurrent_dropout"} < set(names)
    assert ("proj_size" in names) == (kind == "LSTM")


def test_a_layer_made_from_one_shows_its_own():
    class Small(nn.LSTM):
        def __init__(self, width: int = 4) -> None:
            super().__init__(width, width)

    class Smaller(Small):
        pass

    assert str(inspect.signature(Small)) == str(inspect.signature(Smaller)) == "(width: int = 4) -> None"
