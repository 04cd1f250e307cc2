"""The baseline that a recurrent network has to beat: which pairs of tokens stand side by side, and nothing else."""

import torch
from torch import Tensor

from minimodels import nn


class BigramLogistic(nn.Module):
    """Logistic regression on pairs of neighbours: logit = b + (1/√T) Σ_t (u[x_t] + w[x_t, x_{t+1}]).

    It knows nothing of order beyond two tokens, so that what a recurrent network does better is what it remembers.
    Of a large vocabulary the pairs share a table: pair (i, j) has the weight number (i·vocabulary + j) mod `buckets`.

    Args:
        vocabulary: how many tokens there are; 0 is padding.
        buckets: weights for pairs at the most; vocabulary² of them give every pair one of its own.

    Shape:
        - tokens: [N, T]; lengths: [N]
        - Output: [N], logits

    References: Wang & Manning 2012, "Baselines and bigrams", ACL (bigrams as features); Weinberger et al. 2009,
        arXiv:0902.2206 (the shared table).

    See: tests/models/test_bigram.py.

    Example:
        >>> BigramLogistic(vocabulary=50)(torch.tensor([[7, 3, 0], [1, 2, 3]]), torch.tensor([2, 3])).shape
        torch.Size([2])
    """

    def __init__(self, vocabulary: int, buckets: int = 1 << 18) -> None:
        super().__init__()
        self.vocabulary, self.buckets = vocabulary, min(buckets, vocabulary**2)
        self.single = nn.Embedding(vocabulary, 1, padding_idx=0)
        self.pair = nn.Embedding(self.buckets, 1)
        self.bias = nn.Parameter(torch.zeros(()))
        nn.init.zeros_(self.single.weight)
        nn.init.zeros_(self.pair.weight)

    def forward(self, tokens: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Weigh each text.

        Args:
            tokens: [N, T] of int64.
            lengths: T of each text; None means that all are as long as the tensor.
        """
        if lengths is None:
            lengths = torch.full_like(tokens[:, 0], tokens.shape[1])
        pairs = (tokens[:, :-1] * self.vocabulary + tokens[:, 1:]) % self.buckets  # [N, T − 1]
        inside = torch.arange(1, tokens.shape[1], device=tokens.device) < lengths[:, None]
        singles = self.single(tokens).squeeze(2).sum(1)  # padding weighs nothing
        neighbours = (self.pair(pairs).squeeze(2) * inside).sum(1)
        logits: Tensor = self.bias + (singles + neighbours) / lengths.sqrt()
        return logits
