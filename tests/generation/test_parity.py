"""Token for token what Hugging Face's `generate` writes, with random weights; skipped where transformers is missing."""

import functools
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM
from minimodels.generation import GenerationMixin
from minimodels.generation.sampling import Draw

transformers = pytest.importorskip("transformers")
V, CONTEXT = 24, 32


@pytest.fixture(autouse=True, scope="module")
def drawn_as_theirs():
    """Draw as they do, with a random number for each token of the vocabulary: the same seed then gives the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Draw, "__call__", lambda self, scores: self.several(scores, 1)[:, 0])
        yield


class Theirs(GenerationMixin, torch.nn.Module):
    """Their GPT-2 under our loop: whatever differs then is the loop."""

    def __init__(self, model):
        super().__init__()
        self.model, self.config = model, model.config

    def forward(self, input_ids, past_key_values, attention_mask, use_cache, logits_to_keep):
        assert not use_cache
        positions = None if attention_mask is None else (attention_mask.cumsum(1) - 1).clamp(min=0)
        logits = self.model(input_ids, attention_mask=attention_mask, position_ids=positions, use_cache=False).logits
        return SimpleNamespace(logits=logits[:, -logits_to_keep:])


@functools.cache
def theirs(seed):
    transformers.logging.set_verbosity_error()
    torch.manual_seed(seed)
    config = transformers.GPT2Config(
        vocab_size=V, n_positions=CONTEXT, n_embd=16, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=1,
        initializer_range=0.4,
    )  # fmt: skip
    return transformers.GPT2LMHeadModel(config).double().eval()


@st.composite
def calls(draw):
    """Arguments for both."""
    arguments = {"max_new_tokens": draw(st.integers(1, 10)), "pad_token_id": draw(st.sampled_from([1, 2, 5]))}
    optional = {
        "repetition_penalty": st.floats(0.5, 3),
        "eos_token_id": st.one_of(st.integers(0, V - 1), st.lists(st.integers(0, V - 1), min_size=1, max_size=4)),
        "do_sample": st.booleans(),
        "num_beams": st.integers(1, 4),
    }
    arguments |= draw(st.fixed_dictionaries({}, optional=optional))
    if draw(st.booleans()):
        arguments["min_new_tokens"] = draw(st.integers(0, arguments["max_new_tokens"]))
    if arguments.get("do_sample"):
        arguments |= draw(
            st.fixed_dictionaries(
                {"top_k": st.one_of(st.none(), st.integers(1, V + 3))},
                optional={"temperature": st.floats(0.3, 3), "top_p": st.floats(0.05, 1), "min_p": st.floats(0, 1)},
            )
        )
    beams = arguments.get("num_beams", 1)
    if beams > 1:
        arguments["length_penalty"] = draw(st.sampled_from([-1.0, 0.0, 0.5, 1.0, 2.0]))
        arguments["early_stopping"] = draw(st.sampled_from([True, False, "never"]))
    most = beams if beams > 1 else 3 if arguments.get("do_sample") else 1
    arguments["num_return_sequences"] = draw(st.integers(1, most))
    return arguments


@st.composite
def prompts(draw):
    """A batch of prompts of different lengths, padded on the left."""
    lengths = draw(st.lists(st.integers(1, 6), min_size=1, max_size=3))
    longest = max(lengths)
    rows = [[2] * (longest - n) + draw(st.lists(st.integers(3, V - 1), min_size=n, max_size=n)) for n in lengths]
    mask = [[0] * (longest - n) + [1] * n for n in lengths]
    return torch.tensor(rows), torch.tensor(mask)


@pytest.mark.filterwarnings("ignore")
@given(seed=st.integers(0, 3), prompt=prompts(), arguments=calls())
def test_the_loop_writes_what_hugging_face_writes(seed, prompt, arguments):
    ids, mask = prompt
    model = theirs(seed)
    torch.manual_seed(seed)
    expected = model.generate(ids, attention_mask=mask, **arguments)
    torch.manual_seed(seed)
    written = Theirs(model).generate(ids, attention_mask=mask, use_cache=False, **arguments)
    assert written.tolist() == expected.tolist()


@functools.cache
def ours(seed):
    config = theirs(seed).config
    names = ("vocab_size", "n_positions", "n_embd", "n_layer", "n_head", "bos_token_id", "eos_token_id")
    model = GPT2LMHeadModel(GPT2Config(**{name: getattr(config, name) for name in names})).double()
    model.load_state_dict(theirs(seed).state_dict())
    return model


@pytest.mark.filterwarnings("ignore")
@given(seed=st.integers(0, 3), prompt=prompts(), arguments=calls())
def test_our_gpt2_writes_what_theirs_writes(seed, prompt, arguments):
    (ids, mask), model, reference = prompt, ours(seed), theirs(seed)  # made here: that, too, draws random numbers
    torch.manual_seed(seed)
    expected = reference.generate(ids, attention_mask=mask, **arguments)
    torch.manual_seed(seed)
    assert model.generate(ids, attention_mask=mask, **arguments).tolist() == expected.tolist()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("prompt", [[[5, 6]], [[0]], [[4] * 20], [[2, 2, 5], [7, 8, 9]]])
def test_defaults_are_theirs(prompt):
    ids = torch.tensor(prompt)
    for arguments in ({}, {"pad_token_id": 2}, {"eos_token_id": 7}, {"eos_token_id": None}):
        expected = theirs(0).generate(ids, **arguments)
        assert ours(0).generate(ids, **arguments).tolist() == expected.tolist()
    assert ours(0).generate().tolist() == theirs(0).generate().tolist()


class Letters:
    """A tokenizer for both: token i is a letter, and every fifth one two."""

    def decode(self, ids, **kwargs):
        return "".join(chr(97 + i) + "." * (i % 5 == 0) for i in ids)


@pytest.mark.filterwarnings("ignore")
@given(seed=st.integers(0, 3), prompt=prompts(), stop=st.text("abcdefghijklm.", min_size=1, max_size=2), data=st.data())
def test_stop_strings_stop_where_theirs_do(seed, prompt, stop, data):
    ids, mask = prompt
    arguments = {"max_new_tokens": 10, "pad_token_id": 2, "num_beams": data.draw(st.integers(1, 3))}

    class Theirs(transformers.StoppingCriteria):  # theirs needs a tokenizer from the hub; this is its definition
        def __call__(self, input_ids, scores, **kwargs):
            text = [(Letters().decode(row), len(Letters().decode(row[:-1]))) for row in input_ids.tolist()]
            return torch.tensor([text.rfind(stop) + len(stop) > before and stop in text for text, before in text])

    expected = theirs(seed).generate(ids, attention_mask=mask, stopping_criteria=[Theirs()], **arguments)
    written = ours(seed).generate(ids, attention_mask=mask, stop_strings=stop, tokenizer=Letters(), **arguments)
    assert written.tolist() == expected.tolist()


@pytest.mark.filterwarnings("ignore")
@given(seed=st.integers(0, 2), prompt=prompts(), arguments=calls())
def test_our_llama_writes_what_theirs_writes(seed, prompt, arguments):
    settings = {"vocab_size": V, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2}
    settings |= {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": CONTEXT}
    torch.manual_seed(seed)
    expected = transformers.LlamaForCausalLM(transformers.LlamaConfig(**settings, initializer_range=0.4)).double()
    ours = LlamaForCausalLM(LlamaConfig(**settings)).double()
    ours.load_state_dict(expected.state_dict())
    ids, mask = prompt
    torch.manual_seed(seed)
    written = ours.generate(ids, attention_mask=mask, **arguments)
    torch.manual_seed(seed)
    assert written.tolist() == expected.eval().generate(ids, attention_mask=mask, **arguments).tolist()
