"""Vocabularies: numbers and back, in the order of frequency."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimodels.data import Vocabulary
from minimodels.data.vocabulary import UNKNOWN, tokenized
from minimodels.errors import InputError


@given(st.lists(st.text(max_size=12), min_size=1, max_size=5))
def test_characters_come_back(texts: list[str]) -> None:
    vocabulary = Vocabulary.of(texts, "characters")
    for text in texts:
        numbers = vocabulary.encode(text)
        assert all(UNKNOWN < number < len(vocabulary) for number in numbers)
        assert vocabulary.decode(numbers) == text


@given(st.lists(st.text("abc ", max_size=30), min_size=1, max_size=5))
def test_the_frequent_come_first(texts: list[str]) -> None:
    vocabulary = Vocabulary.of(texts, "words")
    counts = ["\n".join(texts).split().count(token) for token in vocabulary.tokens]
    assert counts == sorted(counts, reverse=True)
    assert set(vocabulary.tokens) == {word for text in texts for word in text.split()}


def test_the_rare_and_the_rest_are_unknown() -> None:
    texts = ["a a a b b c"]
    assert Vocabulary.of(texts, "words", least=2).tokens == ["a", "b"]
    assert Vocabulary.of(texts, "words", most=1).encode("a b z") == [2, 1, 1]
    assert Vocabulary.of(texts, "words").decode([2, 1, 3, 0]) == "a � b"


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("It's MINE, not yours!", ["it's", "mine", ",", "not", "yours", "!"]),
        ("a\tb\n\nc", ["a", "b", "c"]),
        ("naïve 3.5 %", ["naïve", "3", ".", "5", "%"]),
        (" ' ", ["'"]),
        ("", []),
    ],
)
def test_words_and_signs(text: str, tokens: list[str]) -> None:
    assert tokenized(text, "words") == tokens


def test_a_file_and_back(tmp_path: Path) -> None:
    vocabulary = Vocabulary.of(["å b 字"], "characters")
    (tmp_path / "v.json").write_text(json.dumps(vocabulary.to_json()))
    assert Vocabulary.read(tmp_path / "v.json").numbers == vocabulary.numbers


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "is missing, so that texts cannot be read"),
        (b"{", "is not JSON"),
        (b"\xff", "is not JSON"),
        (b"[]", "is not a vocabulary"),
        (b'{"kind": "words"}', "is not a vocabulary"),
        (b'{"kind": "words", "tokens": [1]}', "a token is not a text"),
        (b'{"kind": "letters", "tokens": []}', "vocabulary of 'letters': give characters or words"),
        (b'{"kind": "words", "tokens": ["a", "a"]}', "a token is twice"),
    ],
)
def test_a_file_that_is_none(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    path = tmp_path / "v.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        Vocabulary.read(path)
    assert sentence in str(caught.value)
