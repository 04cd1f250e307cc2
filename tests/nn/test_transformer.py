"""Transformers: PyTorch's numbers by whichever kernel it takes, and the laws of encoders and decoders."""

import copy
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels import nn
from minimodels.nn.transformer import stack
from minimodels.testing import assert_commutes, assert_equivalent, assert_same

E, H, F, N, S, T = 8, 2, 12, 3, 5, 4
PADDING = torch.arange(S) >= torch.tensor([[5], [3], [4]])
norm_firsts = pytest.mark.parametrize("norm_first", [True, False])
batch_firsts = pytest.mark.parametrize("batch_first", [True, False])
prototype = pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")  # the reference's own
sides = pytest.mark.parametrize("side", ["Encoder", "Decoder"])


def noise(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def layer(library, side, **kwargs):
    return getattr(library, f"Transformer{side}Layer")(E, H, F, **{"dropout": 0.0} | kwargs)


def stacked(library, side, count=2, norm=True, **kwargs):
    arguments = (layer(library, side, **kwargs), count, library.LayerNorm(E) if norm else None)
    return drawn(getattr(library, f"Transformer{side}")(*arguments).double())


def drawn(module):
    """Layers that are no copies of each other, shifts that are no zeros."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return module


def causal(length):
    return torch.ones(length, length, dtype=torch.bool).triu(1)


@prototype
@norm_firsts
@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("masks", ["none", "padding", "causal"])
def test_inference_equals_torchs_fast_path_wherever_there_is_no_padding(norm_first, activation, masks):
    """PyTorch's encoder puts zeros at padding that way, before its last norm; ours computes what its training does."""
    settings = {"norm_first": norm_first, "activation": activation, "batch_first": True}
    ours, reference = (stacked(library, "Encoder", **settings).eval() for library in (nn, torch.nn))
    kwargs = {"none": {}, "padding": {"src_key_padding_mask": PADDING}, "causal": {"mask": causal(S)}}[masks]
    x = noise(N, S, E)
    with torch.no_grad():
        mine, theirs = ours(x, **kwargs), reference(x, **kwargs)
    seen = ~PADDING if masks == "padding" else torch.ones(N, S, dtype=torch.bool)
    assert_same(mine[seen], theirs[seen])
    assert_same(mine, ours(x, **kwargs).detach())
    assert_same(mine, reference(x, **kwargs).detach())
    for a, b in zip(ours.layers, reference.layers, strict=True):
        with torch.no_grad():
            pair = [f(x, *([None, PADDING] if masks == "padding" else kwargs.values())) for f in (a, b)]
        assert_same(*pair)


@prototype
def test_zeros_at_padding_are_what_sets_torchs_encoder_apart():
    ours, reference = (stacked(library, "Encoder", norm=False, batch_first=True).eval() for library in (nn, torch.nn))
    with torch.no_grad():
        mine, theirs = (f(noise(N, S, E), src_key_padding_mask=PADDING) for f in (ours, reference))
    assert not theirs[PADDING].any()
    assert mine[PADDING].all()
    assert_same(mine[~PADDING], theirs[~PADDING])


@pytest.mark.parametrize("batch_first", [True, False])
def test_a_position_that_sees_nothing_keeps_its_numbers(batch_first):
    """PyTorch's layer gives NaN there in evaluation without gradients."""
    module = drawn(layer(nn, "Encoder", batch_first=batch_first, norm_first=True).double()).eval()
    x = noise(N, S, E)
    everywhere = torch.ones(S, S, dtype=torch.bool)
    with torch.no_grad():
        y = module(x if batch_first else x.transpose(0, 1), everywhere)
        z = x + module.self_attn.out_proj.bias
        expected = z + module.linear2(torch.relu(module.linear1(module.norm2(z))))
    assert_same(y if batch_first else y.transpose(0, 1), expected)


@norm_firsts
@batch_firsts
@given(order=st.permutations(range(S)))
def test_permuting_a_sequence_permutes_what_an_encoder_makes_of_it(norm_first, batch_first, order):
    """Attention knows no order: positions have to be written into the input."""
    encoder, dim, order = stacked(nn, "Encoder", norm_first=norm_first, batch_first=batch_first), 1, torch.tensor(order)
    x = noise(N, S, E)
    if not batch_first:
        x, dim = x.transpose(0, 1), 0
    assert_commutes(encoder, lambda x: x.index_select(dim, order), x)


@norm_firsts
@given(order=st.permutations(range(S)))
def test_the_order_of_the_memory_is_nothing_to_a_decoder(norm_first, order):
    decoder = stacked(nn, "Decoder", norm_first=norm_first)
    tgt, memory = noise(T, N, E), noise(S, N, E, seed=2)
    assert_same(decoder(tgt, memory[torch.tensor(order)]), decoder(tgt, memory))


@norm_firsts
@pytest.mark.parametrize("promise", [None, True, False])
@pytest.mark.parametrize("padded", [True, False])
def test_a_causal_mask_leaks_nothing(norm_first, promise, padded):
    model = drawn(nn.Transformer(E, H, 1, 2, F, 0.0, norm_first=norm_first, batch_first=True).double())
    src, tgt = noise(N, S, E), noise(N, T, E, seed=2).requires_grad_()
    mask = model.generate_square_subsequent_mask(T)
    padding = torch.zeros(N, T) if padded else None
    output = model(src, tgt, tgt_mask=mask, tgt_key_padding_mask=padding, tgt_is_causal=promise)
    for t in range(T):
        (gradient,) = torch.autograd.grad(output[:, t].sum(), tgt, retain_graph=True)
        assert not gradient[:, t + 1 :].any()
        assert gradient[:, t].any()


@norm_firsts
@batch_firsts
def test_padding_does_not_change_what_stands_before_it(norm_first, batch_first):
    settings = {"norm_first": norm_first, "batch_first": batch_first}
    model = drawn(nn.Transformer(E, H, 2, 2, F, 0.0, **settings).double())

    def read(length, **masks):
        src, tgt = noise(N, S, E)[:, :length], noise(N, T, E, seed=2)
        inputs = (src, tgt) if batch_first else (src.transpose(0, 1), tgt.transpose(0, 1))
        return model(*inputs, **masks)

    padding = (torch.arange(S) >= 3).expand(N, S)
    assert_same(read(S, src_key_padding_mask=padding, memory_key_padding_mask=padding), read(3))


@sides
@batch_firsts
def test_a_batch_is_its_sequences(side, batch_first):
    module = stacked(nn, side, batch_first=batch_first)
    inputs = (noise(T, N, E), noise(S, N, E, seed=2))[: 1 + (side == "Decoder")]
    batch = module(*(x.transpose(0, 1) if batch_first else x for x in inputs))
    batch = batch.transpose(0, 1) if batch_first else batch
    for n in range(N):
        assert_same(module(*(x[:, n] for x in inputs)), batch[:, n])


@sides
@norm_firsts
def test_sublayers_that_map_to_zero_leave_the_residual(side, norm_first):
    """Norms before the sublayers leave a straight path through a layer; norms behind stand in it."""
    module = layer(nn, side, norm_first=norm_first).double()
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "out_proj" in name or "linear2" in name:
                parameter.zero_()
    x, memory = noise(S, N, E), noise(T, N, E, seed=2)
    y = module(x, *[memory] * (side == "Decoder"))
    expected = x
    for _ in range(0 if norm_first else 2 + (side == "Decoder")):
        expected = nn.LayerNorm(E).double()(expected)
    assert_same(y, expected)


@norm_firsts
def test_permuting_heads_and_hidden_units_changes_nothing(norm_first):
    module = drawn(layer(nn, "Encoder", norm_first=norm_first).double())
    twin, heads, units = copy.deepcopy(module), torch.arange(E).view(H, -1).flip(0).flatten(), torch.randperm(F)
    with torch.no_grad():
        for name in ("in_proj_weight", "in_proj_bias"):
            packed = getattr(module.self_attn, name).unflatten(0, (3, E))
            getattr(twin.self_attn, name).copy_(packed[:, heads].flatten(0, 1))
        twin.self_attn.out_proj.weight.copy_(module.self_attn.out_proj.weight[:, heads])
        twin.linear1.weight.copy_(module.linear1.weight[units])
        twin.linear1.bias.copy_(module.linear1.bias[units])
        twin.linear2.weight.copy_(module.linear2.weight[:, units])
    assert_same(twin(noise(S, N, E)), module(noise(S, N, E)))


def test_a_transformer_is_its_encoder_then_its_decoder():
    model = nn.Transformer(E, H, 2, 1, F).double().eval()
    src, tgt = noise(S, N, E), noise(T, N, E, seed=2)
    assert_same(model(src, tgt), model.decoder(tgt, model.encoder(src)))


@sides
def test_a_stack_is_its_layers_one_after_the_other(side):
    module = stacked(nn, side, count=3)
    x, memory = noise(T, N, E), [noise(S, N, E, seed=2)] * (side == "Decoder")
    y = x
    for one in module.layers:
        y = one(y, *memory)
    assert_same(module(x, *memory), module.norm(y))


@sides
def test_the_copies_of_a_layer_start_alike_and_share_nothing(side):
    first = layer(nn, side)
    module = getattr(nn, f"Transformer{side}")(first, 2)
    one, two = (list(copied.parameters()) for copied in module.layers)
    for a, b, original in zip(one, two, first.parameters(), strict=True):
        assert torch.equal(a, b)
        assert len({a.data_ptr(), b.data_ptr(), original.data_ptr()}) == 3


@sides
@batch_firsts
@pytest.mark.parametrize("kind", [torch.bool, torch.float32, torch.float64])
def test_a_causal_mask_is_found_out(side, batch_first, kind, monkeypatch):
    """And nothing is taken for causal that is not, whatever its shape."""
    module, heard = stacked(nn, side, batch_first=batch_first), []
    for one in module.layers:
        attend = one.self_attn.forward
        monkeypatch.setattr(
            one.self_attn, "forward", lambda *a, attend=attend, **k: heard.append(k["is_causal"]) or attend(*a, **k)
        )
    x = noise(N, T, E) if batch_first else noise(T, N, E)
    memory = [x] * (side == "Decoder")
    mask = nn.Transformer.generate_square_subsequent_mask(T, dtype=kind)
    assert torch.equal(mask, torch.nn.Transformer.generate_square_subsequent_mask(T, dtype=kind))
    other = mask.clone()
    other[0, -1] = 0
    each = mask.expand(N * H, T, T)
    for tried, expected in ((mask, True), (other, False), (each, False), (None, False)):
        heard.clear()
        module(x, *memory, tried)
        assert heard == [expected] * 2
        for promise in (True, False) if tried is not None else ():
            heard.clear()
            options = {"is_causal" if side == "Encoder" else "tgt_is_causal": promise}
            module(x, *memory, tried, **options)
            assert heard == [promise] * 2


def test_masks_are_read_only_where_there_are_numbers():
    encoder = stacked(nn, "Encoder")
    mask, x = causal(S), noise(S, N, E)
    assert stack._readable(mask)
    assert not stack._readable(mask.to("meta"))
    batched = torch.func.vmap(lambda x, mask: encoder(x, mask))(torch.stack([x, x]), torch.stack([mask, ~mask.t()]))
    assert_same(batched[0], encoder(x, mask))
    assert encoder.to("meta")(x.to("meta"), mask.to("meta")).shape == x.shape


def test_own_layers_may_be_stacked():
    class Own(nn.Module):
        def forward(self, src, src_mask, src_key_padding_mask, is_causal):
            return src + 1

    assert_same(nn.TransformerEncoder(Own(), 3)(noise(S, N, E)), noise(S, N, E) + 3)


@sides
def test_blocks_may_be_overridden(side):
    """What subclasses of torch.nn's layers override is here too, by the same names."""
    base = getattr(nn, f"Transformer{side}Layer")

    class Deaf(base):
        def _sa_block(self, x, attn_mask, key_padding_mask, is_causal=False):
            return torch.zeros_like(x)

        def _mha_block(self, x, mem, attn_mask, key_padding_mask, is_causal=False):
            return torch.zeros_like(x)

        def _ff_block(self, x):
            return torch.ones_like(x)

    module = Deaf(E, H, F, norm_first=True).double()
    x = noise(S, N, E)
    assert_same(module(x, *[x] * (side == "Decoder")), x + 1)


@sides
def test_weights_can_be_had_by_wrapping_attention(side):
    """A habit of torch.nn's users: the arguments go by name, so that a wrapper may ask for the weights."""
    module, found = layer(nn, side).double(), {}
    for name in ("self_attn", "multihead_attn")[: 1 + (side == "Decoder")]:
        attend = getattr(module, name).forward

        def wrapped(*args, name=name, attend=attend, **kwargs):
            output, found[name] = attend(*args, **kwargs | {"need_weights": True})
            return output, found[name]

        getattr(module, name).forward = wrapped
    tgt, memory = noise(T, N, E), noise(S, N, E, seed=2)
    module(tgt, *[memory] * (side == "Decoder"))
    assert {name: weights.shape for name, weights in found.items()} == {
        "self_attn": (N, T, T),
        **({"multihead_attn": (N, T, S)} if side == "Decoder" else {}),
    }


@sides
@pytest.mark.parametrize("activation", ["relu", "gelu", torch.tanh, nn.SiLU(), nn.functional.gelu])
def test_activations_by_name_function_or_module(side, activation):
    reference = torch.nn.SiLU() if isinstance(activation, nn.SiLU) else activation
    pair = [layer(library, side, activation=f) for library, f in ((nn, activation), (torch.nn, reference))]
    assert repr(pair[0]) == repr(pair[1])
    inputs = [noise(T, N, E), noise(S, N, E, seed=2)][: 1 + (side == "Decoder")]
    assert_equivalent(*(drawn(module.double()) for module in pair), *inputs, order=1)


@sides
def test_pickles_from_before_there_was_a_choice_of_activation(side):
    module = layer(nn, side)
    state = copy.copy(module.__dict__)
    del state["activation"]
    old = type(module).__new__(type(module))
    old.__setstate__(state)
    assert old.activation is nn.functional.relu
    assert pickle.loads(pickle.dumps(layer(nn, side, activation="gelu"))).activation is nn.functional.gelu


def test_settings_reach_where_they_belong():
    model = nn.Transformer(E, H, 2, 3, F, 0.25, "gelu", None, None, 0.5, True, True, False)
    reference = torch.nn.Transformer(E, H, 2, 3, F, 0.25, "gelu", None, None, 0.5, True, True, False)
    assert repr(model) == repr(reference)
    assert (model.d_model, model.nhead, model.batch_first) == (E, H, True)
    layers = [*model.encoder.layers, *model.decoder.layers]
    assert len(model.encoder.layers) == model.encoder.num_layers == 2
    assert len(model.decoder.layers) == model.decoder.num_layers == 3
    for one in layers:
        assert one.norm_first
        assert one.self_attn.batch_first
        assert one.self_attn.dropout == 0.25
        assert one.activation is nn.functional.gelu
    assert all("bias" not in name for name, _ in model.named_parameters())


@sides
def test_a_training_step_under_dropout_is_torchs(side):
    """In float32, by PyTorch's own choice of kernel: the same seed, the same zeros, in all four places."""
    pair = [layer(library, side, dropout=0.5, batch_first=True).float() for library in (nn, torch.nn)]
    inputs = [noise(N, T, E).float(), noise(N, S, E, seed=2).float()][: 1 + (side == "Decoder")]
    assert_equivalent(*pair, *inputs, order=1, rtol=1e-4, atol=1e-5)


def test_sequences_that_do_not_fit_are_refused_in_a_sentence():
    model = nn.Transformer(E, H, 1, 1, F).double()
    with pytest.raises(RuntimeError, match=r"batches of one size: \[5, 3, 8\], \[4, 2, 8\]"):
        model(noise(S, N, E), noise(T, 2, E))
    with pytest.raises(RuntimeError, match="should have 8 features"):
        model(noise(S, N, E + 1), noise(T, N, E + 1))
    with pytest.raises(RuntimeError, match="relu or gelu, or a function, not swish"):
        nn.TransformerEncoderLayer(E, H, activation="swish")
