"""Token files: encoded once, found again, and never taken for what they are not."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimodels.data import token_file
from minimodels.data.tokens import HEADER, pieces
from minimodels.errors import InputError


def signs(text: str) -> list[int]:
    return [ord(sign) for sign in text]


def never(text: str) -> list[int]:
    raise AssertionError("was encoded again")


def made(
    folder: Path, text: str = "to be", encode: Callable[[str], list[int]] = signs, **options: object
) -> np.ndarray:
    return token_file(folder, text, encode, **{"tokenizer": "signs", "vocab_size": 256, **options})  # type: ignore


@given(text=st.text("ab' \n\r.", min_size=1), size=st.integers(1, 5))
def test_pieces_are_the_text_and_their_words_those_of_the_text(text: str, size: int) -> None:
    """The pattern stands for GPT-2's: letters with a space before them, other signs, white space but the last of it."""

    def words(part: str) -> list[str]:
        return re.findall(r" ?\w+| ?[^\s\w]+|\s+(?!\S)|\s+", part)

    cut = list(pieces(text, size))
    assert "".join(cut) == text
    assert [word for piece in cut for word in words(piece)] == words(text)
    assert all(len(piece) >= size for piece in cut[:-1])


@given(
    ids=st.lists(st.integers(0, 99_999), min_size=1, max_size=50), vocab_size=st.sampled_from([100_000, 65_537, 65_536])
)
def test_what_goes_in_comes_out(tmp_path_factory: pytest.TempPathFactory, ids: list[int], vocab_size: int) -> None:
    ids = [number % vocab_size for number in ids]
    folder = tmp_path_factory.mktemp("tokens")
    for encode in (lambda text: ids, never):
        tokens = made(folder, encode=encode, vocab_size=vocab_size)
        assert tokens.tolist() == ids
        assert isinstance(tokens, np.memmap)
        assert tokens.dtype == (np.uint16 if vocab_size == 65_536 else np.uint32)
        assert not tokens.flags.writeable
    (path,) = folder.iterdir()
    assert path.stat().st_size == HEADER + len(ids) * tokens.itemsize


def test_a_long_text_is_encoded_piece_by_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minimodels.data.tokens.PIECE", 8)
    monkeypatch.setattr(pieces, "__defaults__", (8,))
    text, seen = "one line\nand another\n\nand the last\n", []

    def encode(piece: str) -> list[int]:
        seen.append(piece)
        return signs(piece)

    assert made(tmp_path, text, encode).tolist() == signs(text)
    assert seen == ["one line", "\nand another", "\n\nand the last", "\n"]


def test_the_first_line_says_what_it_is(tmp_path: Path) -> None:
    made(tmp_path)
    (path,) = tmp_path.iterdir()
    line = path.read_bytes()[:HEADER]
    assert line.endswith(b"\n")
    about = json.loads(line)
    assert (about["tokenizer"], about["dtype"], about["tokens"]) == ("signs", "uint16", 5)


def test_another_text_or_tokenizer_has_another_file(tmp_path: Path) -> None:
    made(tmp_path)
    made(tmp_path, "or not to be")
    made(tmp_path, tokenizer="other signs", encode=lambda text: [1, 2])
    made(tmp_path, vocab_size=100_000)
    assert len(list(tmp_path.iterdir())) == 4
    assert made(tmp_path, encode=never).tolist() == signs("to be")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda raw: raw[:-1],
        lambda raw: raw[:-2],
        lambda raw: raw + b"\0\0",
        lambda raw: raw[:HEADER],
        lambda raw: b"",
        lambda raw: raw.replace(b'"tokenizer": "signs"', b'"tokenizer": "spoon"'),
        lambda raw: raw.replace(b'"format": 1', b'"format": 2'),
        lambda raw: b"a photo" * 100,
    ],
    ids=["half a token", "a token less", "a token more", "no token", "nothing", "foreign", "of later", "no token file"],
)
def test_a_spoilt_file_is_made_anew(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    made(tmp_path)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(spoil(whole))
    assert made(tmp_path).tolist() == signs("to be")
    assert path.read_bytes() == whole


def test_a_tokenizer_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the tokenizer gave the number 300, but its vocabulary has 256 tokens"):
        made(tmp_path, encode=lambda text: [1, 300])
    with pytest.raises(InputError, match="the tokenizer gave the number -1"):
        made(tmp_path, encode=lambda text: [-1])
    with pytest.raises(AssertionError):
        made(tmp_path, encode=never)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "x"])
def test_nothing_to_learn_from(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match="without a single token"):
        made(tmp_path, text, lambda text: [])
