"""Padding layers: the laws of each way to pad."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels import nn
from minimodels.testing import assert_commutes, tensors

SIZES = {1: (6,), 2: (5, 6), 3: (4, 5, 6)}
dimensions = pytest.mark.parametrize("dims", [1, 2, 3])
KINDS = ["Zero", "Reflection", "Replication", "Circular"]


def inputs(dims):
    return tensors((2, 3, *SIZES[dims]))


@dimensions
@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_padding_then_cropping_is_the_identity(kind, dims, data):
    x, margin = data.draw(inputs(dims)), data.draw(st.integers(0, 3))
    padded = getattr(nn, f"{kind}Pad{dims}d")(margin)(x)
    assert torch.equal(getattr(nn, f"ZeroPad{dims}d")(-margin)(padded), x)


@dimensions
@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_padding_commutes_with_a_mirror(kind, dims, data):
    layer = getattr(nn, f"{kind}Pad{dims}d")(2)
    assert_commutes(layer, lambda x: x.flip(*range(2, 2 + dims)), data.draw(inputs(dims)))


@dimensions
@given(data=st.data())
def test_what_each_edge_shows(dims, data):
    x = data.draw(inputs(dims))
    mirror, edge, ring = (
        getattr(nn, f"{kind}Pad{dims}d")((2, 2, *(0,) * (2 * dims - 2)))(x)
        for kind in ("Reflection", "Replication", "Circular")
    )
    assert torch.equal(mirror[..., :5], mirror[..., :5].flip(-1))
    assert torch.equal(mirror[..., -5:], mirror[..., -5:].flip(-1))
    assert torch.equal(edge[..., :2], x[..., :1].expand(edge[..., :2].shape))
    assert torch.equal(ring, torch.cat([x, x, x], -1)[..., 4:-4])


@dimensions
@given(data=st.data())
def test_reflecting_twice_is_a_wave(dims, data):
    """A signal and its two mirror images are three half-waves: one period further, forth and back, all is equal."""
    x = data.draw(inputs(dims))
    n = x.shape[-1]
    padded = getattr(nn, f"ReflectionPad{dims}d")((n - 1, n - 1, *(0,) * (2 * dims - 2)))(x)
    assert torch.equal(padded[..., : n - 1], padded[..., 2 * n - 2 : 3 * n - 3])


@dimensions
def test_a_constant_pads_with_itself(dims):
    x = torch.full((1, 1, *SIZES[dims]), 2.5)
    padded = getattr(nn, f"ConstantPad{dims}d")(1, 2.5)(x)
    assert torch.equal(padded, torch.full_like(padded, 2.5))
    assert isinstance(getattr(nn, f"ZeroPad{dims}d")(1), getattr(nn, f"ConstantPad{dims}d"))
