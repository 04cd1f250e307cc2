"""What all tokenizers have in common: tensors, batches, special tokens."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels.errors import InputError
from minimodels.text import BPETokenizer, CharTokenizer, GPT2Tokenizer, Tokenizer

RANKS = {bytes([byte]): byte for byte in range(256)}
EVERY = [BPETokenizer(RANKS), GPT2Tokenizer(RANKS), CharTokenizer("abc é中🙂")]
every = pytest.mark.parametrize("tokenizer", EVERY, ids=lambda each: type(each).__name__)
known = st.text("abc é中🙂", max_size=10)


@every
@given(text=known)
def test_lists_tensors_and_arrays_hold_the_same(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    tensor, array = tokenizer.encode(text, "pt"), tokenizer.encode(text, return_tensors="np")
    assert tensor.dtype == torch.int64
    assert array.dtype == tokenizer.encode_array(text).dtype == np.int64
    assert tensor.shape == array.shape == (1, len(ids))
    assert tensor.tolist() == array.tolist() == [ids]
    assert tokenizer.encode_array(text).tolist() == ids
    assert all(0 <= id < tokenizer.vocab_size for id in ids)
    assert tokenizer.decode(tensor[0]) == tokenizer.decode(array[0]) == tokenizer.decode(ids) == text
    assert tokenizer.decode_bytes(ids) == b"".join(map(tokenizer.token_bytes, ids)) == text.encode()


@every
@given(texts=st.lists(known, min_size=1, max_size=4))
def test_a_batch_is_its_texts(tokenizer: Tokenizer, texts: list[str]) -> None:
    rows = [tokenizer.encode(text) for text in texts]
    plain = tokenizer(texts)
    assert plain.input_ids == rows == tokenizer.encode_batch(texts)
    assert plain.attention_mask == [[1] * len(row) for row in rows]
    assert tokenizer(texts[0]) == {"input_ids": rows[0], "attention_mask": [1] * len(rows[0])}
    assert tokenizer(texts[0], return_tensors="pt").input_ids.tolist() == [rows[0]]
    assert tokenizer(texts, truncation=True, max_length=2).input_ids == [row[:2] for row in rows]


def test_a_batch_is_filled_at_the_left() -> None:
    tokenizer = GPT2Tokenizer(RANKS)
    encoded = tokenizer(["a", "abc"], padding=True, return_tensors="pt")
    assert encoded.input_ids.tolist() == [[256, 256, 97], [97, 98, 99]]
    assert encoded.attention_mask.tolist() == [[0, 0, 1], [1, 1, 1]]
    assert tokenizer.batch_decode(encoded.input_ids, skip_special_tokens=True) == ["a", "abc"]
    tokenizer.padding_side = "right"
    assert tokenizer(["a", "abc"], padding="longest").input_ids[0] == [97, 256, 256]
    padded = tokenizer(["a"], padding="max_length", max_length=2, return_tensors="np")
    assert padded.input_ids.tolist() == [[97, 256]]


def test_the_token_that_fills_can_be_chosen() -> None:
    tokenizer = GPT2Tokenizer(RANKS, {"<|endoftext|>": 256, "<pad>": 257}, pad_token="<pad>")
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.vocab_size) == (257, 256, 258)
    assert tokenizer(["", "a"], padding=True).input_ids == [[257], [97]]
    tokenizer.pad_token = tokenizer.eos_token
    assert tokenizer(["", "a"], padding=True).input_ids == [[256], [97]]
    tokenizer.pad_token = "<nothing>"
    with pytest.raises(InputError, match="'<nothing>' is not a special token of this tokenizer"):
        tokenizer(["", "a"], padding=True)


def test_length_at_which_is_cut() -> None:
    long = "a" * 2000
    assert len(GPT2Tokenizer(RANKS)(long, truncation=True).input_ids) == 1024
    assert len(GPT2Tokenizer(RANKS, model_max_length=7)(long, truncation=True).input_ids) == 7
    for flags in ({"truncation": True}, {"padding": "max_length"}):
        with pytest.raises(InputError, match="max_length is missing"):
            BPETokenizer(RANKS)(long, **flags)


def test_texts_of_different_lengths_make_no_tensor() -> None:
    with pytest.raises(InputError, match="texts of 1 and of 3 tokens do not fit into one tensor; say padding=True"):
        GPT2Tokenizer(RANKS)(["a", "abc"], return_tensors="pt")


@every
def test_other_tensors_are_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(InputError, match="return_tensors='tf'"):
        tokenizer.encode("a", "tf")


def test_how_it_shows_itself() -> None:
    assert repr(GPT2Tokenizer(RANKS)) == "GPT2Tokenizer(257 tokens)"
