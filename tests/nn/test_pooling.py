"""Pooling layers: what is theirs and not the arithmetic's."""

import pytest
import torch

from minimodels import nn


def test_the_stride_is_the_window_unless_given():
    assert nn.MaxPool2d((2, 3)).stride == (2, 3)
    assert nn.MaxPool2d(2, stride=1).stride == 1
    assert nn.AvgPool1d(2).stride == (2,)
    assert nn.AvgPool3d(2).stride == 2


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_evaluation_and_training_agree(dims):
    """Without a derivative the places are not looked for; the numbers must be the same."""
    layer, x = getattr(nn, f"MaxPool{dims}d")(3, 2, 1), torch.randn(2, 3, *(9,) * dims, requires_grad=True)
    with torch.no_grad():
        quick = layer(x)
    assert torch.equal(layer(x), quick)
