"""GPT-2: against transformers number by number, and the laws that a causal language model keeps."""

import copy
import math
import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels import nn
from minimodels.errors import InputError
from minimodels.models import GPT2Config, GPT2LMHeadModel, GPT2Model, gpt2, gpt2_token
from minimodels.models.gpt2 import Conv1D
from minimodels.models.gpt2_config import SIZES
from minimodels.tap import listening

EXACT = {"rtol": 0, "atol": 1e-10}


@st.composite
def configs(draw):
    """Small settings, every switch in either position."""
    head, heads = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    return GPT2Config(
        vocab_size=draw(st.integers(2, 30)),
        n_positions=draw(st.integers(8, 12)),
        n_embd=head * heads,
        n_layer=draw(st.integers(1, 3)),
        n_head=heads,
        n_inner=draw(st.none() | st.integers(1, 9)),
        activation_function=draw(st.sampled_from(["gelu_new", "gelu", "relu", "silu", "tanh", "gelu_pytorch_tanh"])),
        layer_norm_epsilon=draw(st.sampled_from([1e-5, 1e-2])),
        scale_attn_weights=draw(st.booleans()),
        scale_attn_by_inverse_layer_idx=draw(st.booleans()),
        reorder_and_upcast_attn=draw(st.booleans()),
        tie_word_embeddings=draw(st.booleans()),
        bos_token_id=0,
        eos_token_id=0,
    )


def built(config, kind=GPT2LMHeadModel, dtype=torch.float64):
    """A model whose weights are all random and large enough to matter."""
    model = kind(config).to(dtype).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.4)
    return model


def small(**settings):
    torch.manual_seed(0)
    return built(GPT2Config(vocab_size=29, n_positions=12, n_embd=12, n_head=3, **{"n_layer": 2} | settings))


def tokens(config, N=2, T=7):
    return torch.randint(config.vocab_size, (N, T))


# --- against transformers ---


def theirs(model):
    """The same model as transformers builds it."""
    transformers = pytest.importorskip("transformers")
    values = model.config.to_dict() | {"attn_implementation": "eager", "reorder_and_upcast_attn": False}
    twin = getattr(transformers, type(model).__name__)(transformers.GPT2Config(**values)).double().eval()
    twin.load_state_dict(model.state_dict())
    twin.tie_weights()
    return twin


