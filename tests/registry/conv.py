"""Convolutions: their rows."""

import torch

from minimodels import nn, testing
from minimodels.testing import Case
from tests.registry.row import Row, x

ROWS = [
    Row(
        nn.Conv2d,
        torch.nn.Conv2d,
        testing.conv_cases,
        Case((x(2, 4, 6, 5),), (4, 6, 3), {"padding": 1, "stride": 2, "groups": 2}),
        bad=(
            Case((), (4, 6, 3), {"groups": 0}),
            Case((), (4, 6, 3), {"groups": 3}),
            Case((), (3, 4, 3), {"groups": 3}),
            Case((), (3, 4, 3), {"padding": "half"}),
            Case((), (3, 4, 3), {"padding": "same", "stride": 2}),
            Case((), (3, 4, 3), {"padding_mode": "mirror"}),
            Case((x(2, 5, 6, 6),), (4, 6, 3)),
            Case((x(6, 6),), (4, 6, 3)),
            Case((x(1, 1, 4, 6, 6),), (4, 6, 3)),
            Case((x(2, 4, 2, 6),), (4, 6, 3)),
            Case((x(2, 4, 6, 6),), (4, 6, 3), {"stride": 0}),
            Case((x(2, 4, 6, 6),), (4, 6, 3), {"stride": (1, 1, 1)}),
            Case((x(2, 4, 6, 6),), (4, 6, 3), {"stride": 1.5}),
            Case((x(2, 4, 6, 6),), (4, 6, 3), {"dilation": 0}),
            Case((x(2, 4, 6, 6),), (4, 6, 3), {"padding": -1}),
            Case((x(2, 4, 6, 6),), (4, 6, 0)),
            Case((x(2, 4, 6, 6),), (4, 6, (3,))),
            Case((x(2, 4, 6, 6).float(),), (4, 6, 3)),
            Case((x(2, 4, 6, 6),), (4, 6, 3), {"padding": 6, "padding_mode": "reflect"}),
            Case((x(2, 4, 6, 6),), (4, 6, 3), {"padding": 7, "padding_mode": "circular"}),
        ),
    ),
]
