"""One row a layer: ours, PyTorch's, and the cases that both are run on. Every contract test runs over every row."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from hypothesis.strategies import SearchStrategy

from minimodels import nn, testing
from minimodels.testing import Case


@dataclass(frozen=True)
class Row:
    ours: type[torch.nn.Module]
    reference: type[torch.nn.Module]
    cases: Callable[[], SearchStrategy[Case]]
    example: Case  # one plain case, for the contracts that need no search
    bad: tuple[Case, ...] = ()  # wrong calls; `inputs` empty where the constructor itself must refuse

    def __str__(self) -> str:
        return self.ours.__name__

    def _repr_pretty_(self, printer, cycle):
        printer.text(str(self))


def x(*shape: int) -> torch.Tensor:
    """A fixed input."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def labels(*numbers: int) -> torch.Tensor:
    return torch.tensor(numbers)


LAYERS = [
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
    Row(nn.ReLU, torch.nn.ReLU, testing.elementwise_cases, Case((x(2, 3, 4, 5),))),
    Row(
        nn.Flatten,
        torch.nn.Flatten,
        testing.flatten_cases,
        Case((x(2, 3, 4, 5),)),
        bad=(Case((x(2),)), Case((x(2, 3),), (0, 5)), Case((x(2, 3, 4),), (2, 1))),
    ),
    Row(
        nn.Linear,
        torch.nn.Linear,
        testing.linear_cases,
        Case((x(4, 5),), (5, 3)),
        bad=(Case((x(4, 6),), (5, 3)), Case((x(),), (5, 3)), Case((x(4, 5).float(),), (5, 3))),
    ),
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
    Row(
        nn.Dropout,
        torch.nn.Dropout,
        testing.dropout_cases,
        Case((x(20, 5),), (0.3,)),
        bad=(Case((), (1.5,)), Case((), (-0.5,)), Case((labels(1, 2, 3),), (0.5,))),
    ),
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
