"""How the scores of attention are cut into tiles, and what is hidden in which tile."""

import math

import torch
from torch import Tensor

from minimodels.functional import placement
from minimodels.functional.attention.masks import Band
from minimodels.functional.attention.tile import Block, Edge, Step, Tile, on_grid, parts, steps
from minimodels.functional.matmul import product_dtype
from minimodels.functional.precision import accumulator

ROWS = 128
"""Queries of a head in a tile of the forward pass; twice as many where no band hides anything.

More of them waste the half of a tile that lies beyond a diagonal, fewer are too small a product. Time of
torch.nn.functional's over ours, forward and with backward, on one thread of an Intel Xeon, 12 heads of 64:

    rows                      64            128            256
    causal, 512           0.83 1.02      0.84 1.06      0.75 0.88
    causal, 1024          0.81 0.92      0.81 0.90      0.74 0.82
    everything, 512       0.64 0.69      0.71 0.74      0.74 0.79
    everything, 1024      0.64 0.72      0.72 0.77      0.76 0.80
"""

TILE, LOW_TILE = 1 << 19, 1 << 20
"""Scores in a tile of the forward pass for each thread: 2 MiB of float32, a core's cache; with bfloat16 twice as many.

There is another pass over the tile in bfloat16, and memory for more beside an output of half the bytes. Milliseconds of
the causal forward pass in bfloat16, two threads of an Intel Xeon, heads of 64, by scores for each thread and by widths:

                        2¹⁹, 8    2¹⁹, 16    2²⁰, 8    2²⁰, 16
    4 heads, 8192          237        239       206        207
    12 heads, 4096         177        177       165        165
"""

LEAST = 32
"""Queries of a head below which a tile becomes larger instead: the products are then too small."""

KEYS, QUERIES, BLOCK = 256, 4096, 1 << 20
"""Keys and queries of a head in a tile of the backward pass, and scores in it for each thread.

A tile of that size leaves a core's cache, but what a pass costs is the smaller part: every call between two passes
finds its code and data gone from the caches, and takes several times as long, while the other threads wait. Time of
torch.nn.functional's over ours with backward, two threads of an Intel Xeon, 12 heads of 64:

    scores for each thread                      2¹⁸     2¹⁹     2²⁰
    everything, 1024, float32                  0.67    0.68    0.69
    causal, 1024, float32                      0.65    0.76    0.77
    everything, 1024, bfloat16                 0.56    0.54    0.63
    causal, 2048, bfloat16                     0.48    0.51    0.54
"""

LONG = 4096
"""Queries beyond which a tile of the backward pass in bfloat16 has twice as many keys, and half as many queries; four
times as many and a quarter where no band hides anything.

Its sums of ∂Q are float32, the products to be added to them bfloat16, and fewer of them are added where a tile has more
keys; but a band wastes half of a tile's keys times as many queries. Time of torch.nn.functional's over ours, backward
alone, two threads of an Intel Xeon, 12 heads of 64:

    keys                      256     512    1024
    everything, 1024         0.86    0.90    0.97
    everything, 2048         0.91    1.01    1.04
    causal, 1024             0.83    0.78    0.68
    causal, 2048             0.83    0.86    0.84
    causal, 8192             0.89    0.97
"""

WIDTHS = 8
"""How many widths tiles have in products of bfloat16: zeros make them wider in the forward pass, hidden ones backward.

oneDNN makes a program for every shape and keeps it, about a megabyte. Causal tiles of 64 queries among 8,192 have 128
widths, whose programs take 100 MB: more than attention itself, which takes 31.
"""

DEVICE_ROWS, DEVICE_TILE = 1024, 1 << 26
"""Rows and scores on an accelerator, which wants large launches; its tiles are of whole rows in both passes.

They serve what `launched` does not: masks, float64, and weights that are handed out.
"""

LOWEST = -64.0
"""Scores this far below their row's largest count as if they were this: e⁻⁶⁴ = 2·10⁻²⁸ of it, which no sum notices.

Exponentials below e⁻⁸⁷ are no normal numbers of float32, over which processors take 60 to 180 times as long: an Intel
Xeon over 262,144 of them 47 µs, and 8,800 at e⁻⁹⁰; over a product with such numbers 18 and 1,100. What nobody may see
is set to zero exactly.
"""


