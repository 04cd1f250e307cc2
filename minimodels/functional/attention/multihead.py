"""Attention by several heads side by side: each looks for something else, and one map puts together what they found."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from minimodels.functional.affine import linear
from minimodels.functional.attention import scaled_dot_product_attention
from minimodels.functional.attention.choice import attend_with_weights
from minimodels.functional.attention.multihead_arguments import (
    check_added,
    check_dimensions,
    check_sizes,
    visible_keys,
)
from minimodels.functional.matmul import product_dtype


def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Attend with H heads: y = [head_1, …, head_H]·W_oᵀ + b_o, head_h = softmax(q_h·k_hᵀ/√d + M)·v_h.

        q = x_q·W_qᵀ + b_q,  k = x_k·W_kᵀ + b_k,  v = x_v·W_vᵀ + b_v;  head h takes the features h·d to (h + 1)·d

    One divergence from PyTorch: a query that may look at no key finds zeros with `need_weights` too (weights, output of
    the heads, gradients), where PyTorch gives NaN.

    Args:
        query: x_q.
        key: x_k; where it is the query itself, or the value, one product projects both.
        value: x_v.
        embed_dim_to_check: E, which the query must have.
        num_heads: H, a divisor of E.
        in_proj_weight: W_q, W_k and W_v, one below the other.
        in_proj_bias: b_q, b_k and b_v in one row, or None.
        bias_k: a key that is learned, behind those of every sequence; None for none.
        bias_v: its value.
        add_zero_attn: put one more key, and its value, behind them: zeros, at which a head can look for nothing.
        dropout_p: probability with which a weight is zeroed in training.
        out_proj_weight: W_o.
        out_proj_bias: b_o, or None.
        training: drop weights.
        key_padding_mask: keys that are no part of a sequence: True, or numbers that are added to their scores.
        need_weights: give the weights too; all scores are then formed.
        attn_mask: M: True where a query must not look, or numbers that are added to the scores.
        use_separate_proj_weight: take the next three in place of `in_proj_weight`; keys and values may then be of other
            widths.
        q_proj_weight: W_q.
        k_proj_weight: W_k.
        v_proj_weight: W_v.
        static_k: keys of all heads, taken in place of the projected ones.
        static_v: their values.
        average_attn_weights: give the mean over the heads, not each one's weights.
        is_causal: promise that `attn_mask` is the causal one, so that it need not be read: without weights it is not.

    Shape:
        - query: [L, N, E]; key: [S, N, Ek]; value: [S, N, Ev]; all without N for one sequence
        - in_proj_weight: [3E, E]; in_proj_bias: [3E]; out_proj_weight: [E, E]; bias_k, bias_v: [1, 1, E]
        - q_proj_weight: [E, E]; k_proj_weight: [E, Ek]; v_proj_weight: [E, Ev]; static_k, static_v: [N·H, S, E/H]
        - key_padding_mask: [N, S], or [S] for one sequence; attn_mask: [L, S] or [N·H, L, S]
        - Output: [L, N, E] and, if asked for, the weights: [N, L, S], of each head [N, H, L, S]

    Raises:
        AssertionError: dimensions, widths or the kind of a mask do not fit.
        RuntimeError: the size of a mask or of a batch does not fit, or `is_causal` comes without a mask.

    Cost: N·(2·L + 2·S)·E² multiply-adds for the projections and 2·N·L·S·E for the heads, twice that backward; N·H·L·S
        numbers are kept with `need_weights`, and a multiple of N·(L + S)·E without.

    References: Vaswani et al. 2017, arXiv:1706.03762, section 3.2.2.

    See: `minimodels.nn.MultiheadAttention`; tests/functional/attention/test_multihead.py.

    Example:
        >>> x, eye = torch.ones(3, 1, 2), torch.eye(2)
        >>> W = torch.cat([eye, eye, eye])
        >>> output, weights = multi_head_attention_forward(x, x, x, 2, 2, W, None, None, None, False, 0.0, eye, None)
        >>> output.shape, weights[0, 0]
        (torch.Size([3, 1, 2]), tensor([0.3333, 0.3333, 0.3333]))
    """
    check_dimensions(query, key, value, key_padding_mask, attn_mask, num_heads)
    single = query.dim() == 2
    if single:
        query, key, value = on_each(lambda x: x.unsqueeze(1), query, key, value)
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    check_sizes(query, key, value, embed_dim_to_check, num_heads, use_separate_proj_weight)
    if is_causal and attn_mask is None:
        raise RuntimeError("is_causal promises that attn_mask is the causal one, but there is no attn_mask: give both")

    if use_separate_proj_weight:
        apart = (q_proj_weight, k_proj_weight, v_proj_weight)
        projected = _project_apart(query, key, value, apart, in_proj_bias)
    else:
        projected = _project_packed(query, key, value, in_proj_weight, in_proj_bias)
    q, k, v = (x.unflatten(-1, (num_heads, -1)).permute(1, 2, 0, 3) for x in projected)  # [N, H, L or S, d]
    check_added(q, bias_k, bias_v, static_k, static_v)
    k, v = _complete(k, static_k, bias_k, add_zero_attn), _complete(v, static_v, bias_v, add_zero_attn)
    added = (bias_k is not None) + add_zero_attn
    learned = attn_mask is not None and attn_mask.requires_grad
    is_causal = is_causal and not need_weights and (key_padding_mask is None or not (added or learned))
    mask = visible_keys(None if is_causal else attn_mask, key_padding_mask, q, k, added)

    p, weights = dropout_p if training else 0.0, None
    if need_weights:
        heads, weights = attend_with_weights(q, k, v, mask, p)  # [N, H, L, d] and [N, H, L, S]
        weights = _mean_of_heads(weights) if average_attn_weights else weights
        weights = weights.squeeze(0) if single else weights
    else:
        heads = scaled_dot_product_attention(q, k, v, mask, p, is_causal)
    y = linear(heads.permute(2, 0, 1, 3).flatten(2), out_proj_weight, out_proj_bias)  # [L, N, E]
    return y.squeeze(1) if single else y, weights


