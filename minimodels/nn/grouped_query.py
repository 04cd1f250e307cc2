"""Attention in which several heads of queries share one of keys and values, as in today's language models."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import Module

from minimodels import functional as F
from minimodels.nn.affine import Linear
from minimodels.nn.cache import KeyValueCache
from minimodels.nn.position import RotaryEmbedding


class GroupedQueryAttention(Module):
    """Attend in H heads whose queries share G heads of keys and values: y = concat(softmax(Q_h·K_gᵀ/√d)·V_g)·W_Oᵀ.

    Head h of the queries belongs to the group g = ⌊h·G/H⌋. With G = H this is multi-head attention, with G = 1
    multi-query attention; a cache of keys and values is smaller by H/G.

    Args:
        embed_dim: E, numbers a token.
        num_heads: H, heads of queries.
        num_key_value_heads: G, heads of keys and values, a divisor of H; None is H.
        head_dim: d, numbers a head; None is E/H.
        bias: learn biases for all four maps.
        dropout: probability with which a weight is zeroed while training.
        rotary: turns queries and keys by their positions; None leaves them as they are.
        sliding_window: how many tokens one sees at most, itself among them; None for all that came before.
        causal: a token sees itself and those before; without it all see all.
        layer: which layer of the cache is this one's.
        device: where the parameters are.
        dtype: of what type they are.

    Shape:
        - input: [N, T, E]; attn_mask: broadcastable to [N, H, T, S]; angles: twice [T, d/2] or [N, 1, T, d/2]
        - Output: [N, T, E]; S = T and what the cache holds

    Attributes:
        q_proj: the map E → H·d to the queries.
        k_proj: the map E → G·d to the keys.
        v_proj: likewise to the values.
        o_proj: the map H·d → E from the heads side by side.

    Raises:
        ValueError: H is no multiple of G, E none of H where d is not given, or a window is asked for without causality.

    Cost: 2·N·T·E·d·(H + G) multiply-adds for the maps and 2·N·H·T·S·d for attention.

    References: Ainslie et al. 2023, arXiv:2305.13245; Shazeer 2019, arXiv:1911.02150 (one head for all); Beltagy et al.
        2020, arXiv:2004.05150, section 3.1, and Jiang et al. 2023, arXiv:2310.06825 (windows).

    See: `minimodels.functional.causal_attention`; tests/nn/test_grouped_query.py.

    Example:
        >>> attention = GroupedQueryAttention(64, num_heads=8, num_key_value_heads=2, rotary=RotaryEmbedding(8))
        >>> attention(torch.ones(1, 5, 64)).shape
        torch.Size([1, 5, 64])
        >>> cache = KeyValueCache(num_layers=1, batch_size=1, num_heads=2, capacity=5, head_dim=8)
        >>> for token in torch.ones(1, 5, 64).split(1, dim=1):  # one after the other
        ...     y = attention(token, past_key_values=cache)
    """

    __constants__ = ["embed_dim", "num_heads", "num_key_value_heads", "head_dim"]

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        num_key_value_heads: int | None = None,
        head_dim: int | None = None,
        bias: bool = False,
        dropout: float = 0.0,
        rotary: RotaryEmbedding | None = None,
        sliding_window: int | None = None,
        causal: bool = True,
        layer: int = 0,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        groups = num_heads if num_key_value_heads is None else num_key_value_heads
        if groups < 1 or num_heads % groups:
            raise ValueError(f"num_heads ({num_heads}) has to be a multiple of num_key_value_heads ({groups})")
        if head_dim is None and embed_dim % num_heads:
            raise ValueError(
                f"embed_dim ({embed_dim}) has to be a multiple of num_heads ({num_heads}), or give head_dim"
            )
        if sliding_window is not None and not causal:
            raise ValueError("a sliding window is for causal attention alone")
        self.embed_dim = embed_dim
        self.num_heads = num_heads
        self.num_key_value_heads = groups
        self.head_dim = d = embed_dim // num_heads if head_dim is None else head_dim
        self.dropout = dropout
        self.sliding_window = sliding_window
        self.causal = causal
        self.layer = layer
        self.rotary = rotary
        self.q_proj = Linear(embed_dim, num_heads * d, bias, device, dtype)
        self.k_proj = Linear(embed_dim, groups * d, bias, device, dtype)
        self.v_proj = Linear(embed_dim, groups * d, bias, device, dtype)
        self.o_proj = Linear(num_heads * d, embed_dim, bias, device, dtype)

    def forward(
        self,
        input: Tensor,
        attn_mask: Tensor | None = None,
        angles: tuple[Tensor, Tensor] | None = None,
        past_key_values: KeyValueCache | None = None,
    ) -> Tensor:
        """Let every token look at those that it may see.

        Args:
            input: the tokens.
            attn_mask: booleans (True: may look) or numbers that are added to the scores, beside causality.
            angles: cosine and sine of the rotary angles, computed once for all layers; None has them computed here,
                for tokens that stand behind those of the cache.
            past_key_values: keys and values of the tokens before; those of the new ones are added to it.
        """
        query, key, value = (self._heads(f(input)) for f in (self.q_proj, self.k_proj, self.v_proj))
        if self.rotary is not None:
            cos, sin = self._angles(input, past_key_values) if angles is None else angles
            query, key = (F.rotary_embedding(x, cos, sin, self.rotary.interleaved) for x in (query, key))
        if past_key_values is not None:
            key, value = past_key_values.update(key, value, self.layer)  # [N, G, S, d]
        y = self._attend(query, key, value, attn_mask)  # [N, H, T, d]
        return self.o_proj(y.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        """Show the settings."""
        text = f"{self.embed_dim}, num_heads={self.num_heads}, num_key_value_heads={self.num_key_value_heads}"
        return f"{text}, head_dim={self.head_dim}, sliding_window={self.sliding_window}, causal={self.causal}"

    def _heads(self, x: Tensor) -> Tensor:
        """Part a token's numbers into heads, and bring the heads before the tokens."""
        heads: Tensor = x.unflatten(-1, (-1, self.head_dim))
        return heads.transpose(1, 2)  # [N, heads, T, d]

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None) -> Tensor:
        dropout = self.dropout if self.training else 0.0
        shared = self.num_key_value_heads != self.num_heads
        if not self.causal:
            return F.scaled_dot_product_attention(query, key, value, attn_mask, dropout, enable_gqa=shared)
        return F.causal_attention(query, key, value, self.sliding_window, attn_mask, dropout, enable_gqa=shared)

    def _angles(self, input: Tensor, past_key_values: KeyValueCache | None) -> tuple[Tensor, Tensor]:
        assert self.rotary is not None
        past = 0 if past_key_values is None else past_key_values.lengths[self.layer]
        return self.rotary.angles(torch.arange(past, past + input.shape[1], device=input.device))
