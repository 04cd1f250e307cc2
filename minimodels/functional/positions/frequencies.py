"""How fast positions turn: a geometric row of frequencies, from one radian a token down to one in ten thousand."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def rotary_frequencies(
    dim: int,
    base: float = 10000.0,
    scaling: Mapping[str, Any] | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Give the angle by which each pair of numbers turns from one token to the next: ω_i = base^(−2i/d).

    The first pair turns by a radian a token and tells neighbours apart, the last one hardly moves and tells pages
    apart. A model that was trained on short texts reads longer ones with slower frequencies:

        linear   ω_i / s: all positions move closer together
        llama3   as they are where a wave is short against the trained length C, ω_i / s where it is long, and between
                 the two a mixture: with r = C·ω_i / 2π turns within C, μ = (r − low) / (high − low) cut to [0, 1],
                 ω_i·(μ + (1 − μ) / s)

    Args:
        dim: d, how many numbers of a head are turned, two by two.
        base: θ; larger ones reach farther (Llama 3 has 500,000).
        scaling: Hugging Face's `rope_scaling`: {"rope_type": "linear", "factor": s}, or {"rope_type": "llama3",
            "factor": s, "low_freq_factor": low, "high_freq_factor": high, "original_max_position_embeddings": C};
            the older key "type" means the same, and the type "default" changes nothing.
        device: where they are made.
        dtype: as what; less than float32 would lose far positions.

    Shape:
        Output: [⌈d/2⌉]

    Raises:
        ValueError: there is no such scaling, or a number of it is missing.

    Cost: four operations on d/2 numbers.

    References: Su et al. 2021, arXiv:2104.09864, section 3.2.2; Chen et al. 2023, arXiv:2306.15595 (linear);
        Grattafiori et al. 2024, arXiv:2407.21783 (Llama 3).

    See: `minimodels.nn.RotaryEmbedding`; tests/functional/test_positions.py.

    Example:
        >>> rotary_frequencies(4)
        tensor([1.0000, 0.0100])
        >>> rotary_frequencies(4, scaling={"rope_type": "linear", "factor": 2.0})
        tensor([0.5000, 0.0050])
    """
    exponents = torch.arange(0, dim, 2, device=device, dtype=dtype) / dim
    frequencies = (base**exponents).reciprocal()  # [⌈d/2⌉]
    scaling = scaling or {}
    kind = scaling.get("rope_type", scaling.get("type", "default"))
    if kind not in _SCALINGS:
        raise ValueError(f"rope_type {kind!r} is not known; there are {', '.join(_SCALINGS)}")
    try:
        return _SCALINGS[kind](frequencies, scaling)
    except KeyError as missing:
        raise ValueError(f"rope_type {kind!r} needs {missing}; give it beside the type") from None


def _default(frequencies: Tensor, scaling: Mapping[str, Any]) -> Tensor:
    return frequencies


def _linear(frequencies: Tensor, scaling: Mapping[str, Any]) -> Tensor:
    return frequencies / float(scaling["factor"])


def _llama3(frequencies: Tensor, scaling: Mapping[str, Any]) -> Tensor:
    factor, low, high = (float(scaling[name]) for name in ("factor", "low_freq_factor", "high_freq_factor"))
    wavelengths = frequencies.reciprocal() * (2 * math.pi)
    turns = wavelengths.reciprocal() * float(scaling["original_max_position_embeddings"])  # r
    kept = ((turns - low) / (high - low)).clamp(0, 1)  # μ
    return (1 - kept) * frequencies / factor + kept * frequencies


_SCALINGS = {"default": _default, "linear": _linear, "llama3": _llama3}
