"""Bytes as visible characters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimodels.errors import InputError
from minimodels.text.bpe.letters import BYTES, to_bytes, to_letters


@given(st.binary())
def test_bytes_come_back(token: bytes) -> None:
    letters = to_letters(token)
    assert to_bytes(letters) == token
    assert len(letters) == len(token)


def test_every_byte_has_a_visible_letter_of_its_own() -> None:
    letters = [to_letters(bytes([byte])) for byte in BYTES]
    assert sorted(BYTES) == list(range(256))
    assert letters == sorted(set(letters))
    assert all(letter.isprintable() and not letter.isspace() for letter in letters)


@pytest.mark.parametrize("letters", ["a b", "\u00a0", "\u00ad", "中", "Ġ\u0144"])
def test_what_stands_for_no_byte_is_named(letters: str) -> None:
    with pytest.raises(InputError, match="is not a token of bytes"):
        to_bytes(letters)
