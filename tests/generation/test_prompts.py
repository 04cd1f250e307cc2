"""Prompts: padding on the left, masks that fit, and what is no prompt."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels.errors import InputError
from minimodels.generation import GenerationConfig
from minimodels.generation.prompts import prepared

MODEL = SimpleNamespace(vocab_size=10, bos_token_id=3, eos_token_id=9)


def prepare(input_ids, attention_mask=None, config=MODEL, **arguments):
    return prepared(input_ids, attention_mask, GenerationConfig(**arguments), config)


@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=5), min_size=1, max_size=4))
def test_lists_are_padded_on_the_left(prompts):
    ids, mask = prepare(prompts)
    longest = max(map(len, prompts))
    assert ids.shape == (len(prompts), longest)
    if mask is None:
        assert {len(prompt) for prompt in prompts} == {longest}
        mask = torch.ones_like(ids)
    for row, seen, prompt in zip(ids, mask, prompts, strict=True):
        assert row[seen.bool()].tolist() == prompt
        assert row[~seen.bool()].tolist() == [9] * (longest - len(prompt))  # the token that pads
        assert seen.tolist() == sorted(seen.tolist())


def test_one_prompt():
    for one in ([1, 2], [[1, 2]], torch.tensor([1, 2]), torch.tensor([[1, 2]], dtype=torch.int32)):
        ids, mask = prepare(one)
        assert (ids.tolist(), ids.dtype, mask) == ([[1, 2]], torch.int64, None)
    assert prepare(None)[0].tolist() == [[3]]


def test_padding_is_recognised_as_hugging_face_does():
    ids = torch.tensor([[5, 5, 1], [1, 2, 3]])
    assert prepare(ids)[1] is None
    assert prepare(ids, pad_token_id=5)[1].tolist() == [[0, 0, 1], [1, 1, 1]]
    assert prepare(ids, pad_token_id=5, eos_token_id=5)[1] is None  # it may be there on purpose
    assert prepare(ids, torch.ones_like(ids), pad_token_id=5)[1] is None  # who gives a mask has decided


@pytest.mark.parametrize(
    ("input_ids", "mask", "sentence"),
    [
        ([], None, "input_ids: a prompt is empty"),
        ([[1], []], None, "input_ids: a prompt is empty"),
        (torch.zeros(2, 0, dtype=torch.int64), None, "input_ids: the prompt is empty"),
        (torch.zeros(1, 2), None, "input_ids: must be whole numbers [N, T], not torch.float32 [1, 2]"),
        (torch.zeros(1, 1, 2, dtype=torch.int64), None, "input_ids: must be whole numbers [N, T]"),
        ([[1, 10]], None, "input_ids: token 10 is outside the vocabulary of 10 tokens (0 to 9)"),
        ([[1, -1]], None, "input_ids: token -1 is outside the vocabulary"),
        ([[1, 2]], [[1, 1, 1]], "attention_mask: is [1, 3], but input_ids [1, 2]"),
        ([[1, 2]], [[0, 2]], "attention_mask: must be 1 for tokens and 0 for padding"),
        ([[1, 2], [1, 2]], [[1, 1], [1, 0]], "attention_mask: prompt 1 ends in padding"),
    ],
)
def test_what_is_no_prompt(input_ids, mask, sentence):
    with pytest.raises(InputError) as refusal:
        prepare(input_ids, mask)
    assert str(refusal.value).startswith(sentence)


def test_a_model_without_a_beginning():
    with pytest.raises(InputError, match="no token to begin with"):
        prepare(None, config=SimpleNamespace(vocab_size=10))
