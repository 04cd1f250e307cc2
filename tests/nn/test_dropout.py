"""Dropout the layer."""

import pytest
import torch

from minimodels import nn


def test_only_training_drops():
    layer, x = nn.Dropout(0.5), torch.ones(1000)
    assert (layer(x) == 0).any()
    assert layer.eval()(x) is x
    assert (layer.train()(x) == 0).any()


def test_in_place():
    layer, x = nn.Dropout(0.5, inplace=True), torch.ones(10)
    assert layer(x) is x


@pytest.mark.parametrize(("name", "dims"), [("Dropout1d", 1), ("Dropout2d", 2), ("Dropout3d", 3)])
def test_whole_channels_go(name, dims):
    torch.manual_seed(0)
    y = getattr(nn, name)(0.5)(torch.ones(20, 10, *[3] * dims)).flatten(2)
    assert ((y == 0).all(2) | (y == 2).all(2)).all()
    assert (y == 0).any()
    assert (y == 2).any()