@given(config=configs(), N=st.integers(1, 3), T=st.integers(2, 8), seed=st.integers(0, 99))
def test_logits_loss_and_gradients_are_those_of_transformers(config, N, T, seed):
    torch.manual_seed(seed)
    ours = built(config)
    twin, ids = theirs(ours), tokens(config, N, T)
    output, reference = ours(ids, labels=ids), twin(ids, labels=ids)
    torch.testing.assert_close(output.logits, reference.logits, **EXACT)
    torch.testing.assert_close(output.loss.float(), reference.loss)  # transformers computes it in float32
    loss = torch.nn.functional.cross_entropy(reference.logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    torch.testing.assert_close(output.loss, loss, **EXACT)
    output.loss.backward()
    loss.backward()
    expected = dict(twin.named_parameters())
    assert {name for name, _ in ours.named_parameters()} == set(expected)
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(
            parameter.grad, expected[name].grad, **EXACT, msg=lambda m, name=name: f"{name}: {m}"
        )


@given(config=configs(), N=st.integers(1, 3), T=st.integers(1, 8), data=st.data())
def test_padding_and_given_positions_are_read_as_transformers_does(config, N, T, data):
    ours = built(config)
    twin, ids = theirs(ours), tokens(config, N, T)
    pads = torch.tensor([data.draw(st.integers(0, T - 1)) for _ in range(N)])
    mask = (torch.arange(T) >= pads[:, None]).long()
    where = (mask.cumsum(1) - 1).clamp(min=0)
    real = mask.bool()
    expected = twin(ids, attention_mask=mask, position_ids=where).logits[real]
    torch.testing.assert_close(ours(ids, attention_mask=mask).logits[real], expected, **EXACT)
    torch.testing.assert_close(ours(ids, attention_mask=mask, position_ids=where).logits[real], expected, **EXACT)
    other = torch.randint(config.n_positions, (1, T))
    torch.testing.assert_close(ours(ids, position_ids=other).logits, twin(ids, position_ids=other).logits, **EXACT)


@given(config=configs())
def test_names_shapes_and_settings_are_those_of_transformers(config):
    ours = GPT2LMHeadModel(config)
    twin = theirs(ours.double())
    shapes = [{name: tensor.shape for name, tensor in model.state_dict().items()} for model in (ours, twin)]
    assert shapes[0] == shapes[1]
    settings = twin.config.to_dict()
    assert config.to_dict().items() - {("reorder_and_upcast_attn", True)} <= settings.items()
    again = GPT2Config.from_dict(settings)
    assert again.to_dict().items() >= (config.to_dict() | {"reorder_and_upcast_attn": False}).items()


def test_defaults_are_those_of_transformers():
    transformers = pytest.importorskip("transformers")
    ours = GPT2Config().to_dict()
    assert transformers.GPT2Config().to_dict().items() >= ours.items()


def test_the_model_without_a_head_is_that_of_transformers():
    torch.manual_seed(0)
    ours = built(small().config, GPT2Model)
    ids = tokens(ours.config)
    expected = theirs(ours)(ids)
    torch.testing.assert_close(ours(ids).last_hidden_state, expected.last_hidden_state, **EXACT)
    torch.testing.assert_close(ours(ids)[0], expected[0], **EXACT)


# --- laws ---


@given(config=configs(), T=st.integers(2, 8), cut=st.integers(1, 7))
def test_the_future_is_not_known(config, T, cut):
    model, ids = built(config), tokens(config, 1, T)
    other = ids.clone()
    other[:, cut:] = (other[:, cut:] + 1) % config.vocab_size
    assert torch.equal(model(ids).logits[:, :cut], model(other).logits[:, :cut])


@given(
    config=configs(), N=st.integers(1, 3), chunks=st.lists(st.integers(1, 4), min_size=1, max_size=4), pad=st.booleans()
)
def test_in_pieces_it_reads_the_same(config, N, chunks, pad):
    T = min(sum(chunks), config.n_positions)
    model, ids = built(config), tokens(config, N, T)
    mask = torch.ones(N, T, dtype=torch.int64)
    mask[0, : T // 2 if pad else 0] = 0
    whole = model(ids, attention_mask=mask).logits
    cache, start, pieces = model.new_cache(N, T), 0, []
    while start < T:
        end = min(start + chunks[len(pieces)], T)
        part = model(ids[:, start:end], past_key_values=cache, attention_mask=mask[:, :end] if pad else None)
        assert part.past_key_values is cache
        assert cache.length == end
        pieces.append(part.logits)
        start = end
    torch.testing.assert_close(torch.cat(pieces, 1)[mask.bool()], whole[mask.bool()], **EXACT)


@given(config=configs(), lengths=st.lists(st.integers(1, 8), min_size=1, max_size=3), left=st.booleans())
def test_a_text_in_a_batch_is_read_as_alone(config, lengths, left):
    """Padding, on either side, changes nothing, whatever stands there."""
    model, T = built(config), max(lengths)
    ids, mask = tokens(config, len(lengths), T), torch.zeros(len(lengths), T, dtype=torch.int64)
    for row, length in zip(mask, lengths, strict=True):
        row[T - length :] = left
        row[:length] = 1 if not left else row[:length]
    logits = model(ids, attention_mask=mask).logits
    assert logits.isfinite().all()
    for row, text, seen in zip(logits, ids, mask.bool(), strict=True):
        torch.testing.assert_close(row[seen], model(text[seen][None]).logits[0], **EXACT)


@pytest.mark.parametrize("shape", [(4,), (1, 4), (3, 4), (2, 3, 4), (0, 4), (0, 2, 4)])
def test_a_layer_with_its_weight_the_other_way_round_takes_rows_of_any_shape(shape):
    layer, x = Conv1D(3, 4), torch.randn(shape)
    torch.testing.assert_close(layer(x), x @ layer.weight + layer.bias)


def test_padding_sends_no_gradient():
    model = small()
    ids, mask = tokens(model.config), torch.ones(2, 7)
    ids[:, 2:], ids[0, :2], mask[0, :2] = 1, 28, 0  # token 28 stands in the padding alone
    ids[1, :2] = 2
    model.lm_head.weight = nn.Parameter(model.lm_head.weight.detach().clone())
    labels = torch.where(mask.bool(), ids, -100)
    labels[0, 2] = -100  # what follows the padding is predicted by it
    model(ids, attention_mask=mask, labels=labels).loss.backward()
    assert model.transformer.wte.weight.grad.isfinite().all()
    assert not model.transformer.wte.weight.grad[28].any()
    assert model.transformer.wte.weight.grad[2].any()


@given(config=configs(), N=st.integers(1, 3), T=st.integers(2, 8), keep=st.integers(1, 9))
def test_fewer_logits_are_the_last_ones_and_the_loss_is_the_same(config, N, T, keep):
    model, ids = built(config), tokens(config, N, T)
    whole, part = model(ids, labels=ids), model(ids, labels=ids, logits_to_keep=keep)
    torch.testing.assert_close(part.logits, whole.logits[:, -keep:], **EXACT)
    torch.testing.assert_close(part.loss, whole.loss, **EXACT)
    expected, found = (torch.autograd.grad(o.loss, [*model.parameters()]) for o in (whole, part))
    torch.testing.assert_close(found, expected, **EXACT)


def test_labels_that_do_not_count():
    model = small()
    ids = tokens(model.config)
    labels = ids.clone()
    labels[0] = -100
    torch.testing.assert_close(model(ids, labels=labels).loss, model(ids[1:], labels=ids[1:]).loss)


def test_vectors_in_place_of_tokens():
    model = small()
    ids = tokens(model.config)
    assert torch.equal(model(inputs_embeds=model.transformer.wte(ids)).logits, model(ids).logits)


def test_the_position_of_a_token_counts():
    model = small()
    ids = torch.full((1, 4), 5)
    logits = model(ids).logits
    assert not torch.allclose(logits[:, 0], logits[:, 1])


def test_results_by_name_and_by_number():
    model = small()
    ids = tokens(model.config)
    output = model(ids, use_cache=True)
    assert output[0] is output["logits"] is output.logits
    assert output[1] is output.past_key_values
    assert output.past_key_values.length == 7
    assert output.past_key_values.capacity == 12
    loss, logits = model(ids, labels=ids)
    assert loss.ndim == 0
    assert logits.shape == (2, 7, 29)
    assert "loss" not in output
    assert len(output) == 2
    assert output[:1] == (output.logits,)
    with pytest.raises(KeyError, match="loss"):
        output["loss"]


# --- one token behind others ---


def next_token(model, N=2, mask=None, past=5, T=1, seed=0):
    """The logits of a token behind others, the cache, and whether the short road was taken."""
    torch.manual_seed(seed)
    ids, cache, taken = tokens(model.config, N, past + T), model.new_cache(N, past + T), []
    with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
        if past:
            model(ids[:, :past], past_key_values=cache, attention_mask=None if mask is None else mask[:, :past])
        patch.setattr(gpt2_token, "read", lambda *o, read=gpt2_token.read: taken.append(1) or read(*o))
        logits = model(ids[:, past:], past_key_values=cache, attention_mask=mask).logits
    return logits, cache, bool(taken)


@given(
    config=configs(),
    N=st.integers(1, 4),
    past=st.integers(0, 6),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    data=st.data(),
)
def test_the_short_road_leads_where_the_calls_do(config, N, past, dtype, data):
    model = built(config, dtype=dtype)
    masks = st.lists(st.integers(0, 1), min_size=N * past, max_size=N * past)
    mask = data.draw(st.none() | masks.map(lambda m: torch.tensor(m).view(N, past)))
    mask = None if mask is None else torch.cat([mask, torch.ones(N, 1)], 1).long()
    logits, cache, taken = next_token(model, N, mask, past)
    assert taken
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gpt2_token, "gathered", lambda *_: [])
        expected, other, taken = next_token(model, N, mask, past)
    assert not taken
    torch.testing.assert_close(logits, expected)
    assert cache.lengths == other.lengths
    for ours, theirs in zip(cache.layers, other.layers, strict=True):
        torch.testing.assert_close(ours, theirs)


PARTS = ["", "ln_1", "ln_2", "attn", "mlp", "attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"]
PARTS += ["attn.resid_dropout", "mlp.dropout"]


@pytest.mark.parametrize("part", PARTS)
def test_a_hook_on_any_part_is_heard(part):
    model = small()
    expected, _, taken = next_token(model)
    assert taken
    heard = []
    module = model.transformer.h[0].get_submodule(part)
    handle = module.register_forward_hook(lambda _, inputs, output: heard.append(inputs[0].shape) or 2 * output)
    logits, _, taken = next_token(model)
    assert not taken
    assert [shape[:2] for shape in heard] == [(2, 5), (2, 1)]
    assert not torch.allclose(logits, expected)
    handle.remove()
    assert next_token(model)[2]


@pytest.mark.parametrize("part", PARTS)
def test_another_module_in_the_place_of_any_part_is_called(part):
    model = small()
    module = model.transformer.h[1].get_submodule(part)
    module.__class__ = type("Other", (type(module),), {})
    assert not next_token(model)[2]


def test_the_short_road_is_for_one_token_without_an_audience():
    model, half = small(), small().bfloat16()
    assert next_token(model)[2]
    assert not next_token(model, T=2)[2]
    assert not next_token(half)[2]
    assert not next_token(model, N=(1 << 15) // 12 + 1, past=0)[2]
    names = []
    with listening(lambda name, value: names.append(name) or value):
        assert not next_token(model)[2]
    assert "attention.weights" in names
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not next_token(model.float())[2]
    handle = torch.nn.modules.module.register_module_forward_hook(lambda *_: None)
    assert not next_token(model)[2]
    handle.remove()
    for part in ("attn", "attn.resid_dropout", "mlp.dropout"):
        model.transformer.h[1].get_submodule(part).training = True
        assert not next_token(model)[2]
        model.eval()
    model.transformer.h[1].mlp.act = torch.sin
    assert not next_token(model)[2]


def test_weights_of_another_kind_go_the_long_way():
    for change in (lambda w: w.to("meta"), lambda w: w.as_subclass(type("Own", (torch.Tensor,), {}))):
        model = small()
        layer = model.transformer.h[1].mlp.c_fc
        layer._parameters["weight"] = change(layer.weight.detach())
        x = torch.ones(2, 1, 12, dtype=torch.float64)
        with torch.no_grad():
            assert gpt2_token.gathered(model.transformer.h, gpt2._KINDS, x, model.new_cache(2, 3)) == []
    for part in ("ln_1", "attn.c_attn"):
        model = small()
        layer = model.transformer.h[0].get_submodule(part)
        weight = layer.weight.detach()
        del layer.weight
        layer.weight = weight  # no parameter any more
        assert not next_token(model)[2]
    model = small()
    model.transformer.h[0].mlp.c_fc.bias = None
    assert not next_token(model)[2]
    model = small()
    assert gpt2_token.gathered(model.transformer.h, gpt2._KINDS, x, model.new_cache(2, 3)) == []  # a gradient
    with torch.no_grad():
        assert len(gpt2_token.gathered(model.transformer.h, gpt2._KINDS, x, model.new_cache(2, 3))) == 2
        own = type("Own", (nn.KeyValueCache,), {})(2, 2, 3, 3, 4, dtype=torch.float64)
        assert gpt2_token.gathered(model.transformer.h, gpt2._KINDS, x, own) == []
        wide = nn.KeyValueCache(2, 2, 3, 3, 4)
        assert gpt2_token.gathered(model.transformer.h, gpt2._KINDS, x, wide) == []


# --- weights ---


def test_the_published_sizes_have_the_published_numbers_of_parameters():
    counts = []
    for name in SIZES:
        with torch.device("meta"):
            model = GPT2LMHeadModel(GPT2Config.preset(name))
        counts.append(sum(parameter.numel() for parameter in model.parameters()))
    assert counts == [124_439_808, 354_823_168, 774_030_080, 1_557_611_200]
    with pytest.raises(InputError, match="gpt3: is no published size of GPT-2; these are gpt2, gpt2-medium"):
        GPT2Config.preset("gpt3")


def test_tied_weights_stay_tied(tmp_path):
    model = small()
    model.save_pretrained(tmp_path)
    loaded = GPT2LMHeadModel.from_pretrained(tmp_path)
    for m in (model, copy.deepcopy(model), model.to(torch.float32), loaded, loaded.to(torch.bfloat16)):
        assert m.lm_head.weight is m.transformer.wte.weight
    loose = small(tie_word_embeddings=False)
    assert loose.lm_head.weight is not loose.transformer.wte.weight


def test_initial_weights():
    """Of deviation 0.02, and 0.02/√(2·layers) where a block writes into the stream."""
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=3000, n_positions=200, n_embd=120, n_layer=8, n_head=4))
    for name, parameter in model.state_dict().items():
        if name.endswith("bias"):
            assert not parameter.any(), name
        elif "ln_" in name:
            assert (parameter == 1).all(), name
        else:
            expected = 0.02 / math.sqrt(16) if "c_proj" in name else 0.02
            assert parameter.std() == pytest.approx(expected, rel=0.03), name
            assert abs(parameter.mean()) < 0.03 * expected, name


