"""What a step of attention's backward pass multiplies: views, or copies that lie as the library underneath wants them.

Where products are formed in the type of sums, the library takes any rows that lie behind each other at a distance, and
a tile's operands are views of a step's. oneDNN, which forms products of bfloat16, takes pairs of matrices that leave no
gap: what leaves one it copies into new memory, each time, and turned numbers one by one. So a tile's operands are
copied into lent memory, which is also where the columns come beside them that take shifts away within the products:

    [c·q, −m − log l]·[k, 1]ᵀ = c·q·k − m − log l,   [g, −δ′, δ′ − δ]·[v, 1, 1]ᵀ = ∂p − δ

δ′ is what bfloat16 holds of δ. (The first only without a mask, which comes before what is taken away.)
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from minimodels.functional.attention.cutting import Cut
from minimodels.functional.attention.tile import Step, Tile


class Call(NamedTuple):
    """What the derivative is of."""

    query: Tensor  # Q [N, H, L, d]
    key: Tensor  # K [N, G, S, d]
    value: Tensor  # V [N, G, S, e]
    scale: float  # c
    output: Tensor  # o [N, H, L, e]
    largest: Tensor  # m [N, G, share, L, 1]
    total: Tensor  # l, likewise
    gradient: Tensor  # g [N, H, L, e]


class OfKeys(NamedTuple):
    """What belongs to some keys, for each head of queries: [P·share, keys, …]."""

    k: Tensor  # in the type of sums
    v: Tensor  # in the type of products
    key: Tensor  # turned, as it is multiplied last


class OfQueries(NamedTuple):
    """What belongs to some queries, [P·share, queries, …]."""

    q: Tensor  # in the type of sums
    g: Tensor  # in the type of products
    query: Tensor  # turned, as the next: both are multiplied last
    gradient: Tensor
    shifts: list[Tensor]  # what to take away from the scores one after the other, [P·share, 1, queries]
    delta: Tensor | None  # likewise, from ∂p


class Whole:
    """Views of a step's operands.

    Args:
        cut: the tiles.
        step: which heads.
        call: of what.
    """

    def __init__(self, cut: Cut, step: Step, call: Call) -> None:
        self.scale = call.scale
        delta, q, g, k, v = _of_step(cut, step, call)
        q, g, k, v = (t.flatten(0, 2) for t in (q, g.to(cut.dtype), k, v.to(cut.dtype)))
        self._g, self._v = g, v
        self._q, self._k = cut.cast("q", q, cut.dtype), cut.cast("k", k, cut.dtype)
        m, log = call.largest[step], call.total[step].log()
        shifts = ([m + log] if cut.mask is None else [m, log]) + [delta]
        self._shifts = [shift.flatten(0, 2).transpose(1, 2) for shift in shifts]

    def of_keys(self, rows: slice) -> OfKeys:
        """Give what belongs to some keys.

        Args:
            rows: which.
        """
        k = self._k[:, rows]
        return OfKeys(k, self._v[:, rows], k.transpose(1, 2))

    def of_queries(self, tiles: Iterable[Tile]) -> Iterable[OfQueries]:
        """Give what belongs to the queries of some tiles, all made at once: see tiles_derivative.py.

        Args:
            tiles: which.
        """
        found = []
        for at in (tile.columns for tile in tiles):
            q, g = self._q[:, at], self._g[:, at]
            *shifts, delta = (shift[..., at] for shift in self._shifts)
            found.append(OfQueries(q, g, q.transpose(1, 2), g.transpose(1, 2), shifts, delta))
        return found


class Rounded:
    """Copies of a tile's operands, with columns for what the products take away.

    Args:
        cut: the tiles.
        step: which heads.
        call: of what.
    """

    def __init__(self, cut: Cut, step: Step, call: Call) -> None:
        self.scale = 1.0  # it is in q
        self._cut, self._factor = cut, call.scale
        delta, self._q, self._g, self._k, self._v = _of_step(cut, step, call)
        near = delta.to(cut.low)
        self._deltas = -near, (near - delta).to(cut.low)
        m, log = call.largest[step], call.total[step].log()
        self._shifts = [-(m + log)] if cut.mask is None else [m, log]
        self._at: slice | None = None

    def of_keys(self, rows: slice) -> OfKeys:
        """Give what belongs to some keys, until the next ones are asked for.

        Args:
            rows: which.
        """
        cut, k = self._cut, self._k[..., rows, :]
        ones = [1.0] if cut.mask is None else []
        wide = _beside(cut, "k", cut.dtype, k, *ones), _beside(cut, "v", cut.low, self._v[..., rows, :], 1.0, 1.0)
        return OfKeys(*wide, _dense(cut, "key", k))

    def of_queries(self, tiles: Iterable[Tile]) -> Iterator[OfQueries]:
        """Give what belongs to the queries of some tiles, each until the next one is asked for.

        Args:
            tiles: which.
        """
        for tile in tiles:
            if tile.columns != self._at:
                self._at, self._found = tile.columns, self._copied(tile.columns)
            yield self._found

    def _copied(self, at: slice) -> OfQueries:
        cut, q, g = self._cut, self._q[..., at, :], self._g[..., at, :]
        shifts = [shift[..., at, :] for shift in self._shifts]
        beside, apart = (shifts, []) if cut.mask is None else ([], shifts)
        wide = _beside(cut, "q", cut.dtype, q, *beside)
        wide[..., : q.shape[-1]].mul_(self._factor)
        g_ = _beside(cut, "g", cut.low, g, *(delta[..., at, :] for delta in self._deltas))
        apart = [shift.flatten(0, 2).transpose(1, 2) for shift in apart]
        return OfQueries(wide, g_, _dense(cut, "query", q), _dense(cut, "gradient", g), apart, None)


def _of_step(cut: Cut, step: Step, call: Call) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Give δ, Q, g, K and V of a step, [samples, heads, share, L or S, …]: heads that share keys get them each."""
    q, y, g = (cut.by_heads(t)[step] for t in (call.query, call.output, call.gradient))
    k, v = (t[step].unsqueeze(2).expand(-1, -1, cut.share, -1, -1) for t in (call.key, call.value))
    y = cut.cast("scores", y, cut.dtype)  # where no scores are yet: a product of two types would take new memory
    return cut.room("dq", *g.shape).copy_(g).mul_(y).sum(-1, keepdim=True), q, g, k, v


def _beside(cut: Cut, name: str, dtype: torch.dtype, factor: Tensor, *columns: Tensor | float) -> Tensor:
    """Put columns behind those of a factor."""
    width = factor.shape[-1]
    found = cut.room(name, *factor.shape[:-1], width + len(columns), dtype=dtype)
    found[..., :width] = factor
    for i, column in enumerate(columns):
        found[..., width + i : width + i + 1] = column
    return found.flatten(0, 2)


def _dense(cut: Cut, name: str, t: Tensor) -> Tensor:
    """Give a factor without gaps between its rows and its heads, turned."""
    found = t if t.is_contiguous() else cut.room(name, *t.shape, dtype=t.dtype).copy_(t)
    return found.flatten(0, 2).transpose(1, 2)
