"""Dropouts: their rows."""

import functools

import torch

from minimodels import nn, testing
from minimodels.testing import Case
from tests.registry.row import Row, labels, x

CALLS = (Case((), (1.5,)), Case((), (-0.5,)))

ROWS = [
    Row(
        nn.Dropout,
        torch.nn.Dropout,
        testing.dropout_cases,
        Case((x(20, 5),), (0.3,)),
        random=True,
        dissolves=True,
        bad=(*CALLS, Case((labels(1, 2, 3),), (0.5,))),
    ),
    Row(
        nn.Dropout1d,
        torch.nn.Dropout1d,
        functools.partial(testing.channel_dropout_cases, 1),
        Case((x(20, 5, 2),), (0.3,)),
        random=True,
        dissolves=True,
        bad=(*CALLS, Case((x(3),)), Case((x(1, 2, 3, 4),)), Case((labels(1, 2).view(1, 2),))),
    ),
    Row(
        nn.Dropout2d,
        torch.nn.Dropout2d,
        functools.partial(testing.channel_dropout_cases, 2),
        Case((x(10, 5, 2, 3),), (0.3,)),
        random=True,
        dissolves=True,
        bad=(*CALLS, Case((labels(1, 2).view(1, 2, 1, 1),))),
    ),
    Row(
        nn.Dropout3d,
        torch.nn.Dropout3d,
        functools.partial(testing.channel_dropout_cases, 3),
        Case((x(10, 5, 2, 3, 1),), (0.3,)),
        random=True,
        dissolves=True,
        bad=(*CALLS, Case((labels(1, 2).view(2, 1, 1, 1),))),
    ),
]
