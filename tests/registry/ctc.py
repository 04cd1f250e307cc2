"""Connectionist temporal classification: its row."""

import torch

from minimodels import nn, testing
from minimodels.testing import Case
from tests.registry.row import Row, labels, x


def log_probs(*shape):
    return x(*shape).log_softmax(-1)


PAIR = (log_probs(6, 2, 4), torch.tensor([[1, 2], [3, 1]]))

ROWS = [
    Row(
        nn.CTCLoss,
        torch.nn.CTCLoss,
        testing.ctc_cases,
        Case((*PAIR, (6, 5), (2, 1))),
        bad=(
            Case((*PAIR, (6, 5), (2, 1)), (), {"blank": 4}),
            Case((*PAIR, (6, 5), (2, 1)), (), {"blank": -1}),
            Case((*PAIR, (6, 5), (2, 1)), (), {"reduction": "median"}),
            Case((*PAIR, (7, 5), (2, 1))),
            Case((*PAIR, torch.tensor([7, 5]), torch.tensor([2, 1]))),
            Case((*PAIR, (-1, 5), (2, 1))),
            Case((*PAIR, (6, 5), (3, 1))),
            Case((*PAIR, (6, 5), (-1, 1))),
            Case((*PAIR, (6,), (2, 1))),
            Case((*PAIR, (6, 5), (2,))),
            Case((*PAIR, torch.tensor([6.0, 5.0]), torch.tensor([2, 1]))),
            Case((PAIR[0], labels(1, 2), (6, 5), (2, 1))),
            Case((PAIR[0], labels(1, 2, 3, 3), (6, 5), (2, 1))),
            Case((PAIR[0][0, 0], PAIR[1], (6, 5), (2, 1))),
            Case((PAIR[0][None], PAIR[1], (6, 5), (2, 1))),
            Case((PAIR[0][:, :0], PAIR[1][:0], (), ())),
            Case((PAIR[0].long(), PAIR[1], (6, 5), (2, 1))),
        ),
        order=1,
        low_precision=False,
        transforms=False,
    ),
]
