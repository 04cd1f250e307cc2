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
    Row(
        nn.Unflatten,
        torch.nn.Unflatten,
        testing.unflatten_cases,
        Case((x(2, 12),), (1, (3, 4))),
        dissolves=True,
        view=True,
        bad=(
            Case((), (1, 12)),
            Case((), (1, (3, 4.0))),
            Case((), (1, None)),
            Case((x(2, 12),), (1, (3, 5))),
            Case((x(2, 12),), (2, (3, 4))),
            Case((x(2, 12),), (1, ())),
            Case((x(2, 12),), (1, (-1, -1))),
            Case((x(),), (0, (1,))),
        ),
    ),
    Row(
        nn.Identity,
        torch.nn.Identity,
        testing.elementwise_cases,
        Case((x(2, 3),), (64, "anything"), {"bias": False}),
        dissolves=True,
        view=True,
    ),
]
