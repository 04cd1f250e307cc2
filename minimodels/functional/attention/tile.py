"""A tile of attention's scores: which rows and columns, which memory, and where the ends of a band cross it."""

import itertools
from typing import NamedTuple

from torch import Tensor


class Step(NamedTuple):
    """Heads that go together: some heads of keys of one sample, or all heads of some samples."""

    samples: slice
    heads: slice

    @property
    def sizes(self) -> tuple[int, int]:
        """How many samples, and how many heads of keys of each."""
        return self.samples.stop - self.samples.start, self.heads.stop - self.heads.start


class Tile(NamedTuple):
    """Some rows of the heads of a step, some of the columns that any of them sees, and memory for the scores between.

    Of P heads of keys; product to spare are pairs of matrices for products, [P, share·rows, columns] or, turned,
    [P·share, rows, columns].
    """

    columns: slice
    scores: Tensor  # [P, share, rows, columns]
    product: Tensor  # the same memory
    weights: Tensor  # the exponentials in the type of products: the same memory too, if that is the scores' type;
    # else, in the forward pass, there may be more columns, for zeros
    low: Tensor  # of the weights, those of the columns
    zeros: Tensor  # of the weights, those beyond
    spare: Tensor  # in the type of products; the scores' memory, if the exponentials have one of their own
    edges: list["Edge"]


class Block(NamedTuple):
    """All tiles of some rows."""

    rows: slice
    tiles: list[Tile]


class Edge(NamedTuple):
    """An end of a band within a tile, where some of the rows see a column and others do not."""

    place: Tensor  # part of the tile's scores, [P, share, rows, …]
    hidden: Tensor  # to be added: 0 or −∞
    seen: Tensor  # to be multiplied with: 1 or 0


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


def steps(samples: int, heads: int, together: int) -> list[Step]:
    """Go through all heads of keys, some of them at a time.

    Args:
        samples: N.
        heads: G.
        together: how many heads go together at most, if those of whole samples are to be or those of one.

    Example:
        >>> [(step.samples, step.heads) for step in steps(2, 3, 4)]
        [(slice(0, 1, None), slice(0, 3, None)), (slice(1, 2, None), slice(0, 3, None))]
    """
    cuts = parts(samples, max(1, together // heads)), parts(heads, min(heads, together))
    return list(itertools.starmap(Step, itertools.product(*cuts)))


def on_grid(seen: slice, most: int, step: int = 1, origin: int = 0) -> list[slice]:
    """Cut what is seen into parts that begin and end on a grid, the first and the last perhaps beyond what is seen.

    Args:
        seen: from where to where.
        most: how much of it a part may be.
        step: of the grid.
        origin: a place of the grid.

    Example:
        >>> on_grid(slice(3, 10), 4, 2)
        [slice(2, 6, None), slice(6, 10, None)]
    """
    first, last = (seen.start - origin) // step, -((origin - seen.stop) // step)
    return [
        slice(origin + step * (first + part.start), origin + step * (first + part.stop))
        for part in parts(last - first, max(1, most // step))
    ]
