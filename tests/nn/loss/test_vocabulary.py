"""LinearCrossEntropyLoss the layer."""

import torch

from minimodels import nn


def test_its_layer_is_ours_and_its_names_are_torchs():
    loss = nn.LinearCrossEntropyLoss(3, 5, out_features=(2,), bias=True, weight=torch.ones(5))
    assert isinstance(loss.linear, nn.Linear)
    shapes = {name: tuple(value.shape) for name, value in loss.state_dict().items()}
    assert shapes == {"weight": (5,), "linear.weight": (10, 3), "linear.bias": (10,)}


def test_it_learns():
    torch.manual_seed(0)
    loss = nn.LinearCrossEntropyLoss(4, 3)
    x, target = torch.randn(30, 4), torch.arange(30) % 3
    before = loss(x, target)
    before.backward()
    with torch.no_grad():
        loss.linear.weight -= 0.5 * loss.linear.weight.grad
    assert loss(x, target) < before
