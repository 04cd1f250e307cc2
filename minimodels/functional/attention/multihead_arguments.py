"""What multi-head attention is given: whether it fits together, and which keys a query sees."""

import functools
import math
import operator
import warnings

import torch
from torch import Tensor

from minimodels.functional.padding import pad


def check_dimensions(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    key_padding_mask: Tensor | None,
    attn_mask: Tensor | None,
    num_heads: int,
) -> None:
    """Check that all is a batch, or all a single sequence, and that masks are of a kind that is read.

    Args:
        query: [L, N, E] or [L, E].
        key: with as many dimensions.
        value: likewise.
        key_padding_mask: with one fewer.
        attn_mask: with two or three.
        num_heads: H; a mask for each is checked here for a single sequence.
    """
    if query.dim() not in (2, 3):
        raise AssertionError(f"query should be a 3-D batch or a 2-D sequence, but is {query.dim()}-D")
    if query.is_nested or key.is_nested or value.is_nested:
        raise AssertionError("attention reads padded sequences and a key_padding_mask in place of nested tensors")
    which = f"for a {query.dim()}-D query"
    for name, x in (("key", key), ("value", value)):
        if x.dim() != query.dim():
            raise AssertionError(f"{name} should have as many dimensions as query, {query.dim()}, but has {x.dim()}")
    for name, mask, dims in (
        ("key_padding_mask", key_padding_mask, (query.dim() - 1,)),
        ("attn_mask", attn_mask, (2, 3)),
    ):
        if mask is not None and mask.dim() not in dims:
            raise AssertionError(
                f"{name} should be {' or '.join(f'{n}-D' for n in dims)} {which}, but is {mask.dim()}-D"
            )
        if mask is not None and not (mask.dtype == torch.bool or mask.is_floating_point()):
            raise AssertionError(f"{name} should be of booleans or floating-point numbers, but is of {mask.dtype}")
    if query.dim() == 2 and attn_mask is not None and attn_mask.dim() == 3:
        _check_shape("attn_mask", attn_mask, (num_heads, len(query), len(key)), AssertionError)


def check_sizes(query: Tensor, key: Tensor, value: Tensor, embed_dim: int, num_heads: int, separate: bool) -> None:
    """Check a batch's sizes against each other and against the heads.

    Args:
        query: [L, N, E].
        key: [S, N, Ek].
        value: [S, N, Ev].
        embed_dim: what E should be.
        num_heads: H.
        separate: keys and values may be of other widths.
    """
    if query.shape[-1] != embed_dim:
        raise AssertionError(f"query should have {embed_dim} features, but has {query.shape[-1]}")
    if embed_dim % num_heads:
        raise AssertionError(f"embed_dim {embed_dim} is not divisible by num_heads {num_heads}")
    compared = slice(2 if separate else 3)
    if key.shape[compared] != value.shape[compared]:
        raise AssertionError(f"key and value should be of one size, but are {list(key.shape)} and {list(value.shape)}")
    if key.shape[1] != query.shape[1]:
        raise RuntimeError(f"query and key should be batches of one size, but are {query.shape[1]} and {key.shape[1]}")


def check_added(
    q: Tensor, bias_k: Tensor | None, bias_v: Tensor | None, static_k: Tensor | None, static_v: Tensor | None
) -> None:
    """Check what stands behind the keys and values, or in their place.

    Args:
        q: [N, H, L, d].
        bias_k: a learned key; not without its value.
        bias_v: the value.
        static_k: keys of all heads.
        static_v: their values.
    """
    if (bias_k is None) != (bias_v is None):
        raise AssertionError("bias_k and bias_v come together, but one of them is None")
    N, H, _, d = q.shape
    for name, static in (("static_k", static_k), ("static_v", static_v)):
        if static is not None and bias_k is not None:
            raise AssertionError(f"bias_k and bias_v cannot be added to {name}")
        if static is not None:
            _check_shape(name, static, (N * H, static.shape[1], d), AssertionError)


def visible_keys(
    attn_mask: Tensor | None, key_padding_mask: Tensor | None, q: Tensor, k: Tensor, added: int
) -> Tensor | None:
    """Make one mask out of two, as attention reads it: True where a query may look, or numbers to add to the scores.

    Args:
        attn_mask: True where a query must not look, or numbers.
        key_padding_mask: True where a key must not be looked at, or numbers.
        q: [N, H, L, d], for its sizes and its dtype.
        k: [N, H, S, d].
        added: how many of the last keys no mask covers: every query sees them.

    Shape:
        - attn_mask: [L, S − added] or [N·H, L, S − added]; key_padding_mask: [N, S − added]
        - Output: broadcastable to [N, H, L, S]

    Example:
        >>> q = torch.ones(1, 1, 2, 4)
        >>> visible_keys(None, torch.tensor([[False, True]]), q, q, 0)
        tensor([[[[ True, False]]]])
    """
    N, H, L, _ = q.shape
    covered = k.shape[2] - added
    masks = []
    if attn_mask is not None:
        sizes = (L, covered) if attn_mask.dim() == 2 else (N * H, L, covered)
        _check_shape("attn_mask", attn_mask, sizes, RuntimeError)
        masks.append(attn_mask if attn_mask.dim() == 2 else attn_mask.unflatten(0, (N, H)))
    if key_padding_mask is not None:
        _check_shape("key_padding_mask", key_padding_mask, (N, covered), AssertionError)
        masks.append(key_padding_mask[:, None, None, :])
    if len({mask.dtype for mask in masks}) > 1:
        warnings.warn(
            "Support for mismatched key_padding_mask and attn_mask is deprecated. Use same type for both instead.",
            stacklevel=3,
        )
    if not masks:
        return None
    boolean = all(mask.dtype == torch.bool for mask in masks)
    hidden = functools.reduce(
        operator.or_ if boolean else operator.add, masks if boolean else [_numbers(mask, q.dtype) for mask in masks]
    )
    hidden = pad(hidden, (0, added)) if added else hidden
    return ~hidden if boolean else hidden


def _numbers(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """Write a mask as what is added to scores."""
    if mask.dtype != torch.bool:
        return mask.to(dtype)
    return torch.zeros_like(mask, dtype=dtype).masked_fill(mask, -math.inf)


def _check_shape(name: str, x: Tensor, shape: tuple[int, ...], error: type[Exception]) -> None:
    if x.shape != shape:
        raise error(f"{name} should be of shape {list(shape)}, but is of {list(x.shape)}")
