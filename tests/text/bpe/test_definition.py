"""The definition itself, against examples that were worked by hand."""

import pytest

from minimodels.text.bpe.definition import encode, learn, merge


def test_the_example_of_the_paper() -> None:
    """The dictionary of Sennrich et al., without their mark at the end of a word."""
    words = {b"low": 5, b"lower": 2, b"newest": 6, b"widest": 3}
    learned = [b"".join(pair) for pair in learn(words, 20)]
    seen_9, seen_7, seen_6 = [b"es", b"est"], [b"lo", b"low"], [b"ew", b"new", b"newest"]
    seen_3, seen_2 = [b"dest", b"idest", b"widest"], [b"er", b"lower"]
    assert learned == seen_9 + seen_7 + seen_6 + seen_3 + seen_2


@pytest.mark.parametrize(
    ("word", "merged"), [(b"aaaa", [b"aa", b"aa"]), (b"aaa", [b"aa", b"a"]), (b"baab", [b"b", b"aa", b"b"]), (b"", [])]
)
def test_overlaps_are_merged_from_the_left(word: bytes, merged: list[bytes]) -> None:
    tokens = [bytes([byte]) for byte in word]
    merge(tokens, (b"a", b"a"))
    assert tokens == merged == encode(word, [(b"a", b"a")])


def test_of_equals_the_lower_numbers_go_first() -> None:
    assert learn({b"ab": 1, b"cd": 1, b"ac": 1}, 3) == [(b"a", b"b"), (b"a", b"c"), (b"c", b"d")]
    assert learn({b" a": 1, b"ba": 1}, 1) == [(b"b", b"a")]  # a space comes after the visible characters


def test_rare_pairs_are_left() -> None:
    assert learn({b"ab": 2, b"cd": 1}, 5, min_frequency=2) == [(b"a", b"b")]
    assert learn({}, 5) == learn({b"a": 9}, 5) == []
