"""Losses: their rows."""

import torch

from minimodels import nn, testing
from minimodels.testing import Case
from tests.registry.row import Row, labels, x

ROWS = [
    Row(
        nn.CrossEntropyLoss,
        torch.nn.CrossEntropyLoss,
        testing.cross_entropy_cases,
        Case((x(4, 3), labels(0, 2, 1, -100)), (), {"label_smoothing": 0.1}),
        bad=(
            Case((x(2, 3), labels(0, 1)), (), {"reduction": "median"}),
            Case((x(2, 3), labels(0, 1).int())),
            Case((x(2, 3), labels(0, 1, 2))),
            Case((x(2, 3), labels(0, 3))),
            Case((x(2, 3), labels(0, -1)), (), {"label_smoothing": 0.1}),
            Case((x(2, 3, 4), labels(0, 1))),
            Case((x(2, 3), labels(0, 1)), (), {"label_smoothing": 1.5}),
            Case((x(2, 3), labels(0, 1)), (), {"weight": x(2)}),
            Case((x(2, 3), x(2, 3).softmax(1)), (), {"ignore_index": 1}),
            Case((x(2, 3), torch.zeros(2, 3, dtype=torch.int64))),
            Case((torch.zeros(2, 3, dtype=torch.int64), labels(0, 1))),
        ),
    ),
]
