"""Which form of attention serves whom.

The rules look at shapes, types and modes, never at the numbers themselves and never at a clock, so that two runs give
the same bits.
"""

import math

import torch
from torch import Tensor

from minimodels.functional.attention import batched, compiled, definition, launched, tiles, weighted
from minimodels.functional.attention.masks import Band, combine_masks
from minimodels.functional.matmul import product_dtype
from minimodels.functional.precision import accumulator
from minimodels.functional.transforms import steps_aside
from minimodels.tap import listened

KEPT = 3 << 20
"""Weights up to which `batched` keeps them all, 12 MiB of float32; a quarter of it where nothing is differentiated.

Time of torch.nn.functional's over ours, batched and tiles, forward and with backward, on one thread of an Intel Xeon
(samples x heads x length x width, weights):

                                      causal                      everything
    12x4x64x32, 196,608        0.78 0.95    0.67 0.51      0.88 0.97    0.76 0.60
    1x12x128x64, 196,608       0.75 1.02    0.64 0.62      0.89 1.06    0.79 0.62
    1x12x256x64, 786,432       0.66 0.91    0.84 0.83      0.76 0.96    0.72 0.69
    1x12x512x64, 3,145,728     0.62 0.81    0.99 0.99      0.59 0.82    0.74 0.78
    4x12x256x64, 3,145,728     0.67 0.72    0.88 0.89      0.68 0.98    0.75 0.78

On two threads, where the calls between the passes weigh twice as much, the line is drawn by `python -m benchmarks
algorithms`; milliseconds of batched and tiles, forward and with backward:

    1x12x256x64                 2.0  5.0    2.1  7.0       1.5  4.7    1.7  6.3
    1x12x512x64                 7.0 17.7    5.7 18.4       5.8 15.5    6.4 20.8
    1x12x1024x64                 38   91     17   52        34   85     25   71
"""

FEW = KEPT // 4
"""Weights from which on `weighted` keeps them in bfloat16, twice as many as of float32, where products round.

Its products are of 16 bits but for the first, and the backward pass makes no scores. Milliseconds of batched, tiles and
weighted with backward in bfloat16, and of torch.nn.functional's, two threads of an Intel Xeon with AMX:

                                     causal                       everything
    1x12x128x64, 196,608       1.3  2.0  1.4  2.3          1.3  1.9  1.4  2.3
    1x12x256x64, 786,432       3.6  3.9  2.9  3.3          3.2  3.5  2.6  3.2
    1x12x512x64, 3,145,728      14   10  7.6  8.3           12   11  7.9  8.2
    4x12x256x64, 3,145,728      14   13  9.2   12           15   13  9.0   11
    32x12x64x64, 1,572,864      20   16  9.1   30           19   17  8.8   29
    1x12x720x64, 6,220,800      36   23   17   15           30   22   16   20
    1x12x1024x64, 12,582,912    99   36        21           95   43   37   27
"""


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    band: Band | None,
    scale: float | None = None,
    dropout_p: float = 0.0,
) -> Tensor:
    """Compute attention by the form that is the fastest for these shapes.

    Args:
        query: Q; several of its heads may share a head of keys and values.
        key: K.
        value: V.
        mask: booleans, or numbers that are added; None lets everyone look.
        band: what a query may see by its place; None for everything.
        scale: instead of 1/√d.
        dropout_p: probability with which a weight is zeroed.

    Shape:
        - query: [..., H, L, d]; key: [..., G, S, d]; value: [..., G, S, e]; mask: broadcastable to [..., H, L, S]
        - Output: [..., H, L, e]

    See: the files beside this one; tests/functional/attention/test_algorithms.py.

    Example:
        >>> attend(torch.ones(2, 1), torch.ones(2, 1), torch.tensor([[1.0], [3.0]]), None, Band())
        tensor([[1.],
                [2.]])
    """
    queries, keys = query.shape[-2], key.shape[-2]
    scale = 1 / math.sqrt(query.shape[-1] or 1) if scale is None else scale
    form = choose(query, key, value, mask, dropout_p, band)
    if form == "definition":
        heads = max(map(_heads, (query, key, value)))
        key, value = (_for_every_head(t, heads) for t in (key, value))
        mask = mask if band is None else combine_masks(band.mask(queries, keys, query.device), mask)
        return definition.attention_and_weights(query, key, value, mask, scale, dropout_p)[0]
    leading, q, k, v = _in_four_dimensions(query, key, value)
    mask = None if mask is None else _mask_in_four_dimensions(mask, leading)
    band = None if band is None or band.hides_nothing(queries, keys) else band
    if form == "weighted":
        y = weighted.attention(q, k, v, mask, band, scale)[0]
    elif form == "compiled":
        y = compiled.attention(q, k, v, mask, band, scale)
    elif form == "batched":
        y = batched.attention(q, k, v, mask, band, scale, dropout_p)
    elif launched.serves(q, mask, scale):
        y = launched.attention(q, k, v, band, scale)
    else:
        y = tiles.attention(q, k, v, mask, band, scale)
    return y if len(leading) == 2 else y.view(*leading, *y.shape[-2:])


