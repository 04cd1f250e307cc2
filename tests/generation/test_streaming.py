"""Text piece by piece: whole characters, and all of them."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels.generation import text_pieces
from minimodels.text import GPT2Tokenizer, StreamingDecoder

BYTES = GPT2Tokenizer({bytes([byte]): byte for byte in range(256)})


def pieces(tokens):
    return list(text_pieces((torch.tensor([token]) for token in tokens), StreamingDecoder(BYTES)))


@given(st.lists(st.one_of(st.text(max_size=3).map(lambda text: text.encode(errors="ignore")), st.binary(max_size=3))))
def test_the_pieces_are_the_text(groups):
    tokens = list(b"".join(groups))
    assert "".join(pieces(tokens)) == BYTES.decode(tokens)


def test_no_half_character_is_shown():
    assert pieces("a好!".encode()) == ["a", "好", "!"]
    assert pieces("好".encode()[:2]) == ["�"]
