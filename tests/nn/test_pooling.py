"""MaxPool2d the layer."""

import torch

from minimodels import nn


def test_the_stride_is_the_window_unless_given():
    assert nn.MaxPool2d((2, 3)).stride == (2, 3)
    assert nn.MaxPool2d(2, stride=1).stride == 1


def test_evaluation_and_training_agree():
    """Without a derivative the places are not looked for; the numbers must be the same."""
    layer, x = nn.MaxPool2d(3, 2, 1), torch.randn(2, 3, 9, 9, requires_grad=True)
    with torch.no_grad():
        quick = layer(x)
    assert torch.equal(layer(x), quick)
