"""Attention: softmax(Q·Kᵀ/√d + M)·V.

definition.py   the equation; every derivative of every order, and the weights for those who ask for them
one_query.py    a single query a head without a gradient: a token that looks back
batched.py      all heads at once, the weights kept: for short sequences, and for dropout
tiles.py        a few rows of the weights at a time, which are made anew for the derivative: memory linear in the length
tiles_derivative.py   and that derivative: tiles of some keys and some queries
operands.py     what that multiplies
compiled.py     the tiles as an operator, which a compiler takes as it is
weighted.py     the weights kept or handed out beside the output, made in the same tiles
cutting.py      how the scores are cut into tiles
tile.py         what a tile is
choice.py       which of them serves whom
masks.py        who may look where
checks.py       what is refused

All are public and tested against each other and against torch.nn.functional.
"""

from torch import Tensor

from minimodels.functional.attention import (
    batched,
    checks,
    choice,
    compiled,
    cutting,
    definition,
    masks,
    one_query,
    tiles,
    weighted,
)
from minimodels.functional.attention.definition import attention_and_weights
from minimodels.functional.attention.masks import Band, causal_mask, combine_masks
from minimodels.functional.precision import autocast_to_low_precision

__all__ = [
    "Band",
    "attention_and_weights",
    "batched",
    "causal_attention",
    "causal_mask",
    "checks",
    "choice",
    "combine_masks",
    "compiled",
    "cutting",
    "definition",
    "masks",
    "one_query",
    "scaled_dot_product_attention",
    "tiles",
    "weighted",
]


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Let every query take the mean of the values, weighted by how well their keys answer it: softmax(Q·Kᵀ/√d + M)·V.

    A query that may look nowhere (a row of False or −∞) gives zeros and takes no part in any gradient; PyTorch gives
    zeros or NaN there, by which of its kernels runs. `is_causal` and a mask together let a query look where both let
    it; PyTorch does so for four dimensions on a CPU and refuses elsewhere.

    Args:
        query: Q, what is asked.
        key: K, what answers.
        value: V, what is handed out.
        attn_mask: booleans (True: may look) or numbers that are added to the scores.
        dropout_p: probability with which a weight is zeroed, always: there is no `training` here.
        is_causal: query i sees the keys up to i, both counted from the beginning.
        scale: instead of 1/√d.
        enable_gqa: let every G-th part of the H heads of queries share a head of keys and values.

    Shape:
        - query: [..., H, L, d]; key: [..., G, S, d]; value: [..., G, S, e]; attn_mask: broadcastable to [..., H, L, S]
        - Output: [..., H, L, e]; G = H, or a divisor of H with `enable_gqa`

    Raises:
        RuntimeError: shapes, dtypes or devices do not fit together; the message says which.
        NotImplementedError: the numbers are complex.
        IndexError: the mask has fewer than two dimensions, or heads are to be shared and there are none.

    Cost: H·L·S·(d + e) multiply-adds, half of it if causal.

    References: Vaswani et al. 2017, arXiv:1706.03762, equation 1; Ainslie et al. 2023, arXiv:2305.13245 (shared heads).

    See: `minimodels.nn.MultiheadAttention`; tests/functional/attention/test_attention.py.

    Example:
        >>> import torch
        >>> x, value = torch.zeros(3, 2), torch.tensor([[1.0], [3.0], [8.0]])  # all answer alike: a mean of the past
        >>> scaled_dot_product_attention(x, x, value, is_causal=True)
        tensor([[1.],
                [2.],
                [4.]])
    """
    if not is_causal and attn_mask is None and dropout_p == 0 and one_query.serves(query, key, value, enable_gqa):
        return one_query.attention(query, key, value, scale)
    band = Band() if is_causal else None
    return _attend(query, key, value, attn_mask, band, dropout_p, scale, enable_gqa)


def causal_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    window: int | None = None,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Let the last L tokens of a text look at all S so far, each at itself and those before: with a cache, or a window.

    The same as `scaled_dot_product_attention` under `causal_mask(L, S, window)`, but there is no mask in memory, and
    what lies outside of the window costs nothing.

    Args:
        query: Q, of the last tokens.
        key: K, of all tokens.
        value: V, of all tokens.
        window: how many tokens a query sees at most, its own among them; None for all that came before.
        attn_mask: booleans (True: may look) or numbers that are added to the scores.
        dropout_p: probability with which a weight is zeroed.
        scale: instead of 1/√d.
        enable_gqa: let every G-th part of the H heads of queries share a head of keys and values.

    Shape:
        - query: [..., H, L, d]; key: [..., G, S, d]; value: [..., G, S, e]; attn_mask: broadcastable to [..., H, L, S]
        - Output: [..., H, L, e]; G = H, or a divisor of H with `enable_gqa`

    Raises:
        RuntimeError: shapes, dtypes or devices do not fit together; the message says which.
        ValueError: the window has no place for the token itself.

    Cost: H·L·min(S, window)·(d + e) multiply-adds.

    References: Beltagy et al. 2020, arXiv:2004.05150, section 3.1 (windows).

    See: `causal_mask`; tests/functional/attention/test_attention.py.

    Example:
        >>> import torch
        >>> value = torch.tensor([[1.0], [2.0], [4.0], [8.0]])
        >>> causal_attention(torch.zeros(2, 1), torch.zeros(4, 1), value, window=2)
        tensor([[3.],
                [6.]])
    """
    if window is None and attn_mask is None and dropout_p == 0 and one_query.serves(query, key, value, enable_gqa):
        return one_query.attention(query, key, value, scale)
    if window is not None and window < 1:
        raise ValueError(f"a window of {window} leaves a token nothing to see; give 1 or more, or None")
    band = Band(key.shape[-2] - query.shape[-2], window)
    return _attend(query, key, value, attn_mask, band, dropout_p, scale, enable_gqa)


def _attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    band: Band | None,
    dropout_p: float,
    scale: float | None,
    enable_gqa: bool,
) -> Tensor:
    """Check, cast as autocast does, and hand on."""
    query, key, value, mask = (
        autocast_to_low_precision(query, query),
        autocast_to_low_precision(query, key),
        autocast_to_low_precision(query, value),
        autocast_to_low_precision(query, mask),
    )
    checks.check_operands(query, key, value, enable_gqa)
    checks.check_dropout(dropout_p)
    checks.check_mask(mask, query, key)
    return choice.attend(query, key, value, mask, band, scale, dropout_p)
