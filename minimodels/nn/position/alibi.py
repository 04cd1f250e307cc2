"""No positions, but a penalty for distance."""

from typing import Any

import torch
from torch import Tensor

from minimodels import functional as F
from minimodels.nn.position.constant import Constant


class ALiBi(Constant):
    """Give what is added to attention's scores, a penalty for distance: b[h, i, j] = −m_h·(p − j), −∞ where j > p.

    Query i stands at p = keys − queries + i: the queries are the last ones of the sequence that the keys stand for.

    Args:
        num_heads: H; the slopes are m_h = 2^(−8h/H), also between powers of two.
        causal: hide what comes later; without it b = −m_h·|p − j|, in both directions.
        device: where the slopes are.
        dtype: of what type they and the bias are, float32 at least; None is float32.

    Shape:
        Output: [H, queries, keys], a mask for `scaled_dot_product_attention`

    Attributes:
        slopes: [H], m; not in the state dict, and never in less than float32.

    Cost: H·queries·keys numbers.

    References: Press, Smith & Lewis 2022, arXiv:2108.12409.

    See: `minimodels.functional.alibi_bias`; tests/nn/test_position.py.

    Example:
        >>> ALiBi(8)(1, 3)[0]  # the third token looks at all three
        tensor([[-1.0000, -0.5000, -0.0000]])
    """

    __constants__ = ["num_heads", "causal"]

    buffer = "slopes"
    slopes: Tensor

    def __init__(
        self, num_heads: int, causal: bool = True, device: Any = None, dtype: torch.dtype | None = None
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.causal = causal
        self._keep(device, dtype)

    def forward(self, queries: int, keys: int) -> Tensor:
        """Give the bias of the last tokens of a sequence.

        Args:
            queries: how many tokens look.
            keys: how many there are.
        """
        return F.alibi_bias(self.slopes, queries, keys, self.causal)

    def extra_repr(self) -> str:
        """Show the settings."""
        return f"{self.num_heads}, causal={self.causal}"

    def _computed(self, device: Any) -> Tensor:
        return F.alibi_slopes(self.num_heads, device, self._dtype)
