"""What the attention of our GPT-2 takes in its backward pass.

On an accelerator that are the scores of a part of the queries, and copies of the operands
(`minimodels.functional.attention.launched`); on a CPU tiles of scores, and pieces of a few heads
(`minimodels.functional.attention.tiles`).
"""

import itertools
import math

import torch

from minimodels.functional.attention import choice, cutting, launched, weighted
from minimodels.functional.attention.tile import parts
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
    most = choice.most_kept(rounds=_rounds(setup) and not setup.accelerator)
    return setup.config.attn_pdrop > 0 or setup.config.n_head * setup.rows * setup.tokens <= most


def attention_work(setup: Setup) -> int:
    """Bytes that the backward pass of attention takes, beside what the block keeps.

    See `_launched` for an accelerator. On a CPU four gradients are as wide as the stream: the one that comes in, and
    those of queries, keys and values, 4·b·R·E. Memory of tiles is asked for once. With p bytes a number of the products
    that may round (2 in bfloat16, else 4),

        two tiles of scores                    4 + p for each row and column of each head of a step
        the triangle at the end of a band      4·rows²

    and with P heads in a step, whole samples or some heads of one, P·T·d numbers of 4 bytes for the sums of ∂Q, and
    what `_lent` and `_viewed` say: where products round, operands are copied tile by tile into memory that is lent, and
    elsewhere they are views of a step's.

    Args:
        setup: what is trained.

    See: `minimodels.functional.attention.tiles_derivative`; tests/inspection/footprint/test_peak.py.

    Example:
        >>> f"{attention_work(Setup.of('gpt2-xl', batch=8)) / 1e9:.2f} GB"
        '0.59 GB'
    """
    c, b, T = setup.config, setup.element, setup.tokens
    stream = setup.rows * c.n_embd
    if keeps_scores(setup):
        few = c.n_head * setup.rows * T < choice.FEW
        if _rounds(setup) and not (setup.accelerator or few or c.attn_pdrop > 0):
            return _kept_in_16_bits(setup)
        return 4 * 4 * c.n_head * setup.rows * T + 8 * b * stream
    if setup.accelerator:
        return _launched(setup)
    p = 2 if _rounds(setup) else 4
    together, rows, columns = _tile(setup)
    steps = _steps(setup, together)
    tiles = math.prod(steps[0]) * (4 + p) * rows * columns + 4 * rows**2
    operands = _lent(setup, rows, columns, steps) if p == 2 else _viewed(setup, rows, columns, steps)
    return 4 * b * stream + tiles + 4 * math.prod(steps[0]) * T * (c.n_embd // c.n_head) + operands


def _rounds(setup: Setup) -> bool:
    """Whether products are of 16 bits, each rounded once."""
    return setup.precision == "bfloat16" and bfloat16_is_fast()


def _kept_in_16_bits(setup: Setup) -> int:
    """Bytes that it takes on a CPU from weights that are kept so; with P heads in a step,

    the gradient that comes in, and those of queries, keys and values    8·R·E
    the slopes of the scores                                             2·P·T²
    ∂o, widened, and its product with the output                         8·P·T·d
    five operands, where the heads are those of several samples          10·P·T·d
    """
    c, T = setup.config, setup.tokens
    first = weighted.steps_back(setup.batch, c.n_head, T * T, torch.get_num_threads())[0]
    samples, heads = first.sizes
    copies = 10 if samples > 1 else 0
    return 8 * setup.rows * c.n_embd + samples * heads * T * (2 * T + (8 + copies) * (c.n_embd // c.n_head))


def _launched(setup: Setup) -> int:
    """Bytes that it takes on an accelerator whose products of 16 bits leave float32; with W numbers in a row's copy,

        the gradient that comes in           b·R·E
        queries, keys, values, and that      4·p·R·H·W
        ∂Q, and sums of ∂K and ∂V            (p + 8)·R·E
        scores of a part of the queries      4 + p for each, row by row of each head, over all T keys
        the triangle at the end of a band    4·rows²

    Three gradients are handed out when the copies and the scores have gone.
    """
    c, T = setup.config, setup.tokens
    p, heads, stream = 2 if setup.precision == "bfloat16" else 4, setup.batch * c.n_head, setup.rows * c.n_embd
    rows = launched.rows_at_once(heads, T, T, banded=T > 1)
    copies = 4 * p * heads * T * launched.widened(c.n_embd // c.n_head)
    return (setup.element + p + 8) * stream + copies + (4 + p) * heads * rows * T + (4 * rows**2 if T > 1 else 0)


def _lent(setup: Setup, rows: int, columns: int, steps: list[tuple[int, int]]) -> int:
    """Bytes that a step takes beside ∂Q where products round; for each head

    queries and ∂o of a tile     10·d + 8 for each column: widened, and as they are, with three columns beside
    products that are added      6·d for each column: as they are, and widened
    keys and values of a tile    8·d + 8 for each row: keys widened, and as they are, values
    sums of ∂K and ∂V            8·d for each row
    shifts                       8·T, and 22·T more of those of the next step, while they are made
    """
    T, d = setup.tokens, setup.config.n_embd // setup.config.n_head
    alike: int = parts(T, rows)[0].stop  # rows of a part, all but the last
    first, *others = map(math.prod, steps)
    copies = columns * (16 * d + 8) + alike * (16 * d + 8) + 8 * T
    return first * copies + (22 * T * others[0] if others else 0)


def _viewed(setup: Setup, rows: int, columns: int, steps: list[tuple[int, int]]) -> int:
    """Bytes that a step takes beside ∂Q where products are in the type of sums; numbers as many as P·T·d in

        sums of ∂K and ∂V                      8·rows/T
        queries and keys, widened              8 where b = 2
        ∂o and values                          8 where b = 2
        a product that is to be added          4 of what lies beyond the first rows
        heads of several samples side by side  16 of all operands for b = 4

    What is not lent but made anew is there twice when the second step begins.
    """
    b, T, d = setup.element, setup.tokens, setup.config.n_embd // setup.config.n_head
    alike: int = parts(T, rows)[0].stop
    first, *others = steps
    added = columns if columns < T else T - alike
    lent = (8 if b == 2 else 0) * T + 8 * alike + 4 * added
    made = math.prod(first) * _made(b, first, again=False)
    made += math.prod(others[0]) * _made(b, others[0], again=True) if others else 0
    return (math.prod(first) * lent + made * T) * d + math.prod(first) * (20 if others else 8) * T


def _tile(setup: Setup) -> tuple[int, int, int]:
    """How many heads a tile has room for, of how many rows and columns each, as `cutting.Cut` has it."""
    T, heads = setup.tokens, setup.batch * setup.config.n_head
    threads = torch.get_num_threads()
    rows, columns, tile = min(T, cutting.KEYS), min(T, cutting.QUERIES), cutting.BLOCK * threads  # T ≤ LONG
    together = min(max(1, tile // (rows * columns)), heads)
    return max(together - together % threads, min(threads, heads)), rows, columns


def _steps(setup: Setup, together: int) -> list[tuple[int, int]]:
    """How many samples go together in each step, and how many heads of each; fewer than there is room for."""
    heads = setup.config.n_head
    cuts = parts(setup.batch, max(1, together // heads)), parts(heads, min(heads, together))
    return [(n.stop - n.start, h.stop - h.start) for n, h in itertools.product(*cuts)]


def _made(b: int, step: tuple[int, int], again: bool) -> int:
    """Bytes for each number of a head of what a step makes anew; the heads of one sample can be used as they lie."""
    widened = 8 if b < 4 else 0  # ∂o and values
    if step[0] == 1:
        return widened
    if not widened:
        return 2 * b + 8
    return 2 * widened + 2 * b if again else widened  # apart and side by side; queries and keys are widened next
