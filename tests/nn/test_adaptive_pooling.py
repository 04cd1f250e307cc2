"""Adaptive pooling layers: what is theirs and not the arithmetic's."""

import pytest
import torch

from minimodels import nn


@pytest.mark.parametrize("kind", ["Avg", "Max"])
def test_any_image_becomes_as_large_as_asked(kind):
    layer = getattr(nn, f"Adaptive{kind}Pool2d")((3, None))
    for size in ((3, 4), (7, 9), (2, 1)):
        assert layer(torch.zeros(1, 2, *size)).shape == (1, 2, 3, size[1])
