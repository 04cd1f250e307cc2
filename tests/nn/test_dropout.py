"""Dropout the layer."""

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
