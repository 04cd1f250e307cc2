"""The order of merges behind a vocabulary's numbers."""

import pytest

from minimodels.errors import InputError
from minimodels.text.bpe.merges import check_merges, merges_of


def test_the_published_list_is_recovered(gpt2, published) -> None:
    lines = (published / "vocab.bpe").read_text(encoding="utf-8").splitlines()[1:]
    merges = merges_of(gpt2.ranks)
    assert len(merges) == len(lines) == 50_000
    check_merges(gpt2.ranks, merges)


def test_a_token_that_nothing_makes_is_named() -> None:
    with pytest.raises(InputError, match=r"the token b'abc' \(3\) cannot be made of two"):
        merges_of({b"a": 0, b"b": 1, b"c": 2, b"abc": 3})


@pytest.mark.parametrize(
    ("ranks", "merges"),
    [
        ({b"bc": 3, b"ab": 4, b"abc": 5}, [(b"b", b"c"), (b"a", b"b"), (b"ab", b"c")]),  # never reached by the list
        ({b"bc": 4, b"ab": 3}, [(b"b", b"c"), (b"a", b"b")]),  # the list and the numbers disagree
    ],
)
def test_a_list_that_merges_otherwise_than_the_numbers_is_found(ranks, merges) -> None:
    with pytest.raises(InputError, match=r"merge [13] makes"):
        check_merges({b"a": 0, b"b": 1, b"c": 2} | ranks, merges)
