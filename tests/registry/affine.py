"""Layers that connect every input with every output: their rows."""

import torch

from minimodels import nn, testing
from minimodels.testing import Case
from tests.registry.row import Row, x

ROWS = [
    Row(
        nn.Linear,
        torch.nn.Linear,
        testing.linear_cases,
        Case((x(4, 5),), (5, 3)),
        dissolves=True,
        bad=(Case((x(4, 6),), (5, 3)), Case((x(),), (5, 3)), Case((x(4, 5).float(),), (5, 3))),
    ),
]
