"""Layers that change the shape and nothing else: their rows."""

import torch

from minimodels import nn, testing
from minimodels.testing import Case
from tests.registry.row import Row, x

ROWS = [
    Row(
        nn.Flatten,
        torch.nn.Flatten,
        testing.flatten_cases,
        Case((x(2, 3, 4, 5),)),
        dissolves=True,
        view=True,
        bad=(Case((x(2),)), Case((x(2, 3),), (0, 5)), Case((x(2, 3, 4),), (2, 1))),
    ),
]
