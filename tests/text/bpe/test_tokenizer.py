"""The tokenizer of byte pairs: any text comes back, numbers are checked, its files are whole."""

import copy
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels.errors import InputError
from minimodels.text import GPT2_PATTERN, BPETokenizer, train_bpe
from tests.text.strategies import texts

BYTES_ALONE = {bytes([byte]): byte for byte in range(256)}


@pytest.fixture(scope="module")
def small() -> BPETokenizer:
    return train_bpe("so to be or not to be, and so to be it is; so to be to so", 270, min_frequency=1)


@given(text=texts)
def test_any_text_comes_back(small: BPETokenizer, text: str) -> None:
    ids = small.encode(text)
    assert small.decode(ids) == text
    assert b"".join(map(small.token_bytes, ids)) == small.decode_bytes(ids) == text.encode()
    assert small.encode_batch([text, "x"]) == [ids, small.encode("x")]


@given(texts=st.lists(texts, max_size=4))
def test_special_tokens_count_only_where_they_are_asked_for(small: BPETokenizer, texts: list[str]) -> None:
    text = "<|endoftext|>".join(texts)
    assert small.eos_token_id not in small.encode(text)
    allowed = small.encode(text, allowed_special={"<|endoftext|>"})
    assert allowed == small.encode(text, allowed_special="all") == small.encode(text, allowed_special="<|endoftext|>")
    assert allowed.count(269) == text.count("<|endoftext|>")
    assert small.decode(allowed) == text
    assert small.decode(allowed, skip_special_tokens=True) == text.replace("<|endoftext|>", "")


def test_numbers_may_come_in_any_form(small: BPETokenizer) -> None:
    ids = small.encode("to be")
    for form in (ids, tuple(ids), iter(ids), np.array(ids), torch.tensor(ids), torch.tensor(ids, dtype=torch.int32)):
        assert small.decode(form) == "to be"
    assert small.decode(ids[0]) == small.decode(torch.tensor(ids[0])) == "to"
    assert small.batch_decode(torch.tensor([ids, ids])) == small.batch_decode([ids, ids]) == ["to be"] * 2


@pytest.mark.parametrize("wrong", [-1, 270, 2**40, 1.0, "a", None])
def test_numbers_of_no_token_are_named(small: BPETokenizer, wrong) -> None:
    sentence = f"token {wrong!r} is not in the vocabulary, which has numbers from 0 to 269."
    with pytest.raises(InputError) as caught:
        small.decode([0, wrong])
    assert str(caught.value) == sentence
    with pytest.raises(InputError, match="is not in the vocabulary"):
        small.convert_ids_to_tokens([wrong])


def test_one_text_at_a_time(small: BPETokenizer) -> None:
    with pytest.raises(InputError, match=r"batch_decode\(\) takes those of several"):
        small.decode(torch.tensor([[1, 2]]))


def test_half_a_surrogate_pair_is_named(small: BPETokenizer) -> None:
    for call in (small.encode, lambda text: small.encode_batch(["a", text]), lambda text: small(["a", text])):
        with pytest.raises(InputError, match=r"half a surrogate pair, U\+DE42, at position 2"):
            call("a \ude42")


@pytest.mark.parametrize("wrong", [b"bytes", None, ["a"]])
def test_what_is_no_text_is_named(small: BPETokenizer, wrong) -> None:
    with pytest.raises(InputError, match=f"a text has to be a str, but {type(wrong).__name__} was given"):
        small.encode(wrong)


def test_copies_do_the_same(small: BPETokenizer) -> None:
    for made in (copy.deepcopy(small), pickle.loads(pickle.dumps(small))):
        assert made.encode("to be <|endoftext|>", allowed_special="all") == small.encode(
            "to be <|endoftext|>", allowed_special="all"
        )