class Cut:
    """The tiles of a call: a row is a query, and whole; turned, for the backward pass, it is a key.

    Args:
        query: [N, H, L, d].
        key: [N, G, S, d].
        mask: four dimensions that broadcast to [N, H, L, S], or None.
        band: what a query may see by its place; None for everything.
        turned: a row is a key, a column a query.
    """

    def __init__(
        self, query: Tensor, key: Tensor, mask: Tensor | None, band: Band | None, turned: bool = False
    ) -> None:
        self.samples, heads, queries, _ = query.shape
        self.heads, keys = key.shape[1:3]
        self.share = heads // self.heads  # heads of queries to one of keys
        self.blind = mask is not None or (band is not None and not band.reaches(queries, keys))
        self.dtype, self.low = accumulator(query.dtype), product_dtype(query)
        self.rounds = self.low != self.dtype
        self.turned, self.mask, self.band = turned, None if mask is None else self.by_heads(mask), band
        self.sizes = queries, keys
        if turned:
            self.sizes = keys, queries
            self.mask = None if self.mask is None else self.mask.transpose(-2, -1)
            self.band = None if band is None else band.turned(queries, keys)
        self._limit(query)
        self._memory: dict[str, Tensor] = {}
        self._ends: dict[str, tuple[Tensor, Tensor]] = {}
        self._like = query

    def _limit(self, query: Tensor) -> None:
        """Say how many rows and columns a tile has at most, and how many heads of keys go together.

        These are a multiple of the threads where it can be, so that each thread has some for its own: what it has
        written is then in its own cache when it reads it.
        """
        rows, columns = self.sizes
        threads = torch.get_num_threads() if query.is_cpu else 1
        most = LOW_TILE if self.rounds else TILE
        tile = placement.at_once(query, most * threads, DEVICE_TILE)
        if placement.launches(query):
            self.rows, self.columns = min(rows, DEVICE_ROWS), columns
        elif self.turned:
            times = self._times()
            self.rows, self.columns, tile = min(rows, times * KEYS), min(columns, QUERIES // times), BLOCK * threads
        else:
            fit = max(LEAST, most // columns)
            self.rows, self.columns = min(rows, ROWS if self.band else 2 * ROWS, fit), columns
        together = min(max(1, tile // (self.share * self.rows * self.columns)), self.samples * self.heads)
        self.together = max(together - together % threads, min(threads, self.samples * self.heads))
        self.step = self._step() if query.is_cpu and self.turned and self.rounds else 1

    def _times(self) -> int:
        """Say how many times as many keys a tile of the backward pass has, where a band does not hide most of them."""
        if not self.rounds:
            return 1
        if self.band is None:
            return 4
        return 2 if self.sizes[1] > LONG else 1

    def _step(self) -> int:
        """Say how far apart the places are at which tiles of the backward pass may begin and end.

        As far as the ends of a band move from tile to tile, or some times that: what a tile sees begins there anyway.
        """
        rows: int = parts(self.sizes[0], self.rows)[0].stop
        return min(self.columns, rows * -(-self.columns // (WIDTHS * rows)))

    def by_heads(self, t: Tensor) -> Tensor:
        """View a tensor [N, H, …] as [N, G, share, …]; one that stretches over heads goes on doing so.

        Args:
            t: the tensor.
        """
        return t.unflatten(1, (self.heads, self.share)) if t.shape[1] > 1 else t.unsqueeze(2)

    def room(self, name: str, *sizes: int, dtype: torch.dtype | None = None) -> Tensor:
        """Give memory that is asked for in every tile or step, and is the same each time: new memory costs page faults.

        Args:
            name: whose.
            sizes: how large.
            dtype: of which type; that of sums, if none is named.
        """
        numbers, dtype = math.prod(sizes), dtype or self.dtype
        found = self._memory.get(name)
        if found is None or len(found) < numbers:
            found = self._memory[name] = self._like.new_empty(numbers, dtype=dtype)
        return found[:numbers].view(sizes)

    def cast(self, name: str, t: Tensor, dtype: torch.dtype) -> Tensor:
        """Give numbers in a type: as they are, if it is theirs.

        Args:
            name: of the memory.
            t: the numbers.
            dtype: the type.
        """
        return t if t.dtype == dtype else self.room(name, *t.shape, dtype=dtype).copy_(t)

    def steps(self) -> list[tuple[Step, list[Block]]]:
        """List the steps and the blocks of each. All tiles lie in one memory; those of equal steps are the same."""
        found = steps(self.samples, self.heads, self.together)
        largest = math.prod(found[0].sizes) * self.share * self.rows * self.columns
        memory = [self.room("scores", largest)]
        if self.turned or self.rounds:
            memory.append(self.room("weights", largest, dtype=self.low))
        blocks = {sizes: self._blocks(memory, math.prod(sizes)) for sizes in {step.sizes for step in found}}
        return [(step, blocks[step.sizes]) for step in found]

    def _blocks(self, memory: list[Tensor], together: int) -> list[Block]:
        """Cut the rows, and the columns that each part of them sees; leave out rows that see nothing."""
        found, size = [], self.sizes[1]
        window = None if self.band is None else self.band.window
        origin = 0 if self.band is None or window is None else (self.band.offset - window + 1) % self.step
        for rows in parts(self.sizes[0], self.rows):
            seen = slice(0, size) if self.band is None else self.band.columns(rows, size)
            columns = on_grid(seen, self.columns, self.step, origin) if seen.start < seen.stop else []
            columns = [slice(max(0, part.start), min(part.stop, size)) for part in columns]
            found.append(Block(rows, [self._tile(memory, together, rows, part) for part in columns]))
        return found

    def _tile(self, memory: list[Tensor], together: int, rows: slice, columns: slice) -> Tile:
        sizes = together, self.share, rows.stop - rows.start, columns.stop - columns.start
        numbers, flat = math.prod(sizes), (0, 1) if self.turned else (1, 2)
        scores, other = (part[:numbers].view(sizes) for part in (memory[0], memory[-1]))
        weights, spare = scores, other
        if self.rounds:
            wide = *sizes[:3], self._width(columns)
            weights, spare = memory[-1][: math.prod(wide)].view(wide), memory[0].view(self.low)[:numbers].view(sizes)
        product, weights, spare = (t.flatten(*flat) for t in (scores, weights, spare))
        low, zeros = weights[..., : sizes[3]], weights[..., sizes[3] :]
        return Tile(columns, scores, product, weights, low, zeros, spare, self._edges(scores, rows, columns))

    def _width(self, columns: slice) -> int:
        """Give a tile's width in products of bfloat16: one of a few, not beyond the last column."""
        width, step = columns.stop - columns.start, 1 if self.turned else -(-self.sizes[1] // WIDTHS)
        found: int = min(-(-width // step) * step, self.sizes[1] - columns.start)
        return found

    def _edges(self, scores: Tensor, rows: slice, columns: slice) -> list[Edge]:
        """Find the triangles at both ends of a band, and the columns that a tile has beyond them."""
        if self.band is None:
            return []
        offset, window = self.band
        later = rows.start + offset
        spans = [(later, later + self.rows, "later"), (later + self.rows, columns.stop, "beyond")]
        if window is not None:
            earlier = later - window + 1
            spans += [(earlier, earlier + self.rows, "earlier"), (columns.start, earlier, "beyond")]
        found = []
        for start, stop, end in spans:
            low, high = max(start, columns.start), min(stop, columns.stop)
            if low < high:
                hidden, seen = (t[: rows.stop - rows.start, low - start : high - start] for t in self._end(end))
                found.append(Edge(scores[..., low - columns.start : high - columns.start], hidden, seen))
        return found

    def _end(self, name: str) -> tuple[Tensor, Tensor]:
        """Make what is added and what is multiplied with at an end of the band, the first time that a tile has it."""
        if name not in self._ends:
            if name == "beyond":
                numbers = (self._like.new_full((1, 1), number, dtype=self.dtype) for number in (-math.inf, 0))
                hidden, seen = (number.expand(self.rows, self.columns) for number in numbers)
            else:
                square = self._like.new_ones(self.rows, self.rows, dtype=self.dtype)
                seen = square.tril() if name == "later" else square.triu()
                hidden = seen if self.turned else torch.where(seen > 0, 0.0, -math.inf)  # turned, nothing is added
            self._ends[name] = hidden, seen
        return self._ends[name]

    def hide_(self, tile: Tile, step: Step, rows: slice) -> None:
        """Add to a tile's scores what the mask adds, and −∞ where nobody may look.

        The backward pass does without −∞: it knows that no exponential that counts is above 1.

        Args:
            tile: whose scores are there.
            step: of which heads.
            rows: of which rows.
        """
        if not self.turned:
            for edge in tile.edges:
                edge.place.add_(edge.hidden)
        if self.mask is not None:
            part = self._of_mask(self.mask, tile, step, rows)
            added = torch.where(part, 0.0, -math.inf) if part.dtype == torch.bool else part
            self._as_mask(tile, step).add_(added)

    def exponentiate_(self, tile: Tile, step: Step, rows: slice) -> None:
        """Turn differences to the largest scores into exponentials, zero where nobody may look.

        Args:
            tile: whose differences are there.
            step: of which heads.
            rows: of which rows.
        """
        tile.scores.clamp_(LOWEST, 0.0 if self.turned else None).exp_()
        for edge in tile.edges:
            edge.place.mul_(edge.seen)
        if self.mask is not None:
            part = self._of_mask(self.mask, tile, step, rows)
            self._as_mask(tile, step).mul_(part if part.dtype == torch.bool else part > -math.inf)

    def _of_mask(self, mask: Tensor, tile: Tile, step: Step, rows: slice) -> Tensor:
        """Take a tile's part of the mask, whole where that stretches."""
        cuts = *step, slice(None), rows, tile.columns
        return mask[tuple(part if size > 1 else slice(None) for part, size in zip(cuts, mask.shape, strict=True))]

    def _as_mask(self, tile: Tile, step: Step) -> Tensor:
        """View a tile's scores as the mask is: [samples, heads, share, rows, columns]."""
        return tile.scores.view(*step.sizes, *tile.scores.shape[1:])
