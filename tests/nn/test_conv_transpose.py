"""Transposed convolutions as layers: what they keep and find out beside the arithmetic."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels import nn

LAYERS = [(nn.ConvTranspose1d, 1), (nn.ConvTranspose2d, 2), (nn.ConvTranspose3d, 3)]


@given(size=st.integers(3, 12), kernel=st.integers(1, 3), stride=st.integers(1, 3), dilation=st.integers(1, 2))
def test_output_size_leads_back_to_every_size(size, kernel, stride, dilation):
    """A strided convolution rounds sizes; told which one it was, the transposed one gives it back."""
    size = max(size, dilation * (kernel - 1) + 1)
    settings = {"stride": stride, "dilation": dilation}
    x = torch.zeros(2, 1, size)
    down, up = nn.Conv1d(1, 3, kernel, **settings), nn.ConvTranspose1d(3, 1, kernel, **settings)
    assert up(down(x), output_size=[size]).shape == up(down(x), output_size=x.shape).shape == x.shape
    assert up(down(x)[0], output_size=x.shape[1:]).shape == x.shape[1:]


@pytest.mark.parametrize(("layer", "dims"), LAYERS)
def test_attributes_that_other_tools_read(layer, dims):
    arguments = (4, 6, 3, 2, 1, 1, 2)
    ours, reference = layer(*arguments), getattr(torch.nn, layer.__name__)(*arguments)
    for name in ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "transposed",
                 "output_padding", "padding_mode"):  # fmt: skip
        assert getattr(ours, name) == getattr(reference, name), name
    assert ours.__constants__ == reference.__constants__


def test_weights_lie_within_the_bound_and_fill_it():
    layer = nn.ConvTranspose2d(64, 512, 3, groups=2)
    bound = (256 * 9) ** -0.5
    for parameter in (layer.weight, layer.bias):
        assert 0.95 * bound < parameter.abs().max() <= bound


def test_messages_name_the_layer_and_the_sizes():
    with pytest.raises(ValueError, match="ConvTranspose3d"):
        nn.ConvTranspose3d(1, 1, 3, padding_mode="circular")
    with pytest.raises(ValueError, match=r"\[20, 9\].*\[11, 9\] to \[12, 9\]"):
        nn.ConvTranspose2d(1, 1, 3, stride=(2, 1))(torch.zeros(1, 1, 5, 7), output_size=[20, 9])
