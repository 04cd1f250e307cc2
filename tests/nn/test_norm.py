"""Layer, RMS and group norm the layers: what they keep beside the arithmetic."""

import numpy as np
import pytest
import torch

from minimodels import nn


@pytest.mark.parametrize("shape", [5, np.int64(5), [5], torch.Size([5]), (2, 3)])
def test_every_way_to_give_a_shape(shape):
    for name in ("LayerNorm", "RMSNorm"):
        ours, reference = getattr(nn, name)(shape), getattr(torch.nn, name)(shape)
        assert ours.normalized_shape == reference.normalized_shape
        assert repr(ours) == repr(reference)


def test_rms_norm_has_no_term():
    assert not hasattr(nn.RMSNorm(3), "bias")
    assert "bias" not in nn.RMSNorm(3).state_dict()


@pytest.mark.parametrize("layer", [nn.LayerNorm(6), nn.RMSNorm(6), nn.GroupNorm(2, 6)], ids=repr)
def test_samples_do_not_see_each_other_and_the_mode_does_not_matter(layer):
    x = torch.randn(4, 6)
    torch.testing.assert_close(layer(x[1:3]), layer(x)[1:3])
    torch.testing.assert_close(layer.eval()(x), layer.train()(x))
