"""The encoder: every position looks at all positions of one sequence."""

from torch import Tensor
from torch.nn import Module

from minimodels.nn.transformer.block import Block
from minimodels.nn.transformer.stack import Stack


class TransformerEncoderLayer(Block):
    """Let every position gather from its whole sequence, then think for itself.

        x ← norm1(x + attention(x)),  x ← norm2(x + W_2·f(W_1·x + b_1) + b_2)

    Drop-in for torch.nn.TransformerEncoderLayer; with norm_first x ← x + attention(norm1(x)) and so on. Where one may
    look nowhere, attention adds its b_o alone; so does PyTorch's in training, but in evaluation it gives NaN.

    Args:
        d_model: E, features at every position.
        nhead: H, heads of the attention, which divide E.
        dim_feedforward: F, features within the feed-forward network.
        dropout: probability of a zero in training: among attention weights, in the network, and behind both.
        activation: f: "relu", "gelu", or a function.
        layer_norm_eps: ε of the norms.
        batch_first: batches are [N, L, E] in place of [L, N, E].
        norm_first: normalise what goes into attention and network, not what comes out: deep stacks then train at once.
        bias: learn the shifts of all maps and norms.
        device: where the parameters are.
        dtype: of what type they are.

    Shape:
        - src: [L, N, E], with batch_first [N, L, E]; unbatched [L, E]
        - Output: as src

    Attributes:
        self_attn: the attention, a MultiheadAttention.
        linear1: W_1 [F, E] and b_1; `linear2` W_2 [E, F] and b_2.
        norm1: the attention's LayerNorm; `norm2` the network's.

    Raises:
        RuntimeError: there is no activation of this name; the size of a mask does not fit.
        AssertionError: H does not divide E; the input or a mask is not of the kinds above.

    Cost: N·L·(4·E² + 2·E·F + 2·L·E) multiply-adds forward, twice that backward.

    References: Vaswani et al. 2017, arXiv:1706.03762, section 3.1; Xiong et al. 2020, arXiv:2002.04745 (norm_first).

    See: `minimodels.nn.MultiheadAttention`; tests/nn/test_transformer.py.

    Example:
        >>> import torch
        >>> TransformerEncoderLayer(16, nhead=4, dim_feedforward=64)(torch.zeros(5, 3, 16)).shape
        torch.Size([5, 3, 16])
    """

    attentions = ("self_attn",)

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        """Encode.

        Args:
            src: the sequences.
            src_mask: [L, L] or [N·H, L, L]: True where a position must not look, or numbers added to the scores.
            src_key_padding_mask: [N, L], [L] unbatched: True at padding, or numbers added to the scores.
            is_causal: promise that src_mask is the causal one, so that it need not be read.
        """
        x = self._residual(
            src, self.norm1, lambda x: self._sa_block(x, src_mask, src_key_padding_mask, is_causal=is_causal)
        )
        return self._residual(x, self.norm2, self._ff_block)

    def _ff_block(self, x: Tensor) -> Tensor:
        y: Tensor = self.dropout2(self._network(x))
        return y


class TransformerEncoder(Stack):
    """Read a sequence with layer upon layer: N copies of one encoder layer, and a norm.

    Drop-in for torch.nn.TransformerEncoder. No nested tensors inside: what stands at padding is computed too, whereas
    PyTorch's encoder, in evaluation without gradients, puts zeros there (where it can: batch_first, two heads or more,
    padding at the end). At all other positions the two are equal.

    Args:
        encoder_layer: what is copied; the copies start from its weights, all the same.
        num_layers: how many.
        norm: what the last one's output goes through, or None.
        enable_nested_tensor: taken for PyTorch's sake; nothing depends on it.
        mask_check: likewise.

    Shape:
        - src: [L, N, E], with batch_first [N, L, E]; unbatched [L, E]
        - Output: as src

    Attributes:
        layers: the copies, from the first to the last.

    Raises:
        RuntimeError: as a layer.
        AssertionError: likewise.

    Cost: that of the layers and of the norm.

    References: Vaswani et al. 2017, arXiv:1706.03762, section 3.1.

    See: `TransformerEncoderLayer`; tests/nn/test_transformer.py.

    Example:
        >>> import torch
        >>> layer = TransformerEncoderLayer(16, nhead=4, dim_feedforward=64)
        >>> TransformerEncoder(layer, num_layers=2)(torch.zeros(5, 3, 16)).shape
        torch.Size([5, 3, 16])
    """

    def __init__(
        self,
        encoder_layer: Module,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        super().__init__(encoder_layer, num_layers, norm)
        self.enable_nested_tensor = enable_nested_tensor
        self.mask_check = mask_check

    def forward(
        self,
        src: Tensor,
        mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool | None = None,
    ) -> Tensor:
        """Encode.

        Args:
            src: the sequences.
            mask: [L, L] or [N·H, L, L]: True where a position must not look, or numbers added to the scores.
            src_key_padding_mask: [N, L], [L] unbatched: True at padding, or numbers added to the scores.
            is_causal: promise that `mask` is the causal one; None to find out.
        """
        is_causal = self._is_causal(src, mask, is_causal)
        return self._through(src, src_mask=mask, src_key_padding_mask=src_key_padding_mask, is_causal=is_causal)