def _mean_of_heads(weights: Tensor) -> Tensor:
    """Average [N, H, L, S] over the heads: in bfloat16 as a product with a row of 1/H, where that number is exact.

    A mean that is summed in another type first writes all numbers anew in that type. Two threads of an Intel Xeon with
    units for bfloat16, milliseconds of the mean and of the product: 8x8x256x256 3.1 and 0.6, 2x8x1024x1024 23 and 2.1.
    """
    N, H, L, S = weights.shape
    exact = H & (H - 1) == 0 and weights.dtype == torch.bfloat16 and 0 not in (N, L, S)
    if torch.compiler.is_compiling() or not exact or product_dtype(weights) != weights.dtype:
        return weights.mean(1)
    return (weights.new_full((1, H), 1 / H) @ weights.flatten(2)).view(N, L, S)


def on_each(function: Callable[[Tensor], Tensor], query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, ...]:
    """Apply a function to queries, keys and values, once to those that are one tensor, so that they stay one.

    Args:
        function: what to do.
        query: the queries.
        key: the keys.
        value: the values.

    Example:
        >>> x = torch.ones(2)
        >>> q, k, v = on_each(torch.neg, x, x, torch.ones(2))
        >>> q is k, k is v
        (True, False)
    """
    q = function(query)
    k = q if key is query else function(key)
    return q, k, k if value is key else function(value)


def _project_packed(
    query: Tensor, key: Tensor, value: Tensor, weight: Tensor | None, bias: Tensor | None
) -> Sequence[Tensor]:
    """Map by [W_q; W_k; W_v]: one product for a sequence that attends to itself, two where it attends to another."""
    if weight is None:
        raise AssertionError("use_separate_proj_weight is False but in_proj_weight is None")
    if query is key and key is value:
        return _map(query, weight, bias).chunk(3, -1)
    E = query.shape[-1]
    shares = [E, 2 * E] if key is value else [E, E, E]
    biases = [None] * len(shares) if bias is None else bias.split(shares)
    products = [_map(x, W, b) for x, W, b in zip((query, key, value), weight.split(shares), biases, strict=False)]
    return [part for product in products for part in product.split(E, -1)]


def _project_apart(
    query: Tensor, key: Tensor, value: Tensor, weights: tuple[Tensor | None, ...], bias: Tensor | None
) -> Sequence[Tensor]:
    """Map each by a weight of its own."""
    E, projected = query.shape[-1], []
    biases = [None] * 3 if bias is None else bias.chunk(3)
    for name, x, weight, b in zip("qkv", (query, key, value), weights, biases, strict=True):
        if weight is None:
            raise AssertionError(f"use_separate_proj_weight is True but {name}_proj_weight is None")
        if weight.shape != (E, x.shape[-1]):
            raise AssertionError(f"{name}_proj_weight should be {(E, x.shape[-1])} but is {tuple(weight.shape)}")
        projected.append(_map(x, weight, b))
    return projected


def _map(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Map every row, in the order in which rows lie: a turned batch is not copied."""
    if x.is_contiguous():
        return linear(x, weight, bias)
    return linear(x.transpose(0, 1), weight, bias).transpose(0, 1)


def _complete(x: Tensor, static: Tensor | None, learned: Tensor | None, zeros: bool) -> Tensor:
    """Take the keys (or values) that are given, if any, and put what is learned, and what is zero, behind them."""
    N, H, _, d = x.shape
    x = x if static is None else static.unflatten(0, (N, H))
    more = [] if learned is None else [learned.view(H, 1, d).expand(N, H, 1, d)]
    more += [x.new_zeros(N, H, 1, d)] if zeros else []
    return torch.cat([x, *more], 2) if more else x
