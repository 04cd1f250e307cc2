"""ALiBi: no positions at all, but a penalty on every score that grows with the distance."""

import math

import torch
from torch import Tensor

from minimodels.tap import tap


def alibi_slopes(
    num_heads: int, device: torch.device | str | None = None, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Give each head its slope: m_h = 2^(−8h/H), h = 1 … H, a geometric sequence.

    Heads with steep slopes look near, those with gentle ones far. Where H is no power of two, the first heads have the
    slopes of the next smaller power P, and the others every second slope, from the first on, of 2P heads.

    Args:
        num_heads: H.
        device: where they are made.
        dtype: as what.

    Shape:
        Output: [H]

    Raises:
        ValueError: there is no head.

    Cost: H powers of two, in Python.

    References: Press, Smith & Lewis 2022, arXiv:2108.12409, section 3, and the authors' code.

    See: `minimodels.nn.ALiBi`; tests/functional/test_positions.py.

    Example:
        >>> alibi_slopes(4)
        tensor([0.2500, 0.0625, 0.0156, 0.0039])
        >>> alibi_slopes(3)
        tensor([0.0625, 0.0039, 0.2500])
    """
    if num_heads < 1:
        raise ValueError(f"num_heads {num_heads} has to be at least 1")
    power = 1 << (num_heads.bit_length() - 1)
    slopes = _geometric(power) + _geometric(2 * power)[::2][: num_heads - power]
    return torch.tensor(slopes, device=device, dtype=dtype)


def alibi_bias(slopes: Tensor, queries: int, keys: int, causal: bool = True) -> Tensor:
    """Give what is added to the scores: b[h, i, j] = −m_h·(p − j), p = keys − queries + i, and −∞ where j > p.

    The queries are the last ones of the sequence that the keys stand for, as in decoding with a cache.

    Args:
        slopes: m, of type float32: in bfloat16 distances of more than 256 would be rounded.
        queries: L.
        keys: S.
        causal: hide what comes later; without it b = −m_h·|p − j|, in both directions.

    Shape:
        - slopes: [H]
        - Output: [H, L, S], a mask for `scaled_dot_product_attention`

    Cost: H·L·S numbers.

    References: Press, Smith & Lewis 2022, arXiv:2108.12409, section 3.

    See: `minimodels.nn.ALiBi`; tests/functional/test_positions.py.

    Example:
        >>> alibi_bias(torch.tensor([1.0]), 2, 3)
        tensor([[[-1., -0., -inf],
                 [-2., -1., -0.]]])
    """
    position = torch.arange(keys - queries, keys, device=slopes.device)
    distance = position[:, None] - torch.arange(keys, device=slopes.device)  # [L, S]
    bias = -slopes[:, None, None] * distance.abs()  # [H, L, S]
    return tap("position.bias", bias.masked_fill(distance < 0, -math.inf) if causal else bias)


def _geometric(heads: int) -> list[float]:
    return [2 ** (-8 * h / heads) for h in range(1, heads + 1)]
