"""Positions that queries and keys are turned by."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from minimodels import functional as F
from minimodels.nn.position.added import counted
from minimodels.nn.position.constant import Constant


class RotaryEmbedding(Constant):
    """Turn queries and keys by their position: the pair i of numbers by the angle p·ω_i, ω_i = base^(−2i/d).

    Their products then depend on the distance of two tokens and not on where the two stand. Values are not turned.

    Args:
        dim: d, how many numbers of a head are turned; the rest passes (partial rotary).
        base: θ; larger ones reach farther.
        scaling: how a model that was trained on short texts reads longer ones, as Hugging Face's `rope_scaling` says
            it: {"rope_type": "linear" or "llama3", "factor": …}; see `rotary_frequencies`.
        interleaved: whether neighbours are a pair, as in GPT-J; otherwise number i and number i + d/2 are, as in
            GPT-NeoX and Llama.
        device: where the frequencies are.
        dtype: what angles are computed in, float32 at least; None is float32.

    Shape:
        - input: [*, T, D] with D ≥ d, a head's queries or keys; positions: broadcastable to [*, T], so that those of
          each row of a batch are [N, 1, T]
        - Output: [*, T, D]

    Attributes:
        inv_freq: [d/2], the frequencies ω; not in the state dict, and never in less than float32.

    Raises:
        ValueError: d is odd, or the scaling not known.
        RuntimeError: the input has fewer than d numbers.

    Cost: a sine and a cosine per angle; four multiplications and two additions per pair.

    References: Su et al. 2021, arXiv:2104.09864.

    See: `minimodels.functional.rotary_embedding`; tests/nn/test_position.py.

    Example:
        >>> rotary = RotaryEmbedding(64)
        >>> query, key = torch.ones(2, 8, 5, 64), torch.ones(2, 8, 5, 64)
        >>> scores = rotary(query) @ rotary(key).transpose(-2, -1)
        >>> bool((scores[..., 1, 0] - scores[..., 4, 3]).abs().max() < 1e-4)  # both one token apart
        True
    """

    __constants__ = ["dim", "base", "interleaved"]

    buffer = "inv_freq"
    inv_freq: Tensor

    def __init__(
        self,
        dim: int,
        base: float = 10000.0,
        scaling: Mapping[str, Any] | None = None,
        interleaved: bool = False,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        if dim % 2:
            raise ValueError(f"numbers are turned two by two, but dim is {dim}")
        super().__init__()
        self.dim = dim
        self.base = base
        self.scaling = None if scaling is None else dict(scaling)
        self.interleaved = interleaved
        self._keep(device, dtype)

    def angles(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Give cosine and sine of all angles, for several layers to share.

        Args:
            positions: where the tokens stand.
        """
        return F.rotary_angles(positions, self.inv_freq)

    def forward(self, input: Tensor, positions: Tensor | None = None, offset: int = 0) -> Tensor:
        """Turn queries, or keys.

        Args:
            input: one head's, or many heads'.
            positions: where the tokens stand; None counts on from the offset.
            offset: where the first of them stands, as in decoding with a cache.
        """
        cos, sin = self.angles(counted(input.shape[-2], positions, offset, input.device))
        return F.rotary_embedding(input, cos, sin, self.interleaved)

    def extra_repr(self) -> str:
        """Show the settings."""
        scaling = "" if self.scaling is None else f", scaling={self.scaling}"
        return f"{self.dim}, base={self.base}{scaling}, interleaved={self.interleaved}"

    def _computed(self, device: Any) -> Tensor:
        return F.rotary_frequencies(self.dim, self.base, self.scaling, device, self._dtype)