def test_how_tokens_are_written(small: BPETokenizer) -> None:
    vocabulary = small.get_vocab()
    assert len(vocabulary) == len(small) == small.vocab_size == 270
    assert small.convert_ids_to_tokens(small.encode("to be")) == ["to", "Ġbe"]
    assert small.convert_ids_to_tokens(269) == "<|endoftext|>"
    assert small.convert_tokens_to_ids(["to", "Ġbe"]) == small.encode("to be")
    assert [small.convert_tokens_to_ids(token) for token in vocabulary] == list(vocabulary.values())
    with pytest.raises(InputError, match="'zebra' is not a token"):
        small.convert_tokens_to_ids("zebra")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"ranks": {}}, "the byte 0x00 has no token; a vocabulary of bytes needs all 256."),
        ({"ranks": {b"a": 1}}, "the byte 0x00 has no token"),
        ({"ranks": BYTES_ALONE | {b"ab": 7}}, "two tokens have the same number"),
        ({"special_tokens": {"<s>": 7}}, "two tokens have the same number"),
        ({"special_tokens": {"<s>": -1}}, "a token's number is negative or beyond 32 bits"),
        ({"special_tokens": {"<s>": 2**32}}, "a token's number is negative or beyond 32 bits"),
        ({"pattern": "("}, "the pattern '(' is not a regular expression"),
        ({"pad_token": "<pad>"}, "'<pad>' is not a special token of this tokenizer; it has <|endoftext|>."),
        ({"padding_side": "top"}, "padding_side='top': give 'left' or 'right'."),
    ],
)
def test_a_vocabulary_that_cannot_be_is_refused(arguments, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        BPETokenizer(**{"ranks": BYTES_ALONE} | arguments)
    assert sentence in str(caught.value)


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    special = {"<|endoftext|>": 300, "<|user|>": 301}
    saved = BPETokenizer(
        BYTES_ALONE, special, r"\S+|\s+", pad_token="<|user|>", padding_side="right", eos_token="<|user|>"
    )
    saved.save_pretrained(tmp_path / "new")
    found = BPETokenizer.from_pretrained(tmp_path / "new")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(BPETokenizer.FILES)
    assert vars(found).keys() == vars(saved).keys()
    for name in vars(saved).keys() - {"encoding"}:
        assert getattr(found, name) == getattr(saved, name)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("bpe.json", None, "bpe.json: cannot be read (No such file or directory)."),
        ("bpe.tiktoken", None, "bpe.tiktoken: cannot be read (No such file or directory)."),
        ("bpe.json", b"{}", "bpe.json: is not the settings of a tokenizer; save the tokenizer again."),
        ("bpe.json", b"[1]", "bpe.json: is not the settings of a tokenizer; save the tokenizer again."),
        ("bpe.json", b"\xff", "bpe.json: is not UTF-8 text (byte 0); get the file again."),
        ("bpe.tiktoken", b"IQ== 0\n", "bpe.json: belongs to 269 tokens, but bpe.tiktoken has 1; save both again."),
    ],
)
def test_a_damaged_folder_is_named(small, tmp_path: Path, name: str, content: bytes | None, sentence: str) -> None:
    small.save_pretrained(tmp_path)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as caught:
        BPETokenizer.from_pretrained(tmp_path)
    assert str(caught.value).endswith(sentence)


@pytest.mark.parametrize("special", [["a"], 7, None, {"<s>": "7"}, {"<s>": 1}])
def test_damaged_special_tokens_are_named(small: BPETokenizer, tmp_path: Path, special) -> None:
    small.save_pretrained(tmp_path)
    value = json.loads((tmp_path / "bpe.json").read_text(encoding="utf-8")) | {"special_tokens": special}
    (tmp_path / "bpe.json").write_text(json.dumps(value), encoding="utf-8")
    with pytest.raises(InputError, match=r"bpe\.json"):
        BPETokenizer.from_pretrained(tmp_path)


def test_the_published_pattern_gives_the_published_numbers(gpt2, published, shakespeare: str, chinese: str) -> None:
    ours = BPETokenizer(gpt2.ranks, pattern=GPT2_PATTERN)
    first = BPETokenizer(
        gpt2.ranks, pattern=r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
    )
    for text in (shakespeare, chinese):
        assert ours.encode(text) == first.encode(text)