def attend_with_weights(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout_p: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Compute attention and its weights: in tiles where nothing drops them and nobody listens to what lies between.

    Args:
        query: Q.
        key: K.
        value: V.
        mask: booleans, or numbers that are added; None lets everyone look.
        dropout_p: probability with which a weight is zeroed.

    Shape:
        - query: [N, H, L, d]; key: [N, H, S, d]; value: [N, H, S, e]; mask: broadcastable to [N, H, L, S]
        - Output: [N, H, L, e] and [N, H, L, S]

    See: weighted.py; tests/functional/attention/test_algorithms.py.

    Example:
        >>> x = torch.ones(1, 1, 2, 1)
        >>> attend_with_weights(x, x, x, None)[1].flatten()
        tensor([0.5000, 0.5000, 0.5000, 0.5000])
    """
    if dropout_p > 0 or choose(query, key, value, mask) in ("definition", "compiled"):
        return definition.attention_and_weights(query, key, value, mask, None, dropout_p)
    mask = None if mask is None else _mask_in_four_dimensions(mask, query.shape[:2])
    return weighted.attention(query, key, value, mask, None, 1 / math.sqrt(query.shape[-1]))


COMPILED = KEPT // 4
"""Weights beyond which a compiler gets the tiles where a band hides some: compiled, the definition computes them too.

Milliseconds of the definition and of the tiles, both compiled, with backward, two threads of an Intel Xeon:

                                        float32                         bfloat16
                                causal      everything          causal      everything
    1x12x256x64, 786,432      4.0   4.3      2.8   4.2        5.6   4.9      2.8   4.1
    1x12x384x64, 1,769,472     10   7.6      5.9   8.7         10   7.4      5.5   6.8
    1x12x512x64, 3,145,728     18    13       10    15         19    11      9.2    11
    4x12x256x64, 3,145,728     16    16       10    15         24    15       10    13
"""


def choose(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    dropout_p: float = 0.0,
    band: Band | None = None,
) -> str:
    """Name the form for some operands.

    Args:
        query: Q.
        key: K.
        value: V.
        mask: booleans, or numbers that are added.
        dropout_p: probability with which a weight is zeroed.
        band: what a query may see by its place; None for everything.

    Returns:
        "definition", "batched", "weighted" or "tiles"; for a compiler on a CPU "compiled" or, where weights are few,
        dropped or those of an exported program, which may run where this package is not, "definition".

    Example:
        >>> [choose(x, x, x, None) for x in (torch.ones(1, 12, 64, 64), torch.ones(1, 12, 2048, 64))]
        ['batched', 'tiles']
    """
    operands = (query, key, value) if mask is None else (query, key, value, mask)
    if listened() or steps_aside(*operands) or (mask is not None and mask.requires_grad):
        return "definition"
    differentiated = torch.is_grad_enabled() and any(t.requires_grad for t in operands)
    kept = KEPT if differentiated else KEPT // 4
    weights = math.prod(query.shape[:-1]) * key.shape[-2]
    if torch.compiler.is_compiling():
        kept = kept if band is None else min(kept, COMPILED)
        plain = torch.compiler.is_exporting() or dropout_p > 0 or not query.is_cpu or _few(weights, kept)
        return "definition" if plain else "compiled"
    if 0 in (query.numel(), key.numel(), value.numel()):
        return "definition"
    rounds = query.is_cpu and product_dtype(query) != accumulator(query.dtype)
    if differentiated and rounds and dropout_p == 0 and FEW <= weights <= most_kept(rounds):
        return "weighted"
    return "batched" if dropout_p > 0 or weights <= kept else "tiles"


def most_kept(rounds: bool) -> int:
    """Say how many weights are kept for a derivative at most, unless they are dropped.

    Args:
        rounds: they are kept in 16 bits, as they are on a processor where products round.

    Example:
        >>> most_kept(rounds=True) == 2 * most_kept(rounds=False)
        True
    """
    return 2 * KEPT if rounds else KEPT


def _few(weights: int, kept: int) -> bool:
    """Say whether there are few weights whatever sizes a compiler leaves open: to ask more would fix them."""
    from torch.fx.experimental.symbolic_shapes import statically_known_true  # which a compiler has at hand

    return statically_known_true(weights <= kept)


def _heads(t: Tensor) -> int:
    return t.shape[-3] if t.ndim > 2 else 1


def _for_every_head(t: Tensor, heads: int) -> Tensor:
    """Repeat heads that are shared; a single one stretches by itself."""
    return t if _heads(t) in (1, heads) else t.repeat_interleave(heads // _heads(t), -3)


def _in_four_dimensions(query: Tensor, key: Tensor, value: Tensor) -> tuple[tuple[int, ...], Tensor, Tensor, Tensor]:
    """Give the output's leading sizes, and Q [N, H, L, d], K [N, G, S, d] and V [N, G, S, e]: views where it can be."""
    operands = query, key, value
    plain = all(t.ndim == 4 and t.shape[0] == query.shape[0] for t in operands)
    if plain and key.shape[1] == value.shape[1] and query.shape[1] % key.shape[1] == 0:
        return query.shape[:2], query, key, value
    batch = torch.broadcast_shapes(*(t.shape[:-3] for t in operands))
    heads, shared = max(map(_heads, operands)), [_heads(key), _heads(value)]
    if shared[0] != shared[1]:
        shared = [heads, heads]
        key, value = (_for_every_head(t, heads) for t in (key, value))
    leading = (*batch, heads) if max(t.ndim for t in operands) > 2 else ()
    pairs = zip((query, key, value), (heads, *shared), strict=True)
    q, k, v = (_batched(t.expand(*batch, count, *t.shape[-2:])) for t, count in pairs)
    return leading, q, k, v


def _mask_in_four_dimensions(mask: Tensor, leading: tuple[int, ...]) -> Tensor:
    """View a mask as [N or 1, H or 1, L or 1, S or 1]."""
    if mask.ndim > 3 and len(leading) > 2:
        mask = mask.expand(*leading[:-1], *mask.shape[-3:])
    return _batched(mask)


def _batched(t: Tensor) -> Tensor:
    """Make the leading dimensions one, or two out of none: samples and heads."""
    return t.flatten(0, -4) if t.ndim > 3 else t.view(1, *t.shape) if t.ndim == 3 else t[None, None]