def test_half_precision_with_attention_in_float32():
    model = small(reorder_and_upcast_attn=True).to(torch.bfloat16)
    seen = []
    with listening(lambda name, value: seen.append((name, value.dtype)) or value):
        assert model(tokens(model.config)).logits.dtype == torch.bfloat16
    assert {dtype for name, dtype in seen if name == "attention.weights"} == {torch.float32}


# --- training ---


@pytest.mark.parametrize("place", ["resid_pdrop", "embd_pdrop", "attn_pdrop"])
def test_each_dropout_acts_in_training_alone(place):
    off = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)
    model = small(**off | {place: 0.5})
    ids = tokens(model.config)
    still = model(ids).logits
    assert torch.equal(still, model(ids).logits)
    model.train()
    first, second = model(ids).logits, model(ids).logits
    assert not torch.equal(first, second)
    assert not torch.equal(first, still)
    assert torch.equal(small(**off).train()(ids).logits, still)


def test_attention_can_be_seen():
    model = small()
    seen = []
    with listening(lambda name, value: seen.append(value) or value if name == "attention.weights" else value):
        model(tokens(model.config))
    assert [w.shape for w in seen] == [(2, 3, 7, 7)] * 2
    for weights in seen:
        torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3, 7).double())
        assert not weights.triu(1).any()


