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
