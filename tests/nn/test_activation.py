"""Activations as layers."""

import pytest
import torch

from minimodels import nn


def test_relu_in_place_says_so_and_does_so():
    layer, x = nn.ReLU(inplace=True), torch.tensor([-1.0, 1.0])
    assert repr(layer) == repr(torch.nn.ReLU(inplace=True))
    assert layer(x) is x


@pytest.mark.parametrize("name", ["Softmax", "LogSoftmax"])
def test_leaving_out_the_dimension_warns_at_the_caller(name):
    x, results = torch.randn(2, 3), []
    for room in (nn, torch.nn):
        with pytest.warns(UserWarning, match="Implicit dimension choice") as caught:
            results.append(getattr(room, name)()(x))
        assert caught[0].filename.endswith("module.py")  # torch's warning points into Module.__call__; so does ours
    torch.testing.assert_close(*results)


def test_the_old_names_of_hardtanhs_bounds_warn():
    layers = []
    for room in (nn, torch.nn):
        with pytest.warns(FutureWarning, match="is deprecated and renamed") as caught:
            layers.append(room.Hardtanh(min_value=-2.0, max_value=3.0))
        assert [w.filename for w in caught] == [__file__] * 2
    assert repr(layers[0]) == repr(layers[1])


@pytest.mark.parametrize("name", ["ReLU6", "LeakyReLU", "ELU", "CELU", "SELU", "SiLU", "Mish", "Hardswish", "Hardtanh"])
def test_in_place_is_handed_on(name):
    layer, x = getattr(nn, name)(inplace=True), torch.tensor([-1.0, 1.0])
    assert repr(layer) == repr(getattr(torch.nn, name)(inplace=True))
    assert layer(x) is x
