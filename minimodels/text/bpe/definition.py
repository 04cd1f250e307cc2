"""Byte pair encoding as the page has it: count all pairs, merge the commonest everywhere, begin anew.

It takes a minute where `training.py` takes a second, and is what that is tested against.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import pairwise

from minimodels.text.bpe.letters import BYTES
from minimodels.text.bpe.merges import Merge


def learn(pieces: Mapping[bytes, int], merges: int, min_frequency: int = 1) -> list[Merge]:
    """The merges of some pieces of text: algorithm 1 of Sennrich et al.

    Args:
        pieces: how often each piece is in the texts.
        merges: how many; fewer where no pair is left.
        min_frequency: a pair that is seen less often is not merged.

    Cost: each merge goes through all pieces.

    References: Sennrich, Haddow & Birch 2016, arXiv:1508.07909, algorithm 1.

    See: minimodels/text/bpe/training.py; tests/text/bpe/test_definition.py

    Example:
        >>> learn({b"low": 5, b"lower": 2, b"newest": 6, b"widest": 3}, merges=4)
        [(b'e', b's'), (b'es', b't'), (b'l', b'o'), (b'lo', b'w')]
    """
    number = {bytes([byte]): place for place, byte in enumerate(BYTES)}
    words = {piece: [bytes([byte]) for byte in piece] for piece in pieces}
    learned: list[Merge] = []
    for _ in range(merges):
        counts: Counter[Merge] = Counter()
        for piece, word in words.items():
            for pair in pairwise(word):
                counts[pair] += pieces[piece]
        if not counts or max(counts.values()) < min_frequency:
            break
        left, right = min(counts, key=lambda pair: (-counts[pair], number[pair[0]], number[pair[1]]))
        number[left + right] = len(number)
        learned.append((left, right))
        for word in words.values():
            merge(word, (left, right))
    return learned


def encode(piece: bytes, merges: Iterable[Merge]) -> list[bytes]:
    """The tokens of a piece of text: one merge after the other, in the order in which they were learned.

    Args:
        piece: its bytes.
        merges: what was learned.

    Example:
        >>> encode(b"lowest", [(b"e", b"s"), (b"es", b"t"), (b"l", b"o"), (b"lo", b"w")])
        [b'low', b'est']
    """
    word = [bytes([byte]) for byte in piece]
    for pair in merges:
        merge(word, pair)
    return word


def merge(word: list[bytes], pair: Merge) -> None:
    """Make one token of a pair wherever it stands, from left to right.

    Args:
        word: tokens, which it changes.
        pair: two of them.

    Example:
        >>> word = [b"a", b"a", b"a"]
        >>> merge(word, (b"a", b"a"))
        >>> word
        [b'aa', b'a']
    """
    place = 0
    while place < len(word) - 1:
        if (word[place], word[place + 1]) == pair:
            word[place : place + 2] = [word[place] + word[place + 1]]
        place += 1
