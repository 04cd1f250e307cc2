"""Llama: against transformers number by number, and the laws that a causal language model keeps."""

import json
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minimodels import functional as F
from minimodels import nn
from minimodels.errors import InputError
from minimodels.models import LlamaConfig, LlamaForCausalLM, LlamaModel, MistralConfig, MistralForCausalLM
from minimodels.optim import AdamW
from minimodels.tap import listening

EXACT = {"rtol": 0, "atol": 1e-10}
SCALINGS = [
    None,
    {"rope_type": "linear", "factor": 4.0},
    {"type": "linear", "factor": 2.0},
    {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 16,
    },
]


@st.composite
def configs(draw, kind=LlamaConfig, **fixed):
    """Small settings, every switch in either position."""
    groups, share = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    heads = groups * share
    chosen = {
        "vocab_size": draw(st.integers(3, 30)),
        "hidden_size": 4 * heads,
        "intermediate_size": draw(st.integers(1, 9)),
        "num_hidden_layers": draw(st.integers(1, 3)),
        "num_attention_heads": heads,
        "num_key_value_heads": draw(st.sampled_from([groups, heads, 1])),
        "head_dim": draw(st.sampled_from([None, 2, 6])),
        "max_position_embeddings": 32,
        "rms_norm_eps": draw(st.sampled_from([1e-6, 1e-2])),
        "tie_word_embeddings": draw(st.booleans()),
        "rope_theta": draw(st.sampled_from([10000.0, 500000.0])),
        "rope_scaling": draw(st.sampled_from(SCALINGS)),
        "attention_bias": draw(st.booleans()),
        "mlp_bias": draw(st.booleans()),
        "pad_token_id": draw(st.sampled_from([None, 0])),
    }
    return kind(**chosen | fixed)


PLAIN = {"attention_bias": False, "mlp_bias": False}  # Mistral has no biases


def llamas_and_mistrals(*windows):
    """Settings of either, the latter with one of these windows."""
    return configs() | st.sampled_from(windows).flatmap(
        lambda w: configs(kind=MistralConfig, sliding_window=w, **PLAIN)
    )


models = llamas_and_mistrals(None, 1, 3)


def built(config, kind=LlamaForCausalLM, dtype=torch.float64):
    """A model whose weights are all random and large enough to matter."""
    model = kind(config).to(dtype).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.4)
    return model


def small(**given):
    torch.manual_seed(0)
    sizes = {"vocab_size": 29, "hidden_size": 12, "intermediate_size": 16, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 4, "max_position_embeddings": 12}
    return built(LlamaConfig(**sizes | heads | given))


def tokens(config, N=2, T=7):
    return torch.randint(config.vocab_size, (N, T))


def by_hand(model, ids):
    """Llama's arithmetic without a single layer of ours: PyTorch's functions, one weight after the other."""
    f, w, c = torch.nn.functional, model.state_dict(), model.config
    norm = lambda x, name: f.rms_norm(x, (c.hidden_size,), w[f"{name}.weight"], c.rms_norm_eps)  # noqa: E731
    linear = lambda x, name: f.linear(x, w[f"{name}.weight"], w.get(f"{name}.bias"))  # noqa: E731
    angles = torch.arange(ids.shape[1])[:, None] * F.rotary_frequencies(c.head_dim, c.rope_theta, c.rope_scaling)
    turn = torch.complex(angles.cos(), angles.sin())  # [T, d/2]
    seen = F.causal_mask(ids.shape[1], ids.shape[1], c.sliding_window)

    def turned(x):  # number i and number i + d/2 are a pair
        a, b = torch.view_as_real(torch.complex(*x.chunk(2, -1)) * turn).unbind(-1)
        return torch.cat([a, b], -1)

    x = f.embedding(ids, w["model.embed_tokens.weight"])
    for i in range(c.num_hidden_layers):
        at = f"model.layers.{i}"
        y = norm(x, f"{at}.input_layernorm")
        q, k, v = (linear(y, f"{at}.self_attn.{n}_proj").unflatten(-1, (-1, c.head_dim)).transpose(1, 2) for n in "qkv")
        y = f.scaled_dot_product_attention(turned(q), turned(k), v, seen, enable_gqa=True)
        x = x + linear(y.transpose(1, 2).flatten(2), f"{at}.self_attn.o_proj")
        y = norm(x, f"{at}.post_attention_layernorm")
        gate, up = (linear(y, f"{at}.mlp.{n}_proj") for n in ("gate", "up"))
        x = x + linear(f.silu(gate) * up, f"{at}.mlp.down_proj")
    return linear(norm(x, "model.norm"), "lm_head")


