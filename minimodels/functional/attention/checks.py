"""What attention refuses."""

import torch
from torch import Tensor


def check_operands(query: Tensor, key: Tensor, value: Tensor, enable_gqa: bool) -> None:
    """Refuse queries, keys and values that do not fit together.

    Args:
        query: Q.
        key: K.
        value: V.
        enable_gqa: several heads of queries share one of keys and values.

    Raises:
        RuntimeError: they differ in dtype or device, are no floating-point numbers, or their shapes do not fit.
        NotImplementedError: they are complex.
        IndexError: heads are to be shared, and there is no dimension of heads.
    """
    operands = {"query": query, "key": key, "value": value}
    if min(query.ndim, key.ndim, value.ndim) < 2:
        raise RuntimeError(f"attention needs at least 2 dimensions, [..., length, width], but got {_shapes(operands)}")
    if not query.dtype == key.dtype == value.dtype:
        kinds = ", ".join(f"{name} {t.dtype}" for name, t in operands.items())
        raise RuntimeError(f"attention needs query, key and value of one dtype, but got {kinds}")
    if not query.device == key.device == value.device:
        places = ", ".join(f"{name} on {t.device}" for name, t in operands.items())
        raise RuntimeError(f"attention needs query, key and value on one device, but got {places}")
    if query.is_complex():
        raise NotImplementedError(f"attention is not implemented for {query.dtype}: weights have no order there")
    if not query.is_floating_point():
        raise RuntimeError(f"attention needs floating-point numbers, but got {query.dtype}; cast them with .float()")
    if query.shape[-1] != key.shape[-1]:
        raise RuntimeError(f"queries and keys are compared: their last sizes must agree, but got {_shapes(operands)}")
    if key.shape[-2] != value.shape[-2]:
        raise RuntimeError(f"every key has a value: their lengths must agree, but got {_shapes(operands)}")
    if enable_gqa:
        _check_heads(operands)
    elif not query.shape[:-2] == key.shape[:-2] == value.shape[:-2]:
        torch.broadcast_shapes(query.shape[:-2], key.shape[:-2], value.shape[:-2])


def _check_heads(operands: dict[str, Tensor]) -> None:
    if min(t.ndim for t in operands.values()) < 3:
        raise IndexError(f"enable_gqa needs a dimension of heads, [..., heads, length, width]: {_shapes(operands)}")
    heads, *shared = (t.shape[-3] for t in operands.values())
    if any(count == 0 or heads % count for count in shared):
        raise RuntimeError(
            f"the heads of keys and values must divide those of the queries, but got {_shapes(operands)}"
        )
    torch.broadcast_shapes(*(t.shape[:-3] for t in operands.values()))


def check_mask(mask: Tensor | None, query: Tensor, key: Tensor) -> None:
    """Refuse a mask that does not fit the scores.

    Args:
        mask: booleans, or numbers that are added.
        query: Q.
        key: K.

    Raises:
        RuntimeError: it is of another kind, or does not broadcast to the scores' shape.
        IndexError: it has fewer than two dimensions.
    """
    if mask is None:
        return
    if mask.dtype not in (torch.bool, torch.float32, query.dtype):
        raise RuntimeError(f"attn_mask must be of booleans, float32 or the query's {query.dtype}, but is {mask.dtype}")
    if mask.ndim < 2:
        raise IndexError(f"attn_mask needs at least 2 dimensions, queries and keys, but has shape {list(mask.shape)}")
    heads = [max(t.shape[-3] for t in (query, key) if t.ndim > 2)] if max(query.ndim, key.ndim) > 2 else []
    shape = *torch.broadcast_shapes(query.shape[:-3], key.shape[:-3]), *heads, query.shape[-2], key.shape[-2]
    fits = mask.ndim <= len(shape) and all(
        a in (1, b) for a, b in zip(reversed(mask.shape), reversed(shape), strict=False)
    )
    if not fits:
        raise RuntimeError(f"attn_mask of shape {list(mask.shape)} does not broadcast to the scores' {list(shape)}")


def check_dropout(p: float) -> None:
    """Refuse what is no probability.

    Args:
        p: it.

    Raises:
        RuntimeError: it is not between 0 and 1.
    """
    if not 0.0 <= p <= 1.0:
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {p}")


def _shapes(operands: dict[str, Tensor]) -> str:
    return ", ".join(f"{name} {list(t.shape)}" for name, t in operands.items())
