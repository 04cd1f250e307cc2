"""Convolutions as layers: what they keep beside the arithmetic."""

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


LAYERS = [(nn.Conv1d, 1), (nn.Conv2d, 2), (nn.Conv3d, 3)]


@pytest.mark.parametrize(("layer", "dims"), LAYERS)
@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("padding", ["same", "valid", 2, (1, 2, 0)])
def test_every_padding_in_every_mode(layer, dims, mode, padding):
    torch.manual_seed(0)
    padding = padding[:dims] if isinstance(padding, tuple) else padding
    arguments, settings = (2, 3, (3, 5, 1)[:dims]), {"padding": padding, "padding_mode": mode}
    ours, reference = layer(*arguments, **settings), getattr(torch.nn, layer.__name__)(*arguments, **settings)
    reference.load_state_dict(ours.state_dict())
    x = torch.randn(2, 2, *(9, 8, 4)[:dims])
    torch.testing.assert_close(ours(x), reference(x))


@pytest.mark.parametrize(("layer", "dims"), LAYERS)
def test_attributes_that_other_tools_read(layer, dims):
    arguments = (4, 6, 3, 2, 1, 1, 2)
    ours, reference = layer(*arguments), getattr(torch.nn, layer.__name__)(*arguments)
    for name in ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "transposed",
                 "output_padding", "padding_mode"):  # fmt: skip
        assert getattr(ours, name) == getattr(reference, name), name
    assert ours.__constants__ == reference.__constants__
