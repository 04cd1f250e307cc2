"""Maximum pooling: ties, NaN, infinities and integers as torch has them, and the laws."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels import functional as F
from minimodels.testing import assert_commutes, assert_same, pool_cases, tensors


def both(*args, **kwargs):
    mine = F.max_pool2d(*args, **kwargs, return_indices=True)
    theirs = torch.nn.functional.max_pool2d(*args, **kwargs, return_indices=True)
    for name, a, b in zip(("output 0", "output 1"), mine, theirs, strict=True):
        assert_same(a, b, name)
    return mine


@given(x=tensors((2, 2, 6, 5)), seed=st.integers(0, 999))
def test_nan_and_infinities(x, seed):
    generator = torch.Generator().manual_seed(seed)
    for value in (torch.nan, torch.inf, -torch.inf):
        x = x.masked_fill(torch.rand(x.shape, generator=generator) < 0.2, value)
    both(x, 3, 2, 1)
    both(torch.full_like(x, -torch.inf), 3, 2, 1)  # padding must not win even here


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int32, torch.int64], ids=str)
def test_integers(dtype):
    low = torch.iinfo(dtype).min
    x = (
        torch.randint(low, low + 5, (2, 3, 7, 7), dtype=dtype)
        if dtype is not torch.int64
        else torch.randint(-9, 9, (2, 3, 7, 7))
    )
    both(x, 3, 2, 1)


@given(x=tensors((2, 3, 6, 6)))
def test_commutes_with_growing_functions_and_with_channel_order(x):
    for other in (torch.exp, lambda x: 2 * x - 1, lambda x: x[:, [2, 0, 1]]):
        assert_commutes(lambda x: F.max_pool2d(x, 2), other, x)


@given(x=tensors((1, 2, 9, 9)))
def test_two_small_windows_make_a_large_one(x):
    assert torch.equal(F.max_pool2d(F.max_pool2d(x, 3, 1), 3, 1), F.max_pool2d(x, 5, 1))


@given(x=tensors((2, 3, 6, 6)))
def test_indices_point_at_the_output(x):
    y, indices = F.max_pool2d(x, 3, 2, 1, return_indices=True)
    assert torch.equal(x.flatten(2).gather(2, indices.flatten(2)).view_as(y), y)


def test_a_window_of_equals_sends_its_gradient_to_the_first():
    x = torch.ones(1, 1, 4, 4, requires_grad=True)
    F.max_pool2d(x, 2).sum().backward()
    assert torch.equal(x.grad[0, 0].nonzero(), torch.tensor([[0, 0], [0, 2], [2, 0], [2, 2]]))


def test_no_images():
    x = torch.zeros(0, 3, 6, 6)
    both(x, 2)


@given(case=pool_cases())
def test_the_strategy_keeps_its_word(case):
    output = torch.nn.MaxPool2d(*case.args, **case.kwargs)(*case.inputs)
    values = output[0] if isinstance(output, tuple) else output
    assert values.numel() > 0
    assert values.isfinite().all()
