"""Who may look where: the band below a diagonal that is causality, and how masks combine."""

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Band(NamedTuple):
    """Query i sees the key j where i + offset − window < j ≤ i + offset: its own position and what came before.

    Args:
        offset: how many keys came before the first query's own.
        window: how many keys a query sees at most, its own among them; None for all that came before.

    Example:
        >>> Band(offset=1, window=2).mask(2, 4).int()
        tensor([[1, 1, 0, 0],
                [0, 1, 1, 0]], dtype=torch.int32)
    """

    offset: int = 0
    window: int | None = None

    def mask(self, queries: int, keys: int, device: torch.device | str | None = None) -> Tensor:
        """Write the band out as booleans.

        Args:
            queries: L.
            keys: S.
            device: where the mask is made.

        Shape:
            Output [L, S], True where a query may look.
        """
        seen = torch.ones(queries, keys, dtype=torch.bool, device=device).tril(self.offset)
        return seen if self.window is None else seen.triu(self.offset - self.window + 1)

    def columns(self, rows: slice, keys: int) -> slice:
        """Name the keys that any of some queries sees.

        Args:
            rows: the queries.
            keys: S.
        """
        start = 0 if self.window is None else max(0, rows.start + self.offset - self.window + 1)
        return slice(start, min(rows.stop + self.offset, keys))

    def turned(self, queries: int, keys: int) -> "Band":
        """Give the band of the keys: key j is seen by the queries i where j − offset ≤ i < j − offset + window.

        Args:
            queries: L.
            keys: S.

        Example:
            >>> bool((Band(1, 2).turned(2, 4).mask(4, 2) == Band(1, 2).mask(2, 4).t()).all())
            True
        """
        window = self.window or max(1, queries + keys + self.offset)  # none at all: wider than there are keys
        return Band(window - self.offset - 1, window)

    def hides_nothing(self, queries: int, keys: int) -> bool:
        """Say whether every query sees every key.

        Args:
            queries: L.
            keys: S.
        """
        return self.offset >= keys - 1 and (self.window is None or self.window >= queries + self.offset)

    def reaches(self, queries: int, keys: int) -> bool:
        """Say whether every query sees a key.

        Args:
            queries: L.
            keys: S.
        """
        return self.offset >= 0 and (self.window is None or queries + self.offset < keys + self.window)


def causal_mask(queries: int, keys: int, window: int | None = None, device: torch.device | str | None = None) -> Tensor:
    """Let every query look at the keys up to its own position: m[i, j] = (0 ≤ p − j < window), p = keys − queries + i.

    The queries are the last ones of the sequence that the keys stand for, so the last query sees the last key. (The
    `is_causal` of `scaled_dot_product_attention` counts both from the beginning; the two agree where there are as many
    queries as keys.)

    Args:
        queries: L.
        keys: S.
        window: how many keys a query sees at most, its own position among them; None for all that came before.
        device: where the mask is made.

    Shape:
        Output [L, S] of booleans, True where a query may look.

    Cost: a byte for each of the L·S pairs, twice that while it is made.

    References: Vaswani et al. 2017, arXiv:1706.03762, section 3.2.3; Child et al. 2019, arXiv:1904.10509, section 4.2,
        and Beltagy et al. 2020, arXiv:2004.05150, section 3.1 (windows).

    See: `causal_attention`, which needs no mask in memory; tests/functional/attention/test_masks.py.

    Example:
        >>> causal_mask(2, 4, window=2).int()
        tensor([[0, 1, 1, 0],
                [0, 0, 1, 1]], dtype=torch.int32)
    """
    return Band(keys - queries, window).mask(queries, keys, device)


def combine_masks(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    """Let a query look only where both masks let it, by as much as both add.

    Args:
        first: booleans (True: may look) or numbers that are added to the scores; None lets everyone look.
        second: likewise.

    Shape:
        Two shapes that broadcast; Output: what they broadcast to.

    Returns:
        booleans if both are (or are missing), else numbers, −∞ where a boolean forbids.

    Cost: one pass.

    See: tests/functional/attention/test_masks.py.

    Example:
        >>> combine_masks(torch.tensor([0.5, 1.0]), torch.tensor([True, False]))
        tensor([0.5000,   -inf])
    """
    if first is None or second is None:
        return second if first is None else first
    if first.dtype == torch.bool and second.dtype == torch.bool:
        return first & second
    if first.dtype != torch.bool and second.dtype != torch.bool:
        return first + second
    seen, added = (first, second) if first.dtype == torch.bool else (second, first)
    return torch.where(seen, added, -math.inf)
