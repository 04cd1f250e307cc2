"""Flatten the layer."""

import torch

from minimodels import nn


def test_contiguous_input_is_not_copied():
    x = torch.randn(2, 3, 4)
    assert nn.Flatten()(x).data_ptr() == x.data_ptr()
