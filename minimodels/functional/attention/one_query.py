"""Attention of a single query a head, without a gradient: a token that looks back at what it has read.

Reading the keys and values is all the work there is, and every operation beside costs its call, so there are as few of
them as possible: c comes into the product, and the sum of the weights is divided by last, where a row has e numbers
instead of S,

    w = exp(c·q·Kᵀ − max),   y = (w·V) / Σw

What is read lies as the cache keeps it; nothing of it is copied.
"""

import math

import torch
from torch import Tensor

from minimodels.functional.attention.cutting import LOWEST
from minimodels.functional.unwatched import constant, unwatched


def serves(query: Tensor, key: Tensor, value: Tensor, enable_gqa: bool = False) -> bool:
    """Say whether there is one query a head, in float32 or float64, and nobody wants more than the output.

    Args:
        query: Q.
        key: K.
        value: V.
        enable_gqa: several heads of queries share one of keys and values.

    Example:
        >>> q, k = torch.ones(1, 2, 1, 4), torch.ones(1, 2, 9, 4)
        >>> serves(q, k, k), serves(k, k, k)
        (True, False)
    """
    return (
        query.ndim == key.ndim == value.ndim == 4
        and query.shape[2] == 1
        and unwatched(query, key, value)
        and query.dtype in (torch.float32, torch.float64)
        and query.dtype == key.dtype == value.dtype
        and query.shape[0] == key.shape[0]
        and key.shape[:3] == value.shape[:3]
        and query.shape[3] == key.shape[3]
        and 0 not in (query.numel(), key.numel(), value.numel())
        and (query.shape[1] == key.shape[1] or (enable_gqa and query.shape[1] % key.shape[1] == 0))
    )


def attention(query: Tensor, key: Tensor, value: Tensor, scale: float | None = None) -> Tensor:
    """Compute softmax(q·Kᵀ/√d)·V.

    Microseconds of 12 heads of 64 over 96 keys in float32 (Intel Xeon, two threads), in the cache, and after a weight
    has pushed all out of it, of one text: batched.py with what leads to it 73 and 273, this file 21 and 112, torch's
    kernel 12 and 78; of eight texts 311 and 437, 188 and 237, 179 and 210.

    Args:
        query: Q; every H/G of its heads share a head of keys and values.
        key: K.
        value: V.
        scale: instead of 1/√d.

    Shape:
        - query: [N, H, 1, d]; key: [N, G, S, d]; value: [N, G, S, e]
        - Output: [N, H, 1, e]

    Cost: N·H·S·(d + e) multiply-adds; N·H·S numbers for the weights.

    See: definition.py; tests/functional/attention/test_algorithms.py.

    Example:
        >>> x = torch.ones(1, 1, 2, 2)
        >>> attention(x[:, :, :1], x, torch.tensor([[[[1.0], [3.0]]]]), 1.0).flatten()
        tensor([2.])
    """
    N, H, _, d = query.shape
    k, v = key.flatten(0, 1), value.flatten(0, 1)  # [N·G, S, d], views of a cache
    q, scale = query.reshape(len(k), -1, d), 1 / math.sqrt(d) if scale is None else scale
    w = torch.baddbmm(constant(0.0, q), q, k.transpose(1, 2), beta=0, alpha=scale)  # [N·G, H/G, S]
    w.sub_(w.amax(-1, keepdim=True)).clamp_(min=LOWEST).exp_()
    return torch.bmm(w, v).div_(w.sum(-1, keepdim=True)).view(N, H, 1, -1)
