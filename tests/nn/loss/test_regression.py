"""Losses between numbers as layers."""

import pytest
import torch

from minimodels import nn


@pytest.mark.parametrize("layer", [nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss])
def test_the_old_spellings_are_translated_once_at_construction(layer):
    with pytest.warns(UserWarning, match="please use reduction='sum'"):
        loss = layer(size_average=False)
    assert loss.reduction == "sum"
    loss(torch.zeros(2), torch.ones(2))  # warns no more: a warning would fail this test


def test_a_threshold_may_be_changed_afterwards():
    loss = nn.HuberLoss(reduction="sum")
    loss.delta = 2.0
    assert loss(torch.tensor([4.0]), torch.tensor([0.0])) == 6
