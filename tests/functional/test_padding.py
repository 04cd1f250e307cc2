"""Padding against torch.nn.functional.pad, and the laws of each mode."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels import functional as F
from minimodels.testing import assert_equivalent, tensors

SHAPE = (2, 3, 5, 4)


@given(data=st.data(), sizes=st.lists(st.integers(-2, 3), max_size=4).filter(lambda s: len(s) % 2 == 0))
def test_constant_grows_and_crops(data, sizes):
    x, value = data.draw(tensors(SHAPE)), data.draw(st.sampled_from([None, 0.0, -2.5]))
    assert_equivalent(
        lambda x: F.pad(x, sizes, value=value), lambda x: torch.nn.functional.pad(x, sizes, value=value), x
    )


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@given(data=st.data())
def test_modes(mode, data):
    x = data.draw(tensors(SHAPE))
    sizes = [data.draw(st.integers(-1, SHAPE[-1 - i // 2] - 2)) for i in range(4)]
    assert_equivalent(lambda x: F.pad(x, sizes, mode), lambda x: torch.nn.functional.pad(x, sizes, mode), x)


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
def test_the_middle_is_the_input(mode):
    x = torch.randn(SHAPE)
    assert torch.equal(F.pad(x, (1, 2, 3, 1), mode)[..., 3:-1, 1:-2], x)


def test_replicating_twice_is_replicating_once_further():
    x = torch.randn(3, 5)
    assert torch.equal(F.pad(F.pad(x, (1, 1), "replicate"), (1, 1), "replicate"), F.pad(x, (2, 2), "replicate"))


def test_reflection_is_a_mirror_at_each_edge():
    padded = F.pad(torch.randn(3, 5), (4, 4), "reflect")
    assert torch.equal(padded[:, :9], padded[:, :9].flip(1))
    assert torch.equal(padded[:, 4:], padded[:, 4:].flip(1))


@pytest.mark.parametrize(
    ("sizes", "mode", "value"),
    [
        ((1,), "constant", None),
        ((1,) * 10, "constant", None),
        ((-3, -3), "constant", None),
        ((4, 0, 0, 0), "reflect", None),
        ((5, 0, 0, 0), "circular", None),
        ((1, 1), "reflect", None),
        ((1, 1, 1, 1), "mirror", None),
        ((1, 1, 1, 1), "reflect", 1.0),
    ],
)
def test_misfits_raise_what_torch_raises(sizes, mode, value):
    x, errors = torch.zeros(SHAPE), []
    for pad in (F.pad, torch.nn.functional.pad):
        with pytest.raises((RuntimeError, NotImplementedError, ValueError)) as caught:
            pad(x, sizes, mode, value)
        errors.append(type(caught.value))
    assert errors[0] is errors[1]