@given(config=models, seed=st.integers(0, 9))
def test_it_is_the_arithmetic_written_by_hand(config, seed):
    torch.manual_seed(seed)
    model, ids = built(config), tokens(config)
    torch.testing.assert_close(model(ids).logits, by_hand(model, ids), **EXACT)


# against transformers


@pytest.fixture(scope="module")
def transformers():
    """The library, computing in float64 what it otherwise casts to float32: norms; its angles are float32, as ours."""
    library = pytest.importorskip("transformers")
    from transformers.models.llama import modeling_llama
    from transformers.models.mistral import modeling_mistral

    def exact(self, x):
        return torch.nn.functional.rms_norm(x, self.weight.shape, self.weight, self.variance_epsilon)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(modeling_llama.LlamaRMSNorm, "forward", exact)
        patch.setattr(modeling_mistral.MistralRMSNorm, "forward", exact)
        yield library


def theirs(transformers, model):
    """The same model there, with the same weights."""
    settings = model.config.to_dict()
    mistral = settings["model_type"] == "mistral"
    config = (transformers.MistralConfig if mistral else transformers.LlamaConfig)(**settings)
    twin = (transformers.MistralForCausalLM if mistral else transformers.LlamaForCausalLM)(config)
    twin = twin.to(next(model.parameters()).dtype).eval()
    twin.load_state_dict(model.state_dict())
    return twin


