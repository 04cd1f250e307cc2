"""Embeddings: their rows."""

import torch

from minimodels import nn, testing
from minimodels.testing import Case
from tests.registry.row import Row, labels, x

ROWS = [
    Row(
        nn.Embedding,
        torch.nn.Embedding,
        testing.embedding_cases,
        Case((labels(3, 0, 3, 1),), (5, 3), {"padding_idx": 2}),
        bad=(
            Case((), (5, 3), {"padding_idx": 5}),
            Case((), (5, 3), {"padding_idx": -6}),
            Case((), (5, 3), {"_weight": x(5, 2)}),
            Case((), (-1, 3)),
            Case((labels(5),), (5, 3)),
            Case((labels(-1),), (5, 3)),
            Case((labels(5),), (5, 3), {"max_norm": 1.0}),
            Case((x(2),), (5, 3)),
            Case((labels(1) > 0,), (5, 3)),
            Case((labels(1).to(torch.uint8),), (5, 3)),
            Case((labels(1).to(torch.int16),), (5, 3)),
        ),
    ),
]
