"""Dropouts: their rows."""

import torch

from minimodels import nn, testing
from minimodels.testing import Case
from tests.registry.row import Row, labels, x

ROWS = [
    Row(
        nn.Dropout,
        torch.nn.Dropout,
        testing.dropout_cases,
        Case((x(20, 5),), (0.3,)),
        random=True,
        dissolves=True,
        bad=(Case((), (1.5,)), Case((), (-0.5,)), Case((labels(1, 2, 3),), (0.5,))),
    ),
]
