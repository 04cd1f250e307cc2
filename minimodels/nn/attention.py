"""Attention by several heads as a layer."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import Module, Parameter

from minimodels import functional as F
from minimodels.functional.attention.multihead import on_each
from minimodels.nn import init
from minimodels.nn.affine import Linear


class NonDynamicallyQuantizableLinear(Linear):
    """The map behind the heads: a Linear under the name that torch.nn gives it, which shows in `repr` only.

    Drop-in for torch.nn.modules.linear.NonDynamicallyQuantizableLinear.
    """


class MultiheadAttention(Module):
    """Let every position of one sequence gather what it looks for from all positions of another, or of its own.

        y = [head_1, …, head_H]·W_oᵀ + b_o,  head_h = softmax(q_h·k_hᵀ/√d + M)·v_h,  q = x_q·W_qᵀ + b_q, k, v alike

    Drop-in for torch.nn.MultiheadAttention. One divergence: a query that may look at no key finds zeros (and zero
    weights and gradients) whether or not weights are asked for, where PyTorch gives NaN if they are, or in evaluation.

    Args:
        embed_dim: E, features of the queries and of the output.
        num_heads: H, which divides E; a head is d = E/H features wide.
        dropout: probability with which an attention weight is zeroed in training.
        bias: learn b_q, b_k, b_v and b_o.
        add_bias_kv: learn a key and its value that stand behind those of every sequence.
        add_zero_attn: put a key and a value of zeros behind them: what a head looks at to take nothing.
        kdim: features of the keys; None for E.
        vdim: features of the values; None for E.
        batch_first: batches are [N, L, E] in place of [L, N, E].
        device: where the parameters are.
        dtype: of what type they are.

    Shape:
        - query: [L, N, E]; key: [S, N, kdim]; value: [S, N, vdim]; with batch_first N comes first; unbatched without N
        - Output: (output, weights): output as the query; weights [N, L, S], of each head [N, H, L, S], or None

    Attributes:
        in_proj_weight: [3E, E], W_q, W_k and W_v one below the other, drawn by Xavier's rule as one; None with kdim or
            vdim, and then q_proj_weight [E, E], k_proj_weight [E, kdim], v_proj_weight [E, vdim].
        in_proj_bias: [3E], zeros at first, or None.
        out_proj: W_o [E, E], drawn as Linear's, and b_o [E], zeros at first.
        bias_k: [1, 1, E], drawn normally by Xavier's rule, or None; `bias_v` likewise.

    Raises:
        ValueError: a size is not positive.
        AssertionError: H does not divide E; inputs or masks are not of the kinds above.
        RuntimeError: the sizes of a mask or of a batch do not fit.

    Cost: N·(2·L + 2·S)·E² multiply-adds for the projections and 2·N·L·S·E for the heads, twice that backward. All
        N·H·L·S weights are formed with need_weights alone.

    References: Vaswani et al. 2017, arXiv:1706.03762, section 3.2.2; Glorot & Bengio 2010 (Xavier's rule).

    See: `minimodels.functional.multi_head_attention_forward`; tests/nn/test_attention.py.

    Example:
        >>> layer, x = MultiheadAttention(8, 2, batch_first=True), torch.zeros(3, 5, 8)
        >>> output, weights = layer(x, x, x)
        >>> output.shape, weights.shape
        (torch.Size([3, 5, 8]), torch.Size([3, 5, 5]))
    """

    __constants__ = ["batch_first"]

    in_proj_weight: Parameter | None
    in_proj_bias: Parameter | None
    q_proj_weight: Parameter | None
    k_proj_weight: Parameter | None
    v_proj_weight: Parameter | None
    bias_k: Parameter | None
    bias_v: Parameter | None

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(f"embed_dim and num_heads must be positive, but are {embed_dim} and {num_heads}")
        super().__init__()
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self._qkv_same_embed_dim = self.kdim == embed_dim and self.vdim == embed_dim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.head_dim = embed_dim // num_heads
        if self.head_dim * num_heads != embed_dim:
            raise AssertionError(f"embed_dim {embed_dim} is not divisible by num_heads {num_heads}")
        self.add_zero_attn = add_zero_attn

        def register(name: str, wanted: bool, *shape: int) -> None:
            self.register_parameter(name, Parameter(torch.empty(shape, device=device, dtype=dtype)) if wanted else None)

        packed = self._qkv_same_embed_dim
        register("q_proj_weight", not packed, embed_dim, embed_dim)
        register("k_proj_weight", not packed, embed_dim, self.kdim)
        register("v_proj_weight", not packed, embed_dim, self.vdim)
        register("in_proj_weight", packed, 3 * embed_dim, embed_dim)
        register("in_proj_bias", bias, 3 * embed_dim)
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias, device, dtype)
        register("bias_k", add_bias_kv, 1, 1, embed_dim)
        register("bias_v", add_bias_kv, 1, 1, embed_dim)
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        """Draw new weights but W_o, as torch.nn does: by Xavier's rule, biases zero."""
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                init.xavier_uniform_(weight)
        for bias in (self.in_proj_bias, self.out_proj.bias):
            if bias is not None:
                init.constant_(bias, 0.0)
        for learned in (self.bias_k, self.bias_v):
            if learned is not None:
                init.xavier_normal_(learned)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take pickles from before keys and values could be of other widths."""
        super().__setstate__({"_qkv_same_embed_dim": True} | state)  # type: ignore[no-untyped-call]

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Attend.

        Args:
            query: who looks.
            key: where; the same tensor as the query for a sequence that attends to itself.
            value: what is found there.
            key_padding_mask: [N, S], [S] unbatched: True at keys that are padding, or numbers added to their scores.
            need_weights: give the weights too; without, all scores are never in memory at once.
            attn_mask: [L, S] or [N·H, L, S]: True where a query must not look, or numbers added to the scores.
            average_attn_weights: give the mean of the heads' weights, not those of each.
            is_causal: promise that attn_mask is the causal one, so that it need not be read.

        Returns:
            the output, and the weights or None.
        """
        turned = self.batch_first and query.dim() == 3
        if turned:
            query, key, value = on_each(lambda x: x.transpose(0, 1), query, key, value)
        output, weights = F.multi_head_attention_forward(
            query,
            key,
            value,
            self.embed_dim,
            self.num_heads,
            self.in_proj_weight,
            self.in_proj_bias,
            self.bias_k,
            self.bias_v,
            self.add_zero_attn,
            self.dropout,
            self.out_proj.weight,
            self.out_proj.bias,
            self.training,
            key_padding_mask,
            need_weights,
            attn_mask,
            not self._qkv_same_embed_dim,
            self.q_proj_weight,
            self.k_proj_weight,
            self.v_proj_weight,
            average_attn_weights=average_attn_weights,
            is_causal=is_causal,
        )
        return (output.transpose(0, 1) if turned else output), weights

    def merge_masks(
        self, attn_mask: Tensor | None, key_padding_mask: Tensor | None, query: Tensor
    ) -> tuple[Tensor | None, int | None]:
        """Make one mask out of two, as torch.nn's layer does for its kernels; `forward` here needs no such thing.

        Args:
            attn_mask: [L, L] or [N·H, L, L], or None.
            key_padding_mask: [N, L], or None.
            query: [N, L, E], for its sizes.

        Returns:
            the mask, [N, H, L, L] where there is an attn_mask, and its kind: 2 then, 1 for a key_padding_mask, or None.
        """
        if attn_mask is None:
            return key_padding_mask, None if key_padding_mask is None else 1
        N, L, _ = query.shape
        merged = attn_mask.view(N, -1, L, L) if attn_mask.dim() == 3 else attn_mask.expand(N, self.num_heads, L, L)
        return merged if key_padding_mask is None else merged + key_padding_mask.view(N, 1, 1, L), 2
