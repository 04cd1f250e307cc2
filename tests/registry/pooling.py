"""Pooling: their rows."""

import torch

from minimodels import nn, testing
from minimodels.testing import Case
from tests.registry.row import Row, x

ROWS = [
    Row(
        nn.MaxPool2d,
        torch.nn.MaxPool2d,
        testing.pool_cases,
        Case((x(2, 3, 7, 6),), (3,), {"stride": 2, "padding": 1}),
        bad=(
            Case((x(3, 4),), (2,)),
            Case((x(1, 1, 1, 5, 5),), (2,)),
            Case((x(1, 1, 5, 5),), (2,), {"stride": 0}),
            Case((x(1, 1, 5, 5),), (2,), {"dilation": 0}),
            Case((x(1, 1, 5, 5),), (2,), {"padding": 2}),
            Case((x(1, 1, 5, 5),), (2,), {"padding": -1}),
            Case((x(1, 1, 9, 9),), (3,), {"padding": 2, "dilation": 2}),
            Case((x(1, 1, 5, 5),), ((2, 2, 2),)),
            Case((x(1, 1, 1, 1),), (2,)),
            Case((x(1, 0, 5, 5),), (2,)),
            Case((x(0, 5, 5),), (2,)),
            Case((x(1, 1, 5, 5) > 0,), (2,)),
            Case((x(1, 1, 5, 5) * 1j,), (2,)),
        ),
    ),
]
