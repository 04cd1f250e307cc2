"""The order of merges that a vocabulary's numbers stand for: recovered from them, and checked against a list."""

from collections.abc import Iterable
from itertools import pairwise

from minimodels.errors import InputError

Merge = tuple[bytes, bytes]


def merges_of(ranks: dict[bytes, int]) -> list[Merge]:
    """The two tokens that each token is made of, in the order in which they are merged.

    A token is made when no other is left to be made inside it. So its bytes are encoded with all tokens of lower
    number: two are left, and these are the ones that it unites.

    Args:
        ranks: number of each token by its bytes.

    Raises:
        InputError: a token that no two of lower number make, so that encoding would never reach it.

    Cost: about a quarter of a second for the 50,000 of GPT-2.

    See: tests/text/bpe/test_merges.py

    Example:
        >>> merges_of({b"a": 0, b"b": 1, b"c": 2, b"bc": 3, b"abc": 4})
        [(b'b', b'c'), (b'a', b'bc')]
    """
    merges = []
    for token, rank in sorted(ranks.items(), key=lambda item: item[1]):
        if len(token) > 1:
            parts = _encoded(token, ranks, below=rank)
            if len(parts) != 2:
                raise InputError(f"the token {token!r} ({rank}) cannot be made of two tokens with lower numbers.")
            merges.append((parts[0], parts[1]))
    return merges


def check_merges(ranks: dict[bytes, int], merges: Iterable[Merge]) -> None:
    """Whether merging by this list is the same as always making the token of the lowest number.

    That is so for every list that was trained: its numbers rise from merge to merge, and each token is made in one way.

    Args:
        ranks: number of each token by its bytes.
        merges: the list.

    Raises:
        InputError: it is not; the message names the first merge that differs.
    """
    for place, (listed, found) in enumerate(zip(merges, merges_of(ranks), strict=True), start=1):
        if listed != found:
            raise InputError(
                f"merge {place} makes {b''.join(listed)!r} of {listed[0]!r} and {listed[1]!r}, but by the numbers of "
                f"the vocabulary it is the turn of {b''.join(found)!r}, of {found[0]!r} and {found[1]!r}."
            )


def _encoded(token: bytes, ranks: dict[bytes, int], below: int) -> list[bytes]:
    """A token cut into those of lower number, until two are left at the least."""
    parts = [token[i : i + 1] for i in range(len(token))]
    while len(parts) > 2:
        unions = [ranks.get(left + right, below) for left, right in pairwise(parts)]
        lowest = min(unions)
        if lowest >= below:
            break
        place = unions.index(lowest)
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    return parts