def test_it_compiles_whole():
    model = small(n_layer=1)
    ids = tokens(model.config)
    torch.compiler.reset()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the compiler's own deprecations
        loss = compiled(ids, labels=ids).loss
    torch.testing.assert_close(loss, model(ids, labels=ids).loss, **EXACT)


def test_under_autocast_it_reads_with_and_without_a_cache():
    model = small().float()
    ids = tokens(model.config)
    with torch.autocast("cpu", torch.bfloat16):
        whole, cache = model(ids).logits, model.new_cache(2, 7)
        parts = [model(ids[:, :4], past_key_values=cache).logits, model(ids[:, 4:], past_key_values=cache).logits]
    torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=0.1, atol=0.3)
    torch.testing.assert_close(whole.float(), model(ids).logits, rtol=0.1, atol=0.3)


# --- what is refused ---


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({}, ValueError, "give either input_ids or inputs_embeds"),
        ({"input_ids": torch.zeros(1, 2).long(), "inputs_embeds": torch.zeros(1, 2, 12)}, ValueError, "not both"),
        ({"input_ids": torch.zeros(3).long()}, ValueError, r"input_ids has to be \[N, T\] of integers, not \[3\]"),
        ({"input_ids": torch.zeros(1, 3)}, ValueError, "of integers, not .* torch.float32"),
        ({"inputs_embeds": torch.zeros(1, 3, 5)}, ValueError, r"has to be \[N, T, 12\], not \[1, 3, 5\]"),
        ({"input_ids": torch.tensor([[3, 29]])}, IndexError, "token 29 is not in the vocabulary of 29 tokens, 0 to 28"),
        ({"input_ids": torch.tensor([[3, -1]])}, IndexError, "token -1 is not in the vocabulary"),
        ({"input_ids": torch.zeros(1, 13).long()}, ValueError, "13 tokens, but the model reads 12 at most; cut it"),
        (
            {"input_ids": torch.zeros(2, 3).long(), "attention_mask": torch.ones(2, 4)},
            ValueError,
            r"attention_mask has to be \[2, 3\], one number for each token, not \[2, 4\]",
        ),
        (
            {"input_ids": torch.zeros(2, 3).long(), "position_ids": torch.ones(3).long()},
            ValueError,
            r"position_ids has to be \[2, 3\] or \[1, 3\], not \[3\]",
        ),
        (
            {"input_ids": torch.zeros(1, 3).long(), "position_ids": torch.tensor([[0, 1, 12]])},
            IndexError,
            "position 12 is beyond the 12 that the model has",
        ),
        (
            {"input_ids": torch.zeros(2, 3).long(), "labels": torch.zeros(2, 2).long()},
            ValueError,
            r"labels have to be \[2, 3\] like the tokens, unshifted, not \[2, 2\]",
        ),
        ({"input_ids": torch.zeros(1, 3).long(), "logits_to_keep": -1}, ValueError, "logits_to_keep -1"),
    ],
)
def test_what_cannot_be_read_is_refused_in_a_sentence(arguments, error, words):
    with pytest.raises(error, match=words):
        small()(**arguments)


