"""Linear the layer."""

import torch

from minimodels import nn


def test_weights_lie_within_the_bound_and_fill_it():
    layer = nn.Linear(100, 400)
    for parameter in (layer.weight, layer.bias):
        assert 0.095 < parameter.abs().max() <= 0.1


def test_the_size_can_be_read_from_the_layer():
    layer = nn.Linear(3, 4, bias=False)
    assert (layer.in_features, layer.out_features, layer.bias) == (3, 4, None)


def test_no_inputs_give_the_bias():
    layer = nn.Linear(2, 3)
    assert torch.equal(layer(torch.zeros(5, 2)), layer.bias.expand(5, 3))
