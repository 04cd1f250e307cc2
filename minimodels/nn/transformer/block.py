"""What the layers of encoder and decoder share: sublayers, each with a residual around it and a norm at one end."""

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import Module

from minimodels import functional as F
from minimodels.nn.affine import Linear
from minimodels.nn.attention import MultiheadAttention
from minimodels.nn.dropout import Dropout
from minimodels.nn.norm import LayerNorm

Activation = Callable[[Tensor], Tensor]

ACTIVATIONS: dict[str, Activation] = {"relu": F.relu, "gelu": F.gelu}
"""Activations that can be given by name."""


class Block(Module):
    """Attentions and then a feed-forward network: sublayers, each with a residual and a norm.

        x ← norm(x + f(x)),  with norm_first x ← x + f(norm(x))

    Args:
        d_model: E, features at every position.
        nhead: H, heads of each attention.
        dim_feedforward: F, features within the feed-forward network.
        dropout: probability of a zero in training: among attention weights, in the network, and behind each sublayer.
        activation: within the network: "relu", "gelu", or a function.
        layer_norm_eps: ε of the norms.
        batch_first: batches are [N, L, E] in place of [L, N, E].
        norm_first: normalise what goes into a sublayer, not what comes out.
        bias: learn the shifts of all maps and norms.
        device: where the parameters are.
        dtype: of what type they are.

    Raises:
        RuntimeError: there is no activation of this name.
    """

    __constants__ = ["norm_first"]

    attentions: ClassVar[tuple[str, ...]]
    """Their names, in the order in which their weights are drawn."""

    self_attn: MultiheadAttention
    norm1: LayerNorm
    norm2: LayerNorm
    dropout1: Dropout
    dropout2: Dropout

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Activation = F.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        where: dict[str, Any] = {"device": device, "dtype": dtype}
        for name in self.attentions:
            attention = MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, **where)
            self.add_module(name, attention)
        self.linear1 = Linear(d_model, dim_feedforward, bias, **where)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, **where)
        self.norm_first = norm_first
        sublayers = range(1, len(self.attentions) + 2)
        for i in sublayers:
            self.add_module(f"norm{i}", LayerNorm(d_model, layer_norm_eps, bias=bias, **where))
        for i in sublayers:
            self.add_module(f"dropout{i}", Dropout(dropout))
        if isinstance(activation, str):
            if activation not in ACTIVATIONS:
                raise RuntimeError(f"activation should be {' or '.join(ACTIVATIONS)}, or a function, not {activation}")
            activation = ACTIVATIONS[activation]
        self.activation = activation

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take pickles from before there was a choice of activation."""
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        if not hasattr(self, "activation"):
            self.activation = F.relu

    def _residual(self, x: Tensor, norm: LayerNorm, sublayer: Callable[[Tensor], Tensor]) -> Tensor:
        """Add to x what a sublayer makes of it, and normalise before or after."""
        return x + sublayer(norm(x)) if self.norm_first else norm(x + sublayer(x))

    def _sa_block(
        self, x: Tensor, attn_mask: Tensor | None, key_padding_mask: Tensor | None, is_causal: bool = False
    ) -> Tensor:
        """Let every position gather from its own sequence."""
        masks = {"attn_mask": attn_mask, "key_padding_mask": key_padding_mask, "is_causal": is_causal}
        gathered, _ = self.self_attn(x, x, x, need_weights=False, **masks)
        y: Tensor = self.dropout1(gathered)
        return y

    def _network(self, x: Tensor) -> Tensor:
        """Let every position think for itself: W_2·f(W_1·x + b_1) + b_2."""
        y: Tensor = self.linear2(self.dropout(self.activation(self.linear1(x))))
        return y
