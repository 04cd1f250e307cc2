"""How the scores of attention are cut into tiles, and what is hidden in which tile."""

import itertools
import math
from typing import NamedTuple

import torch
from torch import Tensor

from minimodels.functional.attention.masks import Band
from minimodels.functional.precision import accumulator

ROWS = 128
"""Queries of a head in a tile; twice as many where no band hides anything.

More of them waste the half of a tile that lies beyond a diagonal, fewer are too small a product. Time of
torch.nn.functional's over ours, forward and with backward, on one thread of an Intel Xeon, 12 heads of 64:

    rows                      64            128            256
    causal, 512           0.83 1.02      0.84 1.06      0.75 0.88
    causal, 1024          0.81 0.92      0.81 0.90      0.74 0.82
    everything, 512       0.64 0.69      0.71 0.74      0.74 0.79
    everything, 1024      0.64 0.72      0.72 0.77      0.76 0.80
"""

TILE = 1 << 18
"""Scores in a tile for each thread: 1 MiB of float32, half of a core's cache."""

DEVICE_ROWS, DEVICE_TILE = 1024, 1 << 26
"""The same on an accelerator, which wants large launches."""

LOWEST = -64.0
"""Scores this far below their row's largest count as if they were this: e⁻⁶⁴ = 2·10⁻²⁸ of it, which no sum notices.

Exponentials below e⁻⁸⁷ are no normal numbers of float32, over which processors take 60 to 180 times as long: an Intel
Xeon over 262,144 of them 47 µs, and 8,800 at e⁻⁹⁰; over a product with such numbers 18 and 1,100. What nobody may see
is set to zero exactly.
"""


class Step(NamedTuple):
    """Heads that go together: some heads of keys of one sample, or all heads of some samples."""

    samples: slice
    heads: slice

    @property
    def sizes(self) -> tuple[int, int]:
        """How many samples, and how many heads of keys of each."""
        return self.samples.stop - self.samples.start, self.heads.stop - self.heads.start


class Tile(NamedTuple):
    """Some queries of the heads of a step, the keys that any of them sees, and memory for the scores between them."""

    rows: slice
    columns: slice
    scores: Tensor  # [P, share·rows, columns], P heads of keys
    by_head: Tensor  # the same memory, [P, share, rows, columns]
    spare: Tensor  # memory of the scores' shape, if there is any to spare
    edges: list["Edge"]


class Edge(NamedTuple):
    """An end of a band within a tile, where some of the queries see a key and others do not."""

    place: Tensor  # part of the tile's scores, [P, share, rows, …]
    hidden: Tensor  # to be added: 0 or −∞
    seen: Tensor  # to be multiplied with: 1 or 0


