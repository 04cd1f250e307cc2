"""`generate` and `stream` as a whole, on models that are no GPT-2."""

import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels.errors import InputError


@st.composite
def arguments(draw):
    """Ways to write, with and without chance."""
    chosen = {"max_new_tokens": draw(st.integers(1, 6)), "eos_token_id": draw(st.sampled_from([None, 3, [4, 5]]))}
    if draw(st.booleans()):
        chosen |= {"repetition_penalty": draw(st.floats(1, 3))}
    match draw(st.sampled_from(["greedy", "sample", "beams"])):
        case "sample":
            chosen |= {"do_sample": True, "seed": draw(st.integers(0, 9)), "top_p": draw(st.floats(0.1, 1))}
        case "beams":
            chosen |= {"num_beams": draw(st.integers(2, 3))}
    return chosen


PROMPTS = st.lists(st.lists(st.integers(6, 19), min_size=1, max_size=5), min_size=1, max_size=3)


@given(seed=st.integers(0, 5), prompts=PROMPTS, chosen=arguments())
def test_the_same_without_a_cache(attentive, seed, prompts, chosen):
    model = attentive(seed)
    chosen = {"pad_token_id": 0, **chosen}
    assert torch.equal(model.generate(prompts, **chosen), model.generate(prompts, use_cache=False, **chosen))


@given(seed=st.integers(0, 5), prompts=PROMPTS, chosen=arguments())
def test_a_batch_writes_what_each_prompt_writes(attentive, seed, prompts, chosen):
    if "do_sample" in chosen:
        del chosen["do_sample"], chosen["seed"], chosen["top_p"]  # each row would draw other numbers
    model = attentive(seed)
    batch = model.generate(prompts, pad_token_id=0, **chosen)
    longest = max(map(len, prompts))
    for row, prompt in zip(batch.tolist(), prompts, strict=True):
        (single,) = model.generate([prompt], pad_token_id=0, **chosen).tolist()
        start = longest - len(prompt)
        assert row[start : start + len(single)] == single
        assert not any(row[start + len(single) :])


@given(seed=st.integers(0, 5), prompts=PROMPTS, chosen=arguments())
def test_what_is_streamed_is_what_is_generated(attentive, seed, prompts, chosen):
    if chosen.pop("num_beams", None):
        return
    model, heard = attentive(seed), []
    whole = model.generate(prompts, pad_token_id=0, on_token=heard.append, **chosen)
    streamed = list(model.stream(prompts, pad_token_id=0, **chosen))
    new = whole[:, max(map(len, prompts)) :]
    assert torch.equal(torch.stack(streamed, 1), new)
    assert torch.equal(torch.stack(heard, 1), new)


def test_seed_generator_and_the_global_one(attentive):
    model = attentive()
    chosen = {"max_new_tokens": 8, "do_sample": True}
    first = model.generate([1], seed=5, **chosen)
    assert torch.equal(first, model.generate([1], seed=5, **chosen))
    assert torch.equal(first, model.generate([1], generator=torch.Generator().manual_seed(5), **chosen))
    torch.manual_seed(5)
    assert torch.equal(first, model.generate([1], **chosen))
    assert not torch.equal(first, model.generate([1], **chosen))
    state = torch.get_rng_state()
    model.generate([1], seed=5, **chosen)
    assert torch.equal(state, torch.get_rng_state())  # who gives a seed leaves PyTorch's own alone
    with pytest.raises(InputError, match="seed and generator: both say where chance comes from"):
        model.generate([1], seed=5, generator=torch.Generator(), **chosen)


def test_several_texts_a_prompt(attentive):
    model = attentive()
    texts = model.generate([[1, 2], [3]], max_new_tokens=6, do_sample=True, num_return_sequences=3, seed=0)
    assert texts.shape == (6, 8)
    assert texts[:, :2].tolist() == [[1, 2]] * 3 + [[0, 3]] * 3
    assert len({tuple(text) for text in texts.tolist()}) == 6
    assert model.generate([1], max_new_tokens=2, num_return_sequences=1).shape == (1, 3)


def test_the_model_is_left_as_it_was(attentive):
    model = attentive().train()
    model.projections[0].eval()
    before = [module.training for module in model.modules()]
    first = model.generate([1], max_new_tokens=5)
    assert torch.equal(first, model.generate([1], max_new_tokens=5))  # dropout was off
    assert [module.training for module in model.modules()] == before
    with pytest.raises(RuntimeError, match="stop"):
        model.generate([1], on_token=lambda token: (_ for _ in ()).throw(RuntimeError("stop")))
    assert [module.training for module in model.modules()] == before
    stream = model.stream([1], max_new_tokens=5)
    next(stream)
    assert torch.is_grad_enabled()
    assert not model.training
    stream.close()
    assert [module.training for module in model.modules()] == before
    assert all(weight.grad is None for weight in model.parameters())


def test_what_was_written_can_be_trained_on(attentive):
    model = attentive()
    text = model.generate([1], max_new_tokens=5)
    model(text, None, None, False, 6).logits.sum().backward()
    assert model.tokens.weight.grad.abs().sum() > 0


