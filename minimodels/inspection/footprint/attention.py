"""What the attention of our GPT-2 takes in its backward pass: tiles of scores, and pieces of a few heads."""

import itertools
import math

import torch

from minimodels.functional.attention import choice, cutting
from minimodels.functional.attention.cutting import parts
from minimodels.functional.matmul import bfloat16_is_fast
from minimodels.inspection.footprint.setup import Setup


def keeps_scores(setup: Setup) -> bool:
    """Whether attention keeps its weights, as it does where they are few or dropped.

    Args:
        setup: what is trained.

    Example:
        >>> keeps_scores(Setup.of("gpt2"))
        False
    """
    return setup.config.attn_pdrop > 0 or setup.config.n_head * setup.rows * setup.tokens <= choice.KEPT


def attention_work(setup: Setup) -> int:
    """Bytes that the backward pass of attention takes, beside what the block keeps.

    Four gradients are as wide as the stream: the one that comes in, and those of queries, keys and values, 4·b·R·E.
    Memory of tiles is asked for once. With p bytes a number of the products that may round (2 in bfloat16, else 4),

        two tiles of scores                    4 + p for each row and column of each head
        triangles at both ends of a band       16·rows²

    and with P heads in a step, whole samples or some heads of one, numbers as many as P·T·d in

        sums of ∂Q                             4
        sums of ∂K and ∂V                      8·rows/T
        queries and keys, widened              8 where b = 2
        ∂o and values                          2·p where b = 2; for p = 2 with two columns each
        a product that is to be added          2 where p = 2; else 4 of what lies beyond the first rows
        heads of several samples side by side  2·b of queries and keys for p = 2, 16 of all operands for b = 4

    What is not lent but made anew is there twice when the second step begins.

    Args:
        setup: what is trained.

    See: `minimodels.functional.attention.tiles_derivative`; tests/inspection/footprint/test_peak.py.

    Example:
        >>> f"{attention_work(Setup.of('gpt2-xl', batch=8)) / 1e9:.2f} GB"
        '0.64 GB'
    """
    c, b, T = setup.config, setup.element, setup.tokens
    stream = setup.rows * c.n_embd
    if keeps_scores(setup):
        return 4 * 4 * c.n_head * setup.rows * T + 8 * b * stream
    p = 2 if setup.precision == "bfloat16" and (setup.accelerator or bfloat16_is_fast()) else 4
    together, rows, columns = _tile(setup)
    tiles = together * (4 + p) * rows * columns + 16 * rows**2
    first, *others = _steps(setup, together)
    alike: int = parts(T, rows)[0].stop  # rows of a part, all but the last
    heads = math.prod(first)
    added = columns if p == 2 or columns < T else T - alike
    lent = (4 + (8 + 4 * (p == 2) if b == 2 else 0)) * T + 8 * alike + p * added
    numbers = 8 * (p == 2) + (20 if others else 8)  # of each row: both columns; what sums and largest scores become
    made = math.prod(first) * _made(b, p, first, again=False)
    made += math.prod(others[0]) * _made(b, p, others[0], again=True) if others else 0
    return 4 * b * stream + tiles + (heads * lent + made * T) * (c.n_embd // c.n_head) + heads * numbers * T


def _tile(setup: Setup) -> tuple[int, int, int]:
    """How many heads a tile has room for, of how many rows and columns each, as `cutting.Cut` has it."""
    T, heads = setup.tokens, setup.batch * setup.config.n_head
    if setup.accelerator:
        rows, columns, tile, threads = min(T, cutting.DEVICE_ROWS), T, cutting.DEVICE_TILE, 1
    else:
        threads = torch.get_num_threads()
        rows, columns, tile = min(T, cutting.KEYS), min(T, cutting.QUERIES), cutting.BLOCK * threads
    together = min(max(1, tile // (rows * columns)), heads)
    return max(together - together % threads, min(threads, heads)), rows, columns


def _steps(setup: Setup, together: int) -> list[tuple[int, int]]:
    """How many samples go together in each step, and how many heads of each; fewer than there is room for."""
    heads = setup.config.n_head
    cuts = parts(setup.batch, max(1, together // heads)), parts(heads, min(heads, together))
    return [(n.stop - n.start, h.stop - h.start) for n, h in itertools.product(*cuts)]


def _made(b: int, p: int, step: tuple[int, int], again: bool) -> int:
    """Bytes for each number of a head of what a step makes anew; the heads of one sample can be used as they lie."""
    widened = 8 if b < p else 0  # ∂o and values
    if step[0] == 1:
        return widened
    if not widened:
        return 2 * b + (8 if p == 4 else 0)
    return 2 * widened + 2 * b if again else widened  # apart and side by side; queries and keys are widened next
