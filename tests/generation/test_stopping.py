"""The end of a text: tokens, and strings that lie across tokens."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels.errors import InputError
from minimodels.generation.stopping import Stopping

PIECES = ["a", "b", "c", "ab", "ca", "好".encode()[:1], "好".encode()[1:], "好", "好a", "\n", "\n\n"]
BYTES = [piece if isinstance(piece, bytes) else piece.encode() for piece in PIECES]


class Tokenizer:
    def decode(self, ids):
        return b"".join(BYTES[token] for token in ids).decode(errors="replace")


def ended(tokens, *strings):
    return Stopping([], strings, Tokenizer())(torch.tensor([tokens])).item()


@given(
    st.lists(st.integers(0, len(PIECES) - 1), min_size=1, max_size=12),
    st.lists(st.text("abc好\n", min_size=1, max_size=5), min_size=1, max_size=2),
)
def test_a_string_ends_a_text_with_the_token_that_completes_it(tokens, strings):
    text, before = (b"".join(BYTES[t] for t in part) for part in (tokens, tokens[:-1]))
    complete = any(text.rfind(s.encode()) + len(s.encode()) > len(before) for s in strings if s.encode() in text)
    assert ended(tokens, *strings) == complete


def test_examples():
    assert ended([0, 1], "ab")  # across tokens
    assert ended([3], "ab")  # within one
    assert ended([2, 3], "a")  # the token goes on behind it
    assert not ended([3, 2], "ab")  # it was complete before
    assert ended([5, 6], "好")  # across the bytes of a character
    assert not ended([5], "好")
    assert not ended([7, 5], "好")
    assert ended([9, 9], "\n\n")  # the prompt may have its first half


@given(st.lists(st.integers(0, 5), min_size=1, max_size=4), st.lists(st.integers(0, 5), max_size=3))
def test_tokens_end_a_text(last, eos):
    ids = torch.tensor([[0, token] for token in last])
    stopping = Stopping(eos, [], None)
    assert stopping(ids).tolist() == [token in eos for token in last]
    assert stopping.ever == bool(eos)


def test_strings_need_a_tokenizer():
    with pytest.raises(InputError, match="stop_strings: needs the tokenizer"):
        Stopping([], ["."], None)
