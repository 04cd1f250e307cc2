"""Files of vocabularies: what is written comes back, and what is damaged is named."""

import json
from pathlib import Path

import pytest
import tiktoken.load

from minimodels.errors import InputError
from minimodels.text import BPETokenizer, GPT2Tokenizer, train_bpe
from minimodels.text.bpe.formats import (
    Vocabulary,
    read_tiktoken,
    read_tokenizer_json,
    read_vocab_and_merges,
    write_tiktoken,
    write_vocab_and_merges,
)

TEXT = "so to be or not to be, and so to be it is; so to be to so"


@pytest.fixture(scope="module")
def small() -> BPETokenizer:
    return train_bpe(TEXT, 270, min_frequency=1)


@pytest.fixture
def pair(small: BPETokenizer, tmp_path: Path) -> tuple[Path, Path]:
    """A vocab.json and a merges.txt that belong together."""
    paths = tmp_path / "vocab.json", tmp_path / "merges.txt"
    write_vocab_and_merges(*paths, Vocabulary(small.ranks, small.special_tokens))
    return paths


def test_a_pair_of_files_comes_back(small: BPETokenizer, pair: tuple[Path, Path]) -> None:
    assert read_vocab_and_merges(*pair) == (small.ranks, small.special_tokens)


def test_the_numbers_may_begin_with_special_tokens(small: BPETokenizer, pair: tuple[Path, Path]) -> None:
    vocab, merges = pair
    shifted = {token: number + 2 for token, number in json.loads(vocab.read_text()).items() if number < 269}
    vocab.write_text(json.dumps({"<s>": 0, "[PAD]": 1} | shifted))
    ranks, special_tokens = read_vocab_and_merges(vocab, merges)
    assert special_tokens == {"<s>": 0, "[PAD]": 1}
    text = GPT2Tokenizer(ranks, special_tokens).encode(TEXT)
    assert [number - 2 for number in text] == small.encode(TEXT)


def test_lines_may_end_as_on_windows(small: BPETokenizer, pair: tuple[Path, Path]) -> None:
    vocab, merges = pair
    merges.write_bytes(merges.read_bytes().replace(b"\n", b"\r\n"))
    assert read_vocab_and_merges(vocab, merges).ranks == small.ranks


def test_tiktoken_reads_what_is_written(small: BPETokenizer, tmp_path: Path) -> None:
    write_tiktoken(tmp_path / "a.tiktoken", small.ranks)
    assert read_tiktoken(tmp_path / "a.tiktoken") == small.ranks
    assert tiktoken.load.load_tiktoken_bpe(str(tmp_path / "a.tiktoken")) == small.ranks


def edited(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize(
    ("file", "old", "new", "sentence"),
    [
        ("merges.txt", "t o\n", "t o o\n", "line 2: 't o o' is not two tokens with a space between them."),
        ("merges.txt", "t o\n", "", "do not belong together: 'to' has a number, but no merge makes it."),
        ("merges.txt", "t o\n", "t z\n", "do not belong together: 'tz' is merged, but has no number."),
        ("merges.txt", "t o\n", "t 中\n", "do not belong together: 't中' is merged, but has no number."),
        ("vocab.json", '"!"', '"中"', "'中' is not a token of bytes: '中' stands for none."),
        ("vocab.json", '": 261', '": "261"', "the vocabulary is not an object of numbers by tokens"),
        ("vocab.json", '": 261', '": true', "the vocabulary is not an object of numbers by tokens"),
        ("vocab.json", "{", "[", "is not JSON"),
    ],
)
def test_a_damaged_pair_is_named(pair: tuple[Path, Path], file: str, old: str, new: str, sentence: str) -> None:
    edited(pair[0].parent / file, old, new)
    with pytest.raises(InputError) as caught:
        read_vocab_and_merges(*pair)
    assert sentence in str(caught.value)
    assert file in str(caught.value)
    assert "\n" not in str(caught.value)


def test_merges_in_another_order_than_the_numbers_are_refused(pair: tuple[Path, Path]) -> None:
    lines = pair[1].read_text(encoding="utf-8").splitlines()
    lines[1], lines[-1] = lines[-1], lines[1]
    pair[1].write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(InputError, match="merge 1 makes"):
        read_vocab_and_merges(*pair)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty; get the file again."),
        (b"IQ== 0\nIg==\n", "line 2: is not a token in base64 and its number."),
        (b"IQ== 0\n?? 1\n", "line 2: is not a token in base64 and its number."),
        (b"IQ== 0\nIg== one\n", "line 2: is not a token in base64 and its number."),
        (b"IQ== 0\nIQ== 1\n", "has a token twice; get the file again."),
    ],
)
def test_a_damaged_table_is_named(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "a.tiktoken").write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_tiktoken(tmp_path / "a.tiktoken")
    assert str(caught.value) == f"{tmp_path / 'a.tiktoken'}{', ' if sentence.startswith('line') else ': '}{sentence}"


def tokenizer_json(pair: tuple[Path, Path]) -> dict:
    lines = pair[1].read_text(encoding="utf-8").splitlines()[1:]
    return {
        "added_tokens": [{"id": 269, "content": "<|endoftext|>"}],
        "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False},
        "model": {"type": "BPE", "vocab": json.loads(pair[0].read_text(encoding="utf-8")), "merges": lines},
    }


@pytest.mark.parametrize("split", [False, True], ids=["merges as text", "merges as pairs"])
def test_the_one_file_of_hugging_face(small: BPETokenizer, pair: tuple[Path, Path], tmp_path: Path, split) -> None:
    value = tokenizer_json(pair)
    if split:
        value["model"]["merges"] = [line.split(" ") for line in value["model"]["merges"]]
    (tmp_path / "tokenizer.json").write_text(json.dumps(value), encoding="utf-8")
    assert read_tokenizer_json(tmp_path / "tokenizer.json") == (small.ranks, small.special_tokens)


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("model", {"type": "Unigram"}, "is not a tokenizer of byte pairs"),
        ("model", None, "is not a tokenizer of byte pairs"),
        ("normalizer", {"type": "NFC"}, "does not cut text as GPT-2 does"),
        ("pre_tokenizer", {"type": "Whitespace"}, "does not cut text as GPT-2 does"),
        ("pre_tokenizer", {"type": "ByteLevel", "add_prefix_space": True}, "does not cut text as GPT-2 does"),
        ("pre_tokenizer", [], "does not cut text as GPT-2 does"),
        ("added_tokens", [1], "is damaged"),
        ("added_tokens", 1, "is damaged"),
    ],
)
def test_a_file_of_another_kind_is_named(pair, tmp_path: Path, key: str, value, sentence: str) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(tokenizer_json(pair) | {key: value}), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_tokenizer_json(path)
    assert sentence in str(caught.value)
