"""CrossEntropyLoss the layer."""

import pytest
import torch

from minimodels import nn


def test_the_weight_is_a_buffer_that_moves_and_is_saved():
    loss = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0]))
    assert list(loss.state_dict()) == ["weight"]
    assert loss.double().weight.dtype is torch.float64
    assert list(nn.CrossEntropyLoss().state_dict()) == []


@pytest.mark.parametrize(("kwargs", "reduction"), [({"size_average": False}, "sum"), ({"reduce": False}, "none")])
def test_the_old_spellings_are_translated_once_at_construction(kwargs, reduction):
    with pytest.warns(UserWarning, match="please use reduction="):
        loss = nn.CrossEntropyLoss(**kwargs)
    assert loss.reduction == reduction
    loss(torch.randn(2, 3), torch.tensor([0, 1]))  # warns no more: a warning would fail this test