def test_a_cache_that_does_not_fit_is_refused():
    model = small()
    cache = model.new_cache(2, 12)
    model(tokens(model.config), past_key_values=cache)
    with pytest.raises(ValueError, match="the cache is of 2 texts, but there are 1"):
        model(torch.zeros(1, 1).long(), past_key_values=cache)
    with pytest.raises(ValueError, match=r"the text has 13 tokens \(7 of them in the cache\), but the model reads 12"):
        model(torch.zeros(2, 6).long(), past_key_values=cache)
    with pytest.raises(ValueError, match=r"\[2, 8\], one number for each token \(7 of them in the cache\)"):
        model(torch.zeros(2, 1).long(), past_key_values=cache, attention_mask=torch.ones(2, 1))
    assert cache.length == 7


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"n_embd": 10, "n_head": 3}, "n_embd 10: 3 heads cannot share it evenly"),
        ({"n_layer": 0}, "n_layer 0: has to be 1 or more"),
        ({"activation_function": "gelo"}, "activation_function 'gelo': is unknown; known are gelu, gelu_new"),
    ],
)
def test_settings_that_make_no_model_are_refused(settings, words):
    with pytest.raises(InputError, match=words):
        GPT2Config(**settings)


def test_cross_attention_is_not_computed():
    with pytest.raises(InputError, match="add_cross_attention True"):
        GPT2Config.from_dict({"add_cross_attention": True})


# --- the real one ---


@pytest.mark.network
def test_the_published_weights_go_on_as_they_are_known_to():
    model = GPT2LMHeadModel.from_pretrained("gpt2")
    written = model.generate(torch.tensor([[464, 3290]]), max_new_tokens=18, do_sample=False)
    expected = [373, 1043, 287, 257, 2214, 1474, 262, 16246, 286, 2688, 290, 2688, 27262, 13, 198, 198, 464, 3290]
    assert written[0].tolist() == [464, 3290, *expected]