def test_a_streamer_of_hugging_faces_kind(attentive):
    class Streamer:
        def __init__(self):
            self.heard, self.over = [], False

        def put(self, value):
            self.heard.append(value.tolist())

        def end(self):
            self.over = True

    streamer = Streamer()
    (text,) = attentive().generate([[1, 2]], max_new_tokens=3, streamer=streamer).tolist()
    assert streamer.heard == [[text[:2]], *([token] for token in text[2:])]
    assert streamer.over


def test_stop_strings(attentive):
    class Letters:
        def decode(self, ids):
            return "".join("abcdefghijklmnopqrst"[token] for token in ids)

    model = attentive()
    (whole,) = model.generate([1], max_new_tokens=12).tolist()
    string = Letters().decode(whole[4:6])
    (cut,) = model.generate([1], max_new_tokens=12, stop_strings=string, tokenizer=Letters()).tolist()
    text = Letters().decode(whole)
    assert Letters().decode(cut) == text[: max(2, text.index(string, 0) + 2)]
    with pytest.raises(InputError, match="pad_token_id: texts may end at different lengths"):
        model.generate([[1], [2]], stop_strings=["a"], tokenizer=Letters())


def test_the_context_is_not_exceeded(attentive):
    model = attentive(context=8)
    assert model.generate([1, 2, 3]).shape == (1, 8)  # 20, or as many as there is room for
    assert model.generate([1, 2, 3], max_new_tokens=5).shape == (1, 8)
    with pytest.raises(InputError, match="max_new_tokens 6: with a prompt of 3 tokens that is more than the 8 that"):
        model.generate([1, 2, 3], max_new_tokens=6)
    with pytest.raises(InputError, match="the prompt has 8 tokens and the model reads 8"):
        model.generate([1] * 8)
    assert attentive(context=30).generate([1]).shape == (1, 21)


def test_wrong_arguments_are_refused_before_the_first_step(attentive):
    with pytest.raises(InputError, match="did you mean attention_mask"):
        attentive().generate([1], attention_masks=[[1]])
    with pytest.raises(InputError, match="outside the vocabulary"):
        attentive().stream([99])


def test_what_needs_sampling_says_so(attentive):
    for arguments in ({"temperature": 0.7}, {"top_k": 5}, {"top_p": 0.9}, {"min_p": 0.1}):
        with pytest.warns(UserWarning, match="changes nothing without do_sample=True") as seen:
            attentive().generate([1], **arguments)
        assert seen[0].filename == __file__
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            attentive().generate([1], do_sample=True, **arguments)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_other_precisions(attentive, dtype):
    model = attentive().to(dtype)
    for chosen in ({}, {"do_sample": True}, {"num_beams": 2}):
        assert model.generate([1], max_new_tokens=3, **chosen).shape == (1, 4)


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # within PyTorch
def test_a_compiled_model_writes_the_same(attentive):
    model = attentive(layers=1)
    expected = model.generate([1, 2], max_new_tokens=5)
    around = torch.compile(model, backend="aot_eager")
    assert torch.equal(around.generate([1, 2], max_new_tokens=5), expected)
    model.compile(backend="aot_eager")
    assert torch.equal(model.generate([1, 2], max_new_tokens=5), expected)


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # within PyTorch
@pytest.mark.parametrize("chosen", [{}, {"do_sample": True, "seed": 0}], ids=["likeliest", "drawn"])
def test_a_compiler_makes_one_program_for_all_prompts_and_one_for_all_tokens(attentive, chosen):
    model, programs = attentive(layers=2), []
    prompts = [[1, 2, 3]], [[4, 5, 6, 7]]
    written = [[model.generate(ids, max_new_tokens=n, **chosen) for n in (4, 7)] for ids in prompts]
    torch.compiler.reset()
    model.compile(backend=lambda graph, inputs: programs.append(graph) or graph.forward, dynamic=True)
    for ids, expected in zip(prompts, written, strict=True):
        for n, text in zip((4, 7), expected, strict=True):
            assert torch.equal(model.generate(ids, max_new_tokens=n, **chosen), text)
    assert len(programs) == 2


def test_on_the_device(attentive, device):
    model = attentive().to(device)
    ids = torch.tensor([[1, 2], [3, 4]])
    for chosen in ({}, {"do_sample": True, "seed": 0}, {"num_beams": 2}):
        written = model.generate(ids, max_new_tokens=5, **chosen)
        assert written.device == ids.device
        assert torch.equal(written, attentive().generate(ids, max_new_tokens=5, **chosen))


def test_each_beam_has_its_own_padding(attentive):
    chosen = {"max_new_tokens": 5, "num_beams": 3, "num_return_sequences": 3, "pad_token_id": 0}
    for seed in range(10):
        model = attentive(seed)
        batch = model.generate([[7], [6, 6, 8]], repetition_penalty=20.0, **chosen)
        alone = model.generate([[7]], repetition_penalty=20.0, **chosen)
        assert torch.equal(batch[:3, 2:], alone)
