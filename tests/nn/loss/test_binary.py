"""Losses of yes-or-no questions as layers."""

import torch

from minimodels import nn


def test_both_weights_are_buffers_that_move_and_are_saved():
    loss = nn.BCEWithLogitsLoss(torch.ones(2), pos_weight=torch.ones(2))
    assert list(loss.state_dict()) == ["weight", "pos_weight"]
    assert loss.double().pos_weight.dtype is torch.float64
    assert list(nn.BCELoss(torch.ones(2)).state_dict()) == ["weight"]
    assert list(nn.BCEWithLogitsLoss().state_dict()) == []
