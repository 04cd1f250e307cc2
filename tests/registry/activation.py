"""Activations: their rows."""

import torch

from minimodels import nn, testing
from minimodels.testing import Case
from tests.registry.row import Row, labels, x

ROWS = [
    Row(nn.ReLU, torch.nn.ReLU, testing.elementwise_cases, Case((x(2, 3, 4, 5),)), dissolves=True),
    Row(
        nn.Softmax,
        torch.nn.Softmax,
        testing.softmax_cases,
        Case((x(4, 5),), (), {"dim": 1}),
        bad=(
            Case((x(4, 5),), (), {"dim": 2}),
            Case((x(),), (), {"dim": 1}),
            Case((labels(1, 2),), (), {"dim": 0}),
            Case((x(2) * 1j,), (), {"dim": 0}),
        ),
    ),
    Row(
        nn.LogSoftmax,
        torch.nn.LogSoftmax,
        testing.softmax_cases,
        Case((x(4, 5),), (), {"dim": 1}),
        bad=(Case((x(4, 5),), (), {"dim": -3}), Case((labels(1, 2),), (), {"dim": 0})),
    ),
]
