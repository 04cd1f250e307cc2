"""Flatten, its inverse, and the layer that does nothing."""

import torch

from minimodels import nn


def test_contiguous_input_is_not_copied():
    x = torch.randn(2, 3, 4)
    assert nn.Flatten()(x).data_ptr() == x.data_ptr()


def test_unflatten_undoes_flatten():
    x = torch.randn(2, 3, 4)
    assert torch.equal(nn.Unflatten(1, (3, 4))(nn.Flatten()(x)), x)


def test_identity_takes_anything_and_does_nothing():
    x = torch.randn(2)
    assert nn.Identity(54, unused=True)(x) is x
    assert repr(nn.Identity(54)) == repr(torch.nn.Identity(54))
