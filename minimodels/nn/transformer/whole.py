"""The Transformer as a whole: an encoder reads one sequence, a decoder writes another."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import Module

from minimodels import functional as F
from minimodels.nn import init
from minimodels.nn.norm import LayerNorm
from minimodels.nn.transformer.block import Activation
from minimodels.nn.transformer.decoder import TransformerDecoder, TransformerDecoderLayer
from minimodels.nn.transformer.encoder import TransformerEncoder, TransformerEncoderLayer
from minimodels.nn.transformer.stack import subsequent_mask


class Transformer(Module):
    """Read a sequence and write another: decoder(tgt, encoder(src)).

    Drop-in for torch.nn.Transformer. Both sequences come as vectors: what turns words into them, what tells their
    positions and what turns the output into words again stands around it.

    Args:
        d_model: E, features at every position.
        nhead: H, heads of each attention, which divide E.
        num_encoder_layers: how many layers read.
        num_decoder_layers: how many layers write.
        dim_feedforward: F, features within the feed-forward networks.
        dropout: probability of a zero in training.
        activation: within the networks: "relu", "gelu", or a function.
        custom_encoder: in place of the encoder.
        custom_decoder: in place of the decoder.
        layer_norm_eps: ε of the norms.
        batch_first: batches are [N, L, E] in place of [L, N, E].
        norm_first: normalise what goes into attentions and networks, not what comes out: deep stacks train at once.
        bias: learn the shifts of all maps and norms.
        device: where the parameters are.
        dtype: of what type they are.

    Shape:
        - src: [S, N, E], tgt: [T, N, E]; with batch_first N comes first; unbatched without N
        - Output: as tgt

    Attributes:
        encoder: a TransformerEncoder with a norm on top.
        decoder: a TransformerDecoder with a norm on top. All matrices are drawn by Xavier's rule.

    Raises:
        RuntimeError: batches are of different sizes, features are not E; there is no activation of this name.
        AssertionError: H does not divide E; an input or a mask is not of the kinds above.

    Cost: that of the layers: see TransformerEncoderLayer and TransformerDecoderLayer.

    References: Vaswani et al. 2017, arXiv:1706.03762, figure 1.

    See: `TransformerEncoder`, `TransformerDecoder`; tests/nn/test_transformer.py.

    Example:
        >>> model = Transformer(16, 4, num_encoder_layers=2, num_decoder_layers=2, dim_feedforward=64)
        >>> mask = model.generate_square_subsequent_mask(5)
        >>> model(torch.zeros(7, 3, 16), torch.zeros(5, 3, 16), tgt_mask=mask).shape
        torch.Size([5, 3, 16])
    """

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Activation = F.relu,
        custom_encoder: Any = None,
        custom_decoder: Any = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        where: dict[str, Any] = {"device": device, "dtype": dtype}
        settings = (d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias)

        def norm() -> LayerNorm:
            return LayerNorm(d_model, layer_norm_eps, bias=bias, **where)

        self.encoder: Module = custom_encoder
        if custom_encoder is None:
            self.encoder = TransformerEncoder(TransformerEncoderLayer(*settings, **where), num_encoder_layers, norm())
        self.decoder: Module = custom_decoder
        if custom_decoder is None:
            self.decoder = TransformerDecoder(TransformerDecoderLayer(*settings, **where), num_decoder_layers, norm())
        self.d_model = d_model
        self.nhead = nhead
        self.batch_first = batch_first
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        """Draw all matrices by Xavier's rule, as torch.nn does."""
        for parameter in self.parameters():
            if parameter.dim() > 1:
                init.xavier_uniform_(parameter)

    def forward(
        self,
        src: Tensor,
        tgt: Tensor,
        src_mask: Tensor | None = None,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """Read and write.

        Args:
            src: the sequences that are read.
            tgt: the sequences that are written; under a causal `tgt_mask` each output knows those up to its own.
            src_mask: [S, S] or [N·H, S, S]: True where a position must not look, or numbers added to the scores.
            tgt_mask: [T, T] or [N·H, T, T], likewise.
            memory_mask: [T, S] or [N·H, T, S], likewise.
            src_key_padding_mask: [N, S], [S] unbatched: True at padding, or numbers added to scores; for the encoder.
            tgt_key_padding_mask: [N, T], [T] unbatched, likewise.
            memory_key_padding_mask: [N, S], [S] unbatched, likewise: for the decoder, most often src_key_padding_mask.
            src_is_causal: promise that src_mask is the causal one; None to find out.
            tgt_is_causal: promise that tgt_mask is the causal one; None to find out.
            memory_is_causal: promise that memory_mask is.
        """
        batch_dim = 0 if self.batch_first else 1
        if src.dim() == 3 and src.shape[batch_dim] != tgt.shape[batch_dim]:
            raise RuntimeError(f"src and tgt should be batches of one size: {list(src.shape)}, {list(tgt.shape)}")
        if not src.shape[-1] == tgt.shape[-1] == self.d_model:
            raise RuntimeError(f"src and tgt should have {self.d_model} features: {list(src.shape)}, {list(tgt.shape)}")
        memory = self.encoder(src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal)
        output: Tensor = self.decoder(
            tgt,
            memory,
            tgt_mask=tgt_mask,
            memory_mask=memory_mask,
            tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask,
            tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )
        return output

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: Any = None, dtype: torch.dtype | None = None) -> Tensor:
        """Make a mask under which every position sees itself and those before it: 0 there, −∞ behind.

        Args:
            sz: how many positions.
            device: where the mask is made.
            dtype: of what type its numbers are.
        """
        return subsequent_mask(sz, device, dtype)
