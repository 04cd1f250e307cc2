"""Recurrent layers: their rows."""

import functools

import torch

from minimodels import nn, testing
from minimodels.testing import Case
from tests.registry.row import Row, labels, x

SETTINGS = (  # what every recurrent layer refuses to be built with, and what it refuses to read
    Case((), ()),
    Case((), (3,)),
    Case((), (0, 4)),
    Case((), (3.0, 4)),
    Case((), (3, 0)),
    Case((), (3, "4")),
    Case((), (3, 4, 0)),
    Case((), (3, 4, 1.5)),
    Case((), (3, 4), {"bias": 1}),
    Case((), (3, 4), {"batch_first": 0}),
    Case((), (3, 4, 2), {"dropout": True}),
    Case((), (3, 4, 2), {"dropout": -0.1}),
    Case((), (3, 4, 2), {"dropout": 1.1}),
    Case((), (3, 4, 2), {"dropout": "much"}),
    Case((), (3, 4, 2), {"dropout": None}),
    Case((), (3, 4), {"peephole": True}),
    Case((), (3, 4), {"proj_size": 4}),
    Case((), (3, 4), {"nonlinearity": "step"}),
    Case((x(5, 2, 5),), (3, 4)),
    Case((x(3),), (3, 4)),
    Case((x(1, 5, 2, 3),), (3, 4)),
    Case((x(5, 2, 3).float(),), (3, 4)),
    Case((labels(1, 2, 3).expand(5, 2, 3),), (3, 4)),
    Case((x(0, 2, 3),), (3, 4)),
    Case(([1.0, 2.0, 3.0],), (3, 4)),
)
STATE = (  # first states that a layer with one of them refuses
    Case((x(5, 2, 3), x(1, 2, 5)), (3, 4)),
    Case((x(5, 2, 3), x(1, 3, 4)), (3, 4)),
    Case((x(5, 2, 3), x(2, 2, 4)), (3, 4)),
    Case((x(5, 2, 3), x(2, 4)), (3, 4)),
    Case((x(5, 3), x(1, 1, 4)), (3, 4)),
    Case((x(5, 2, 3), x(1, 2, 4).float()), (3, 4)),
    Case((x(5, 2, 3), (x(1, 2, 4), x(1, 2, 4))), (3, 4)),
)
CELL = (  # what every cell refuses
    Case((), ()),
    Case((), (3, -4)),
    Case((), (3, 4.0)),
    Case((x(2, 5),), (3, 4)),
    Case((x(2, 2, 3),), (3, 4)),
    Case((x(),), (3, 4)),
    Case((x(2, 3).float(),), (3, 4)),
    Case((labels(1, 2, 3),), (3, 4)),
)
CELL_STATE = (
    Case((x(2, 3), x(2, 5)), (3, 4)),
    Case((x(2, 3), x(3, 4)), (3, 4)),
    Case((x(2, 3), x(4)), (3, 4)),
    Case((x(3), x(2, 4)), (3, 4)),
    Case((x(2, 3), x(1, 2, 4)), (3, 4)),
    Case((x(2, 3), x(2, 4).float()), (3, 4)),
    Case((x(2, 3), (x(2, 4), x(2, 4))), (3, 4)),
)

ROWS = [
    Row(
        nn.LSTM,
        torch.nn.LSTM,
        functools.partial(testing.recurrent_cases, "LSTM"),
        Case((x(5, 2, 3), (x(4, 2, 4), x(4, 2, 4))), (3, 4, 2), {"bidirectional": True}),
        batches=False,
        bad=(
            *SETTINGS,
            Case((), (3, 4), {"proj_size": -1}),
            Case((), (3, 4), {"proj_size": 2.0}),
            Case((x(5, 2, 3), x(1, 2, 4)), (3, 4)),
            Case((x(5, 2, 3), (x(1, 2, 4),)), (3, 4)),
            Case((x(5, 2, 3), (x(1, 2, 4), x(1, 2, 4), x(1, 2, 4))), (3, 4)),
            Case((x(5, 2, 3), (x(1, 2, 5), x(1, 2, 4))), (3, 4)),
            Case((x(5, 2, 3), (x(1, 2, 4), x(1, 2, 5))), (3, 4)),
            Case((x(5, 2, 3), (x(1, 2, 4), x(1, 2, 4))), (3, 4), {"proj_size": 2}),
            Case((x(5, 2, 3), (x(2, 4), x(2, 4))), (3, 4)),
            Case((x(5, 3), (x(1, 1, 4), x(1, 1, 4))), (3, 4)),
            Case((x(5, 2, 3), (x(1, 2, 4).float(), x(1, 2, 4).float())), (3, 4)),
        ),
    ),
    Row(
        nn.GRU,
        torch.nn.GRU,
        functools.partial(testing.recurrent_cases, "GRU"),
        Case((x(5, 2, 3), x(4, 2, 4)), (3, 4, 2), {"bidirectional": True}),
        batches=False,
        dissolves=True,
        bad=(*SETTINGS, *STATE),
    ),
    Row(
        nn.RNN,
        torch.nn.RNN,
        functools.partial(testing.recurrent_cases, "RNN"),
        Case((x(5, 2, 3), x(4, 2, 4)), (3, 4, 2), {"bidirectional": True}),
        batches=False,
        dissolves=True,
        bad=(*SETTINGS, *STATE),
    ),
    Row(
        nn.LSTMCell,
        torch.nn.LSTMCell,
        functools.partial(testing.recurrent_cell_cases, "LSTM"),
        Case((x(2, 3), (x(2, 4), x(2, 4))), (3, 4)),
        batches=False,
        dissolves=True,
        bad=(
            *CELL,
            Case((x(2, 3), x(2, 4)), (3, 4)),
            Case((x(2, 3), (x(2, 4),)), (3, 4)),
            Case((x(2, 3), (x(2, 5), x(2, 5))), (3, 4)),
            Case((x(2, 3), (x(2, 4), x(2, 5))), (3, 4)),
            Case((x(2, 3), (x(2, 4), x(3, 4))), (3, 4)),
            Case((x(2, 3), (x(1, 2, 4), x(1, 2, 4))), (3, 4)),
            Case((x(2, 3), (x(4), x(4))), (3, 4)),
            Case((x(2, 3), (x(2, 4).float(), x(2, 4).float())), (3, 4)),
        ),
    ),
    Row(
        nn.GRUCell,
        torch.nn.GRUCell,
        functools.partial(testing.recurrent_cell_cases, "GRU"),
        Case((x(2, 3), x(2, 4)), (3, 4)),
        batches=False,
        dissolves=True,
        bad=(*CELL, *CELL_STATE),
    ),
    Row(
        nn.RNNCell,
        torch.nn.RNNCell,
        functools.partial(testing.recurrent_cell_cases, "RNN"),
        Case((x(2, 3), x(2, 4)), (3, 4)),
        batches=False,
        dissolves=True,
        bad=(*CELL, *CELL_STATE, Case((x(2, 3),), (3, 4), {"nonlinearity": "step"})),
    ),
]
