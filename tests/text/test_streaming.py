"""Text that appears token by token: never half a character, and in the end the whole."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimodels.errors import InputError
from minimodels.text import BPETokenizer, CharTokenizer, StreamingDecoder, train_bpe
from tests.text.strategies import texts

UNICODE = train_bpe("中文字 🙂🙂 é🏳\ufe0f\u200d🌈 e\u0301 中文 🙂 é" * 2, 275)


def pieces_of(tokenizer, ids: list[int], **flags) -> list[str]:
    stream = StreamingDecoder(tokenizer, **flags)
    return [*map(stream.put, ids), stream.finish()]


@given(texts)
def test_every_piece_is_whole(text: str) -> None:
    pieces = pieces_of(UNICODE, UNICODE.encode(text))
    assert "".join(pieces) == text
    assert pieces[-1] == ""
    assert "\ufffd" in text or not any("\ufffd" in piece for piece in pieces)


@given(st.lists(st.integers(0, 274), max_size=30))
def test_whatever_a_model_draws_the_pieces_are_the_whole(ids: list[int]) -> None:
    assert "".join(pieces_of(UNICODE, ids)) == UNICODE.decode(ids)
    assert "".join(pieces_of(UNICODE, ids, skip_special_tokens=True)) == UNICODE.decode(ids, skip_special_tokens=True)


def test_a_character_appears_with_its_last_byte() -> None:
    bytes_alone = BPETokenizer({bytes([byte]): byte for byte in range(256)})
    assert pieces_of(bytes_alone, bytes_alone.encode("a🙂b")) == ["a", "", "", "", "🙂", "b", ""]


def test_what_stays_half_is_shown_at_the_end_and_forgotten() -> None:
    stream = StreamingDecoder(BPETokenizer({bytes([byte]): byte for byte in range(256)}))
    assert [stream.put(0xF0), stream.put(0x9F), stream.finish()] == ["", "", "\ufffd"]
    assert [stream.put(0x61), stream.finish()] == ["a", ""]


def test_characters_are_always_whole() -> None:
    tokenizer = CharTokenizer("a🙂")
    assert pieces_of(tokenizer, [1, 0]) == ["🙂", "a", ""]
    with pytest.raises(InputError, match="token 2 is not in the vocabulary"):
        StreamingDecoder(tokenizer).put(2)


def test_real_tokens_and_real_chinese(gpt2, chinese: str) -> None:
    text = chinese[:20_000]
    pieces = pieces_of(gpt2, gpt2.encode(text))
    assert "".join(pieces) == text
    assert not any("\ufffd" in piece for piece in pieces)
    ids = random.Random(0).choices(range(len(gpt2)), k=5000)
    assert "".join(pieces_of(gpt2, ids)) == gpt2.decode(ids)