class Cut:
    """The tiles of a call.

    Args:
        query: [N, H, L, d].
        key: [N, G, S, d].
        mask: four dimensions that broadcast to [N, H, L, S], or None.
        band: what a query may see by its place; None for everything.
    """

    def __init__(self, query: Tensor, key: Tensor, mask: Tensor | None, band: Band | None) -> None:
        self.samples, heads, self.queries, _ = query.shape
        self.heads, self.keys = key.shape[1:3]
        self.share = heads // self.heads  # heads of queries to one of keys
        self.mask, self.band = None if mask is None else self.by_heads(mask), band
        self.dtype = accumulator(query.dtype)
        rows, tile = (ROWS, TILE * torch.get_num_threads()) if query.is_cpu else (DEVICE_ROWS, DEVICE_TILE)
        self.rows = min(self.queries, rows if band else 2 * rows)
        self.together = min(max(1, tile // (self.share * self.rows * self.keys)), self.samples * self.heads)
        self.blind = mask is not None or (band is not None and not band.reaches(self.queries, self.keys))
        self.triangle = query.new_ones(self.rows, self.rows, dtype=self.dtype).tril() if band else None

    def by_heads(self, t: Tensor) -> Tensor:
        """View a tensor [N, H, …] as [N, G, share, …]; one that stretches over heads goes on doing so.

        Args:
            t: the tensor.
        """
        return t.unflatten(1, (self.heads, self.share)) if t.shape[1] > 1 else t.unsqueeze(2)

    def steps(self, like: Tensor, spare: bool = False) -> list[tuple[Step, list[Tile]]]:
        """List the steps and the tiles of each. All tiles lie in the same memory; those of equal steps are the same.

        Args:
            like: on which device.
            spare: a tile has room for its scores twice.
        """
        buffers = like.new_empty(1 + spare, self.together * self.share * self.rows * self.keys, dtype=self.dtype)
        samples, heads = max(1, self.together // self.heads), min(self.heads, self.together)
        steps = list(itertools.starmap(Step, itertools.product(parts(self.samples, samples), parts(self.heads, heads))))
        tiles = {sizes: self._tiles(buffers, math.prod(sizes)) for sizes in {step.sizes for step in steps}}
        return [(step, tiles[step.sizes]) for step in steps]

    def _tiles(self, buffers: Tensor, together: int) -> list[Tile]:
        """Cut the queries; leave out those that see nothing."""
        found = []
        for rows in parts(self.queries, self.rows):
            columns = slice(0, self.keys) if self.band is None else self.band.columns(rows, self.keys)
            if columns.start < columns.stop:
                sizes = together, self.share, rows.stop - rows.start, columns.stop - columns.start
                scores, spare = buffers[0, : math.prod(sizes)].view(sizes), buffers[-1, : math.prod(sizes)].view(sizes)
                edges = self._edges(scores, rows, columns)
                found.append(Tile(rows, columns, scores.flatten(1, 2), scores, spare.flatten(1, 2), edges))
        return found

    def _edges(self, scores: Tensor, rows: slice, columns: slice) -> list[Edge]:
        """Find the triangles at both ends of a band."""
        if self.band is None or self.triangle is None:
            return []
        offset, window = self.band
        ends = [(rows.start + offset, self.triangle)]
        if window is not None:
            ends.append((rows.start + offset - window + 1, self.triangle.t()))
        found = []
        for start, triangle in ends:
            low, high = max(start, columns.start), min(start + self.rows, columns.stop)
            if low < high:
                seen = triangle[: rows.stop - rows.start, low - start : high - start]
                place = scores[..., low - columns.start : high - columns.start]
                found.append(Edge(place, seen.log(), seen))
        return found

    def hide_(self, tile: Tile, step: Step) -> None:
        """Add to a tile's scores what the mask adds, and −∞ where nobody may look.

        Args:
            tile: whose scores are there.
            step: of which heads.
        """
        for edge in tile.edges:
            edge.place.add_(edge.hidden)
        if self.mask is not None:
            part = self._of_mask(self.mask, tile, step)
            added = torch.where(part, 0.0, -math.inf) if part.dtype == torch.bool else part
            self._as_mask(tile, step).add_(added)

    def exponentiate_(self, tile: Tile, step: Step) -> Tensor:
        """Turn differences to the largest scores into exponentials, zero where nobody may look.

        Args:
            tile: whose differences are there.
            step: of which heads.
        """
        tile.scores.clamp_(min=LOWEST).exp_()
        for edge in tile.edges:
            edge.place.mul_(edge.seen)
        if self.mask is not None:
            part = self._of_mask(self.mask, tile, step)
            self._as_mask(tile, step).mul_(part if part.dtype == torch.bool else part > -math.inf)
        return tile.scores

    def _of_mask(self, mask: Tensor, tile: Tile, step: Step) -> Tensor:
        """Take a tile's part of the mask, whole where that stretches."""
        cuts = *step, slice(None), tile.rows, tile.columns
        return mask[tuple(part if size > 1 else slice(None) for part, size in zip(cuts, mask.shape, strict=True))]

    def _as_mask(self, tile: Tile, step: Step) -> Tensor:
        """View a tile's scores as the mask is: [samples, heads, share, rows, columns]."""
        return tile.scores.view(*step.sizes, self.share, -1, tile.scores.shape[-1])


def parts(size: int, step: int) -> list[slice]:
    """Cut 0 … size into parts of at most `step`, alike but for the last.

    Args:
        size: the whole.
        step: the most of a part.

    Example:
        >>> parts(10, 4)
        [slice(0, 4, None), slice(4, 8, None), slice(8, 10, None)]
    """
    step = -(-size // -(-size // step))
    return [slice(start, min(start + step, size)) for start in range(0, size, step)]