@given(config=models, data=st.data(), seed=st.integers(0, 9))
@settings(max_examples=max(20, settings().max_examples // 4))
def test_logits_loss_and_gradients_are_those_of_transformers(transformers, config, data, seed):
    torch.manual_seed(seed)
    model = built(config, MistralForCausalLM if isinstance(config, MistralConfig) else LlamaForCausalLM)
    twin, ids = theirs(transformers, model), tokens(config)
    padding = data.draw(st.integers(0, 3))
    mask = torch.ones_like(ids)
    mask[0, :padding] = 0
    where = (mask.cumsum(1) - 1).clamp(min=0)  # transformers counts padding unless told
    labels = ids.masked_fill(mask == 0, -100)
    expected = twin(ids, attention_mask=mask, position_ids=where, labels=labels)
    found = model(ids, attention_mask=mask, labels=labels)
    real = mask.bool()
    torch.testing.assert_close(found.logits[real], expected.logits[real], **EXACT)
    torch.testing.assert_close(found.loss.double(), expected.loss.double(), rtol=1e-5, atol=1e-5)  # theirs is float32
    grads = [torch.autograd.grad(out.logits[real].square().sum(), [*m.parameters()]) for m, out in
             ((model, found), (twin, expected))]  # fmt: skip
    for name, (a, b) in zip(dict(model.named_parameters()), zip(*grads, strict=True), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-8, msg=name)


@given(config=llamas_and_mistrals(None, 2, 3))  # with a window of 1 their cache drops nothing, and is read wrongly
@settings(max_examples=10)
def test_with_a_cache_too(transformers, config):
    model = built(config, MistralForCausalLM if isinstance(config, MistralConfig) else LlamaForCausalLM)
    twin, ids = theirs(transformers, model), tokens(config, T=9)
    memory = model.new_cache(2, 9), transformers.DynamicCache(config=twin.config)
    for part in ids.split([4, 1, 3, 1], dim=1):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # newer versions call it `cache`
            found, expected = (m(part, past_key_values=c) for m, c in zip((model, twin), memory, strict=True))
        torch.testing.assert_close(found.logits, expected.logits, **EXACT)


def test_names_and_shapes_are_those_of_transformers(transformers):
    model = small(attention_bias=True, mlp_bias=True)
    twin = theirs(transformers, model)
    assert {n: p.shape for n, p in model.state_dict().items()} == {n: p.shape for n, p in twin.state_dict().items()}
    model.load_state_dict(twin.state_dict())


@pytest.mark.parametrize("scaling", SCALINGS)
def test_its_folders_are_read_here_and_ours_there(transformers, tmp_path, scaling):
    model = small(rope_scaling=scaling, tie_word_embeddings=True)
    ids = tokens(model.config)
    model.save_pretrained(tmp_path / "ours")
    twin = transformers.LlamaForCausalLM.from_pretrained(tmp_path / "ours", dtype=torch.float64)
    torch.testing.assert_close(twin(ids).logits, model(ids).logits, **EXACT)
    twin.save_pretrained(tmp_path / "theirs")
    back = LlamaForCausalLM.from_pretrained(tmp_path / "theirs")
    torch.testing.assert_close(back(ids).logits, model(ids).logits, **EXACT)
    assert back.config.rope_parameters == model.config.rope_parameters


def test_the_same_text_is_written(transformers):
    model = small()
    twin, ids = theirs(transformers, model), tokens(model.config, T=3)
    arguments = {"max_new_tokens": 6, "do_sample": False, "pad_token_id": 0, "eos_token_id": 2}
    assert torch.equal(model.generate(ids, **arguments), twin.generate(ids, **arguments))


# laws


@given(config=models, cuts=st.lists(st.integers(1, 8), max_size=4, unique=True).map(sorted), seed=st.integers(0, 9))
def test_in_pieces_of_any_size_it_reads_the_same(config, cuts, seed):
    torch.manual_seed(seed)
    model = built(config)
    ids = tokens(config, T=9)
    cache = model.new_cache(2, 9)
    pieces = [model(part, past_key_values=cache).logits for part in ids.tensor_split(cuts, dim=1)]
    torch.testing.assert_close(torch.cat(pieces, dim=1), model(ids).logits, **EXACT)


@given(config=models, padding=st.integers(1, 4), seed=st.integers(0, 9), cut=st.integers(1, 6))
def test_padding_on_the_left_changes_nothing(config, padding, seed, cut):
    torch.manual_seed(seed)
    model, cache = built(config), None
    ids = tokens(config)
    padded = torch.cat([tokens(config, T=padding), ids], dim=1)
    mask = torch.cat([torch.zeros(2, padding), torch.ones(2, 7)], dim=1).long()
    expected = model(ids).logits
    torch.testing.assert_close(model(padded, attention_mask=mask).logits[:, padding:], expected, **EXACT)
    first = model(padded[:, : padding + cut], attention_mask=mask[:, : padding + cut], use_cache=True)
    cache = first.past_key_values
    rest = model(padded[:, padding + cut :], past_key_values=cache, attention_mask=mask).logits
    torch.testing.assert_close(rest, expected[:, cut:], **EXACT)


@given(config=models, seed=st.integers(0, 9))
def test_a_batch_is_its_texts(config, seed):
    torch.manual_seed(seed)
    model = built(config)
    ids = tokens(config, N=3)
    alone = torch.cat([model(row[None]).logits for row in ids])
    torch.testing.assert_close(model(ids).logits, alone, **EXACT)


@given(config=models, t=st.integers(0, 6), seed=st.integers(0, 9))
def test_the_future_is_not_known(config, t, seed):
    torch.manual_seed(seed)
    model, ids = built(config), None
    ids = tokens(config)
    other = ids.clone()
    other[:, t:] = (other[:, t:] + 1) % config.vocab_size
    torch.testing.assert_close(model(other).logits[:, :t], model(ids).logits[:, :t], **EXACT)


@given(config=models, shift=st.integers(0, 20))
def test_where_a_text_begins_does_not_matter(config, shift):
    model, ids = built(config), tokens(config)
    moved = model(ids, position_ids=torch.arange(shift, shift + 7)[None]).logits
    torch.testing.assert_close(moved, model(ids).logits, rtol=1e-4, atol=1e-4)  # angles are in float32


@given(config=models, keep=st.integers(1, 7))
def test_only_the_last_logits(config, keep):
    model, ids = built(config), tokens(config)
    whole = model(ids, labels=ids)
    last = model(ids, labels=ids, logits_to_keep=keep)
    torch.testing.assert_close(last.logits, whole.logits[:, -keep:], **EXACT)
    torch.testing.assert_close(last.loss, whole.loss)


def test_vectors_in_place_of_tokens():
    model = small()
    ids = tokens(model.config)
    torch.testing.assert_close(model(inputs_embeds=model.model.embed_tokens(ids)).logits, model(ids).logits, **EXACT)


def test_the_window_reaches_as_far_as_the_blocks_are_deep():
    torch.manual_seed(0)
    config = MistralConfig.from_dict(small().config.to_dict() | {"model_type": "mistral", "sliding_window": 3})
    model, ids = built(config, MistralForCausalLM), tokens(config, N=1, T=12)
    other = ids.clone()
    other[0, 0] = (other[0, 0] + 1) % 29
    changed = (model(ids).logits != model(other).logits).any(-1)[0]
    assert changed.tolist() == [True] * 5 + [False] * 7  # two blocks of two steps back


# settings


def test_both_spellings_of_rotary_positions_mean_the_same():
    old = LlamaConfig(rope_theta=5e5, rope_scaling={"type": "linear", "factor": 2.0})
    new = LlamaConfig(rope_parameters={"rope_theta": 5e5, "rope_type": "linear", "factor": 2.0})
    assert old == new
    assert old.rope_scaling == {"rope_type": "linear", "factor": 2.0}
    assert old.rope_theta == 5e5
    assert LlamaConfig.from_dict(json.loads(json.dumps(old.to_dict()))) == old
    llama3 = LlamaConfig(rope_scaling={k: v for k, v in SCALINGS[3].items() if not k.startswith("original")})
    assert llama3.rope_parameters["original_max_position_embeddings"] == 2048


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"vocab_size": 0}, "vocab_size 0: has to be 1 or more"),
        ({"num_attention_heads": 0}, "num_attention_heads 0: has to be 1"),
        ({"hidden_size": 30}, "32 heads cannot share it evenly"),
        ({"num_key_value_heads": 5}, "has to be a multiple of num_key_value_heads 5"),
        ({"head_dim": 5}, "head_dim 5: has to be even"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 2.0}}, "'yarn' is not known; there are default, linear"),
        ({"rope_scaling": {"rope_type": "linear"}}, "needs 'factor'"),
        ({"rope_scaling": {"rope_type": "linear", "factor": None}}, "cannot be used"),
        ({"rope_parameters": {"partial_rotary_factor": 0.5}}, "turns all numbers of a head"),
        ({"hidden_act": "gelu"}, "hidden_act 'gelu': LlamaConfig does not support it"),
        ({"sliding_window": 5}, "sliding_window 5: LlamaConfig does not support it"),
        ({"model_type": "mistral"}, "LlamaConfig is for 'llama'"),
    ],
)
def test_settings_that_cannot_be_used(given, sentence):
    with pytest.raises(InputError, match=sentence):
        LlamaConfig.from_dict(given)


