"""Conv2d the layer: what it keeps beside the arithmetic."""

import pytest
import torch

from minimodels import nn


def test_weights_do_not_depend_on_the_memory_layout():
    layers = [nn.Conv2d(3, 4, 3), torch.nn.Conv2d(3, 4, 3)]
    for layer in layers:
        layer.to(memory_format=torch.channels_last)
        torch.manual_seed(1)
        layer.reset_parameters()
        assert layer.weight.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(layers[0].weight, layers[1].weight)


def test_weights_lie_within_the_bound_and_fill_it():
    layer = nn.Conv2d(8, 512, 3, groups=2)
    bound = (4 * 9) ** -0.5
    for parameter in (layer.weight, layer.bias):
        assert 0.95 * bound < parameter.abs().max() <= bound


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("padding", ["same", "valid", 2, (1, 2)])
def test_every_padding_in_every_mode(mode, padding):
    torch.manual_seed(0)
    ours = nn.Conv2d(2, 3, (3, 5), padding=padding, padding_mode=mode)
    reference = torch.nn.Conv2d(2, 3, (3, 5), padding=padding, padding_mode=mode)
    reference.load_state_dict(ours.state_dict())
    x = torch.randn(2, 2, 9, 8)
    torch.testing.assert_close(ours(x), reference(x))


def test_attributes_that_other_tools_read():
    ours, reference = nn.Conv2d(4, 6, 3, 2, 1, 1, 2), torch.nn.Conv2d(4, 6, 3, 2, 1, 1, 2)
    for name in ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "transposed",
                 "output_padding", "padding_mode"):  # fmt: skip
        assert getattr(ours, name) == getattr(reference, name), name
