"""The decoder: every position looks at its own sequence, and then at what the encoder read."""

from torch import Tensor
from torch.nn import Module

from minimodels.nn.attention import MultiheadAttention
from minimodels.nn.dropout import Dropout
from minimodels.nn.norm import LayerNorm
from minimodels.nn.transformer.block import Block
from minimodels.nn.transformer.stack import Stack


class TransformerDecoderLayer(Block):
    """Let every position gather from its own sequence, then from the encoder's, then think for itself.

        x ← norm1(x + attention(x)),  x ← norm2(x + attention(x, memory)),  x ← norm3(x + W_2·f(W_1·x + b_1) + b_2)

    Drop-in for torch.nn.TransformerDecoderLayer; with norm_first x ← x + attention(norm1(x)) and so on.

    Args:
        d_model: E, features at every position.
        nhead: H, heads of each attention, which divide E.
        dim_feedforward: F, features within the feed-forward network.
        dropout: probability of a zero in training: among attention weights, in the network, and behind all three.
        activation: f: "relu", "gelu", or a function.
        layer_norm_eps: ε of the norms.
        batch_first: batches are [N, T, E] in place of [T, N, E].
        norm_first: normalise what goes into attentions and network, not what comes out: deep stacks then train at once.
        bias: learn the shifts of all maps and norms.
        device: where the parameters are.
        dtype: of what type they are.

    Shape:
        - tgt: [T, N, E], memory: [S, N, E]; with batch_first N comes first; unbatched without N
        - Output: as tgt

    Attributes:
        self_attn: the attention within tgt, a MultiheadAttention.
        multihead_attn: the attention to the memory, likewise.
        linear1: W_1 [F, E] and b_1; `linear2` W_2 [E, F] and b_2.
        norm1: the first attention's LayerNorm; `norm2` the second's, `norm3` the network's.

    Raises:
        RuntimeError: there is no activation of this name; the size of a mask or of a batch does not fit.
        AssertionError: H does not divide E; an input or a mask is not of the kinds above.

    Cost: N·(T·(6·E² + 2·E·F) + 2·S·E² + 2·T·(T + S)·E) multiply-adds forward, twice that backward.

    References: Vaswani et al. 2017, arXiv:1706.03762, section 3.1; Xiong et al. 2020, arXiv:2002.04745 (norm_first).

    See: `minimodels.nn.MultiheadAttention`; tests/nn/test_transformer.py.

    Example:
        >>> import torch
        >>> layer = TransformerDecoderLayer(16, nhead=4, dim_feedforward=64)
        >>> layer(torch.zeros(5, 3, 16), memory=torch.zeros(7, 3, 16)).shape
        torch.Size([5, 3, 16])
    """

    attentions = ("self_attn", "multihead_attn")

    multihead_attn: MultiheadAttention
    norm3: LayerNorm
    dropout3: Dropout

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """Decode.

        Args:
            tgt: the sequences that are written.
            memory: what the encoder made of those that were read.
            tgt_mask: [T, T] or [N·H, T, T]: True where a position must not look, or numbers added to the scores.
            memory_mask: [T, S] or [N·H, T, S], likewise.
            tgt_key_padding_mask: [N, T], [T] unbatched: True at padding, or numbers added to the scores.
            memory_key_padding_mask: [N, S], [S] unbatched, likewise.
            tgt_is_causal: promise that tgt_mask is the causal one, so that it need not be read.
            memory_is_causal: promise the same of memory_mask.
        """
        x = self._residual(tgt, self.norm1, lambda x: self._sa_block(x, tgt_mask, tgt_key_padding_mask, tgt_is_causal))
        x = self._residual(
            x,
            self.norm2,
            lambda x: self._mha_block(x, memory, memory_mask, memory_key_padding_mask, memory_is_causal),
        )
        return self._residual(x, self.norm3, self._ff_block)

    def _mha_block(
        self,
        x: Tensor,
        mem: Tensor,
        attn_mask: Tensor | None,
        key_padding_mask: Tensor | None,
        is_causal: bool = False,
    ) -> Tensor:
        """Let every position gather from the memory."""
        masks = {"attn_mask": attn_mask, "key_padding_mask": key_padding_mask, "is_causal": is_causal}
        gathered, _ = self.multihead_attn(x, mem, mem, need_weights=False, **masks)
        y: Tensor = self.dropout2(gathered)
        return y

    def _ff_block(self, x: Tensor) -> Tensor:
        y: Tensor = self.dropout3(self._network(x))
        return y


class TransformerDecoder(Stack):
    """Write a sequence with layer upon layer: N copies of one decoder layer, and a norm.

    Drop-in for torch.nn.TransformerDecoder.

    Args:
        decoder_layer: what is copied; the copies start from its weights, all the same.
        num_layers: how many.
        norm: what the last one's output goes through, or None.

    Shape:
        - tgt: [T, N, E], memory: [S, N, E]; with batch_first N comes first; unbatched without N
        - Output: as tgt

    Attributes:
        layers: the copies, from the first to the last.

    Raises:
        RuntimeError: as a layer.
        AssertionError: likewise.

    Cost: that of the layers and of the norm.

    References: Vaswani et al. 2017, arXiv:1706.03762, section 3.1.

    See: `TransformerDecoderLayer`; tests/nn/test_transformer.py.

    Example:
        >>> import torch
        >>> layer = TransformerDecoderLayer(16, nhead=4, dim_feedforward=64)
        >>> TransformerDecoder(layer, num_layers=2)(torch.zeros(5, 3, 16), torch.zeros(7, 3, 16)).shape
        torch.Size([5, 3, 16])
    """

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__(decoder_layer, num_layers, norm)

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """Decode.

        Args:
            tgt: the sequences that are written.
            memory: what the encoder made of those that were read.
            tgt_mask: [T, T] or [N·H, T, T]: True where a position must not look, or numbers added to the scores.
            memory_mask: [T, S] or [N·H, T, S], likewise.
            tgt_key_padding_mask: [N, T], [T] unbatched: True at padding, or numbers added to the scores.
            memory_key_padding_mask: [N, S], [S] unbatched, likewise.
            tgt_is_causal: promise that tgt_mask is the causal one; None to find out.
            memory_is_causal: promise that memory_mask is.
        """
        return self._through(
            tgt,
            memory,
            tgt_mask=tgt_mask,
            memory_mask=memory_mask,
            tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask,
            tgt_is_causal=self._is_causal(tgt, tgt_mask, tgt_is_causal),
            memory_is_causal=memory_is_causal,
        )