def test_what_does_not_fit_is_refused():
    model = small()
    ids = tokens(model.config)
    for call, sentence in (
        (lambda: model(), "either input_ids or inputs_embeds"),
        (lambda: model(ids, attention_mask=torch.ones(2, 6)), r"attention_mask has to be \[2, 7\]"),
        (lambda: model(tokens(model.config, T=13)), "13 tokens, but the model reads 12"),
        (lambda: model(ids, logits_to_keep=-1), "logits_to_keep -1"),
    ):
        with pytest.raises(ValueError, match=sentence):
            call()
    with pytest.raises(IndexError, match="token 29 is not in the vocabulary"):
        model(ids.fill_(29))


# the rest


def test_weights_begin_as_the_settings_say():
    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=500, hidden_size=64, intermediate_size=128, num_hidden_layers=2, mlp_bias=True,
        num_attention_heads=4, initializer_range=0.05, pad_token_id=3)  # fmt: skip
    for name, weight in LlamaForCausalLM(config).named_parameters():
        if name.endswith("bias"):
            assert not weight.any()
        elif "norm" in name:
            assert (weight == 1).all()
        else:
            assert weight.std().item() == pytest.approx(0.05, rel=0.05), name
    assert not LlamaModel(config).embed_tokens.weight[3].any()


