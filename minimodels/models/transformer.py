"""The Transformer of the paper: an encoder reads a sequence of tokens, a decoder writes another, token by token."""

import math

import torch
from torch import Tensor

from minimodels import functional as F
from minimodels import nn


class Seq2SeqTransformer(nn.Module):
    """Translate: P(t_i | t_1 … t_{i−1}, s_1 … s_S) = softmax(E·decoder(√D·E[t] + e, encoder(√D·E[s] + e))_i).

    One table E of vectors serves both sides and the output; e are the sinusoidal positions. What is padding in the
    source nobody looks at, and no position of the target sees what comes later.

    Args:
        vocab_size: V, tokens that both sides share.
        d_model: D, numbers a token.
        nhead: heads of each attention, which divide D.
        num_encoder_layers: layers that read.
        num_decoder_layers: layers that write.
        dim_feedforward: width of the feed-forward networks.
        dropout: probability of a zero while training, also of what goes into the first layers.
        pad: the token that fills up a batch, behind the others.
        norm_first: normalise what goes into a sublayer, and once at the end, instead of what comes out as in the paper;
            it then trains without a warm-up of the learning rate.

    Shape:
        - source: [N, S]; target: [N, T], of int64
        - Output: logits [N, T, V]

    Attributes:
        embedding: E, one vector a token, drawn with σ = 1/√D; all other matrices are drawn by Xavier's rule.
        encoder: the stack that reads.
        decoder: the stack that writes.

    Raises:
        AssertionError: the heads do not divide D.
        IndexError: a token is not in the vocabulary.

    Cost: that of the layers, and N·T·D·V multiply-adds for the logits.

    References: Vaswani et al. 2017, arXiv:1706.03762; Press & Wolf 2017, arXiv:1608.05859 (one table for all); Xiong et
        al. 2020, arXiv:2002.04745 (norm_first).

    See: `minimodels.nn.TransformerDecoderLayer`; tests/models/test_transformer.py.

    Example:
        >>> model = Seq2SeqTransformer(vocab_size=20, d_model=16, nhead=4, dim_feedforward=32)
        >>> source, target = torch.tensor([[5, 6, 7, 0]]), torch.tensor([[1, 7, 6, 5, 2]])  # 1 begins, 2 ends
        >>> logits = model(source, target[:, :-1])  # each position scores the token that follows
        >>> smoothed = nn.CrossEntropyLoss(ignore_index=0, label_smoothing=0.1)
        >>> smoothed(logits.transpose(1, 2), target[:, 1:]).backward()
    """

    def __init__(
        self,
        vocab_size: int,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        pad: int = 0,
        norm_first: bool = False,
    ) -> None:
        super().__init__()
        self.pad = pad
        self.scale = math.sqrt(d_model)
        self.embedding = nn.Embedding(vocab_size, d_model)
        self.positions = nn.SinusoidalPositionalEmbedding(d_model)
        self.dropout = nn.Dropout(dropout)
        reads, writes = (
            layer(d_model, nhead, dim_feedforward, dropout, batch_first=True, norm_first=norm_first)
            for layer in (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)
        )
        last = [nn.LayerNorm(d_model) if norm_first else None for _ in range(2)]
        self.encoder = nn.TransformerEncoder(reads, num_encoder_layers, last[0])
        self.decoder = nn.TransformerDecoder(writes, num_decoder_layers, last[1])
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new weights: what enters the first layers has variance 1, and so have the first logits."""
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
        nn.init.normal_(self.embedding.weight, std=1 / self.scale)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Score every token of the vocabulary as the next one, behind each position of the target.

        Args:
            source: what is read.
            target: what is written, from the token that begins it on, without the last.
        """
        return self.decode(target, self.encode(source), source == self.pad)

    def encode(self, source: Tensor) -> Tensor:
        """Read.

        Args:
            source: the tokens.

        Shape:
            source [N, S]; Output [N, S, D]
        """
        return self.encoder(self._embedded(source), src_key_padding_mask=source == self.pad)  # type: ignore[no-any-return]

    def decode(self, target: Tensor, memory: Tensor, padding: Tensor) -> Tensor:
        """Score what may be written next, behind each position.

        Padding stands behind the target's own tokens, and they do not look there: causality hides it.

        Args:
            target: what is written so far.
            memory: what the encoder made of the source.
            padding: True where the source is padding.

        Shape:
            target [N, T]; memory [N, S, D]; padding [N, S]; Output [N, T, V]
        """
        later = ~F.causal_mask(target.shape[1], target.shape[1], device=target.device)  # True: must not look
        hidden = self.decoder(
            self._embedded(target), memory, tgt_mask=later, tgt_is_causal=True, memory_key_padding_mask=padding
        )
        return F.linear(hidden, self.embedding.weight)

    @torch.no_grad()
    def generate(self, source: Tensor, bos: int, eos: int, max_length: int) -> Tensor:
        """Write what is most likely, one token after the other; call `eval` before, so that nothing is dropped.

        The source is read once. What is written is read anew for every token: T passes over T tokens at most, where a
        cache of keys and values would do with T passes over one.

        Args:
            source: what is read.
            bos: the token that a target begins with.
            eos: the token that ends it.
            max_length: tokens that are written at most.

        Shape:
            source [N, S]; Output [N, t] with t ≤ max_length: what was written, up to and with `eos`, then padding
        """
        memory, padding = self.encode(source), source == self.pad
        written = source.new_full((len(source), 1), bos)
        ended = torch.zeros(len(source), dtype=torch.bool, device=source.device)
        while written.shape[1] <= max_length and not ended.all():
            token = self.decode(written, memory, padding)[:, -1].argmax(-1).masked_fill(ended, self.pad)  # [N]
            written = torch.cat([written, token[:, None]], dim=1)
            ended = ended | (token == eos)
        return written[:, 1:]

    def _embedded(self, tokens: Tensor) -> Tensor:
        return self.dropout(self.positions(self.embedding(tokens) * self.scale))  # type: ignore[no-any-return]
