"""Sinusoidal positions: each token gets a vector of waves, from fast to slow, as a clock has hands."""

import torch
from torch import Tensor

from minimodels.functional.positions.frequencies import rotary_frequencies
from minimodels.functional.precision import accumulator
from minimodels.tap import tap


def sinusoidal_encoding(
    positions: Tensor, dim: int, base: float = 10000.0, dtype: torch.dtype = torch.float32
) -> Tensor:
    """Encode positions: e[p, 2i] = sin(p·ω_i), e[p, 2i + 1] = cos(p·ω_i), ω_i = base^(−2i/D).

    A step of k tokens turns every pair (sin, cos) by the angle k·ω_i, wherever it is taken: the vector of p + k is a
    linear map of that of p, and attention can learn to look k tokens back.

    Args:
        positions: p, whole numbers or not.
        dim: D; where it is odd the last sine stands without its cosine.
        base: the slowest wave is about 2π·base tokens long.
        dtype: of the result; angles are in float32 at least.

    Shape:
        - positions: [*]
        - Output: [*, D]

    Cost: one sine or cosine per number.

    References: Vaswani et al. 2017, arXiv:1706.03762, section 3.5.

    See: `minimodels.nn.SinusoidalPositionalEmbedding`; tests/functional/test_positions.py.

    Example:
        >>> sinusoidal_encoding(torch.arange(2), 4)
        tensor([[0.0000, 1.0000, 0.0000, 1.0000],
                [0.8415, 0.5403, 0.0100, 0.9999]])
    """
    wide = accumulator(dtype)
    frequencies = rotary_frequencies(dim, base, device=positions.device, dtype=wide)
    angles = positions.to(wide).unsqueeze(-1) * frequencies  # [*, ⌈D/2⌉]
    waves = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)  # sines at even places, cosines at odd ones
    return tap("position.encoding", waves[..., :dim].to(dtype))