def test_the_head_may_be_the_table():
    model = small(tie_word_embeddings=True)
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert len([*model.parameters()]) == len([*small().parameters()]) - 1


def test_a_folder_gives_the_model_back(tmp_path):
    model = small(rope_scaling=SCALINGS[3])
    ids = tokens(model.config)
    model.save_pretrained(tmp_path)
    for dtype in (None, torch.float32):
        back = LlamaForCausalLM.from_pretrained(tmp_path, dtype=dtype)
        assert back.config == model.config or back.config.extra
        assert torch.equal(back.model.rotary_emb.inv_freq, model.model.rotary_emb.inv_freq)
    assert torch.equal(LlamaForCausalLM.from_pretrained(tmp_path)(ids).logits, model(ids).logits)
    assert torch.equal(LlamaModel.from_pretrained(tmp_path)(ids)[0], model.model(ids)[0])


def test_16_bits_are_near():
    model = small()
    ids = tokens(model.config)
    exact = model(ids).logits
    half = model.bfloat16()
    assert half.model.rotary_emb.inv_freq.dtype is torch.float32
    found = half(ids, use_cache=True)
    assert found.logits.dtype is torch.bfloat16
    assert found.past_key_values.layers[0].dtype is torch.bfloat16
    assert (found.logits.double() - exact).abs().max() < 0.05 * exact.abs().max()


def test_on_the_meta_device_there_are_shapes():
    with torch.device("meta"):
        model = LlamaForCausalLM(small().config)
        assert model(torch.zeros(2, 5, dtype=torch.int64)).logits.shape == (2, 5, 29)


def test_compiles_to_one_graph():
    model = small().float()
    ids = tokens(model.config)
    torch.compiler.reset()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(ids).logits, model(ids).logits)


def test_it_can_be_looked_into():
    model, heard = small(), []
    with listening(lambda name, value: heard.append(name) or value):
        model(tokens(model.config))
    assert heard.count("attention.weights") == 2
    assert heard.count("position.angles") == 1, "once for all blocks"
    assert heard.count("swiglu.gate") == 2


def test_learns_a_rhythm_and_goes_on_with_it():
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(vocab_size=5, hidden_size=32, intermediate_size=48, num_hidden_layers=1,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64))  # fmt: skip
    text = (torch.arange(40) % 5)[None]
    optimizer = AdamW(model.parameters(), lr=1e-2)
    for _ in range(40):
        optimizer.zero_grad()
        model(text, labels=text).loss.backward()
        optimizer.step()
    written = model.generate(torch.tensor([[3, 4]]), max_new_tokens=8, eos_token_id=None)
    assert written[0].tolist() == [3, 4, 0, 1, 2, 3, 4, 0, 1, 2]


def test_a_cache_of_ones_own_has_room():
    model = small()
    assert model(tokens(model.config), use_cache=True).past_key_values.capacity == 12
    assert isinstance(model.new_cache(3, 5), nn.KeyValueCache)
