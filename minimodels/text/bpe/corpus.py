"""All different pieces of some texts as one row of tokens, and where in it each pair of neighbours stands."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minimodels.text.bpe.letters import BYTES

CUT, INSIDE = -1, -2
"""What the row has instead of a token: between two pieces, and at all bytes of a token but its first."""

SHIFT = 32
"""A pair is one number, quick to look up: the left token's, shifted by so many bits, and the right one's."""


class Corpus:
    """The different pieces of some texts, one behind the other, in which pairs of neighbours become tokens.

    The row has an entry for each byte: the number of the token that begins there. A token's length in bytes leads to
    the one behind it, `before` to the one before it.

    A merge makes a new token, and with it all pairs that contain it. From then on a pair's count only falls, when other
    merges take some of its places. These stay in its list, and are passed over when its turn comes.

    Args:
        pieces: how often each piece is in the texts.
        min_frequency: pairs that are rarer are of no interest.

    Attributes:
        tokens: the bytes of each token by its number.
        counts: how often each pair is in the texts.

    Cost: a merge visits the places that its pair has or had; all merges together at most three for each byte.

    See: `train_bpe`; tests/text/bpe/test_training.py

    Example:
        >>> corpus = Corpus({b"banana": 5})
        >>> commonest = max(corpus.counts, key=corpus.counts.get)
        >>> new = corpus.merge(commonest)
        >>> corpus.tokens[256], [corpus.counts[pair] for pair in new]
        (b'an', [5, 5, 5])
    """

    def __init__(self, pieces: Mapping[bytes, int], min_frequency: int = 1) -> None:
        self.tokens = [bytes([byte]) for byte in BYTES]
        self.min_frequency = min_frequency
        lengths = np.array([0, *map(len, pieces)])
        row = np.argsort(BYTES)[np.frombuffer(b" ".join([b"", *pieces, b""]), np.uint8)]
        row[np.cumsum(lengths + 1) - 1] = CUT
        weights = np.repeat([0, *pieces.values()], lengths + 1)
        self._row: list[int] = row.tolist()
        self._before = list(range(-1, len(row) - 1))  # where the token before the one that begins here begins
        self._weights: list[int] = weights.tolist()  # how often the piece around this byte is in the texts
        self._places: dict[int, list[int]] = {}  # where the left token of a pair begins, in rising order
        self.counts: defaultdict[int, int] = defaultdict(int)
        self._list_pairs_of_bytes(row, weights)

    def merge(self, pair: int) -> list[int]:
        """Make one token of a pair, wherever it stands; of places that overlap, the left ones.

        Args:
            pair: its number, one of `counts`.

        Returns:
            The pairs that are new.
        """
        left, right, new = pair >> SHIFT, pair & (1 << SHIFT) - 1, len(self.tokens)
        row, before, weights, counts = self._row, self._before, self._weights, self.counts
        to_right = len(self.tokens[left])
        to_end = to_right + len(self.tokens[right])
        self.tokens.append(self.tokens[left] + self.tokens[right])
        places: defaultdict[int, list[int]] = defaultdict(list)
        for place in self._places.pop(pair):
            if row[place] != left or row[place + to_right] != right:
                continue
            row[place], row[place + to_right] = new, INSIDE
            if (token := row[before[place]]) != CUT:
                counts[token << SHIFT | left] -= weights[place]
                places[token << SHIFT | new].append(before[place])
            if (token := row[place + to_end]) != CUT:
                before[place + to_end] = place
                counts[right << SHIFT | token] -= weights[place]
                places[new << SHIFT | token].append(place)
        counts[pair] = 0
        return [found for found in places if self._add(found, places[found])]

    def _add(self, pair: int, places: list[int]) -> bool:
        """Count a new pair, and keep its places if it is frequent; some have gone in the very merge that made them."""
        left, right = pair >> SHIFT, pair & (1 << SHIFT) - 1
        to_right = len(self.tokens[left])
        row, weights = self._row, self._weights
        count = sum([weights[p] for p in places if row[p] == left and row[p + to_right] == right])
        self.counts[pair] = count
        if frequent := count >= self.min_frequency:
            self._places[pair] = places
        return frequent

    def _list_pairs_of_bytes(self, row: NDArray[Any], weights: NDArray[Any]) -> None:
        places = np.flatnonzero((row[:-1] != CUT) & (row[1:] != CUT))
        pairs = row[places] << SHIFT | row[places + 1]
        order = np.argsort(pairs, kind="stable")
        places, pairs = places[order], pairs[order]
        different, starts = np.unique(pairs, return_index=True)
        for pair, found in zip(different.tolist(), np.split(places, starts[1:]), strict=False):
            self.counts[pair] = int(weights[found].sum())
            self._places[pair] = found.tolist()
