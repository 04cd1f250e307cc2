"""Adaptive pooling: how windows share the input out, special values as torch has them, and the laws."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels import functional as F
from minimodels.functional.pooling_spans import Uneven
from minimodels.testing import adaptive_pool_cases, assert_commutes, assert_equivalent, assert_linear, tensors

MEAN = {1: F.adaptive_avg_pool1d, 2: F.adaptive_avg_pool2d, 3: F.adaptive_avg_pool3d}
MAX = {1: F.adaptive_max_pool1d, 2: F.adaptive_max_pool2d, 3: F.adaptive_max_pool3d}
SIZES = {1: (7,), 2: (7, 5), 3: (4, 7, 5)}
dimensions = pytest.mark.parametrize("dims", [1, 2, 3])


def reference(function):
    return getattr(torch.nn.functional, function.__name__)


@dimensions
@given(data=st.data())
def test_as_many_windows_as_elements_change_nothing(dims, data):
    x = data.draw(tensors((2, 3, *SIZES[dims])))
    assert torch.equal(MEAN[dims](x, SIZES[dims]), x)
    assert torch.equal(MAX[dims](x, SIZES[dims]), x)


@dimensions
@given(data=st.data())
def test_one_window_is_a_plain_mean(dims, data):
    x = data.draw(tensors((2, 3, *SIZES[dims])))
    torch.testing.assert_close(MEAN[dims](x, 1).flatten(), x.flatten(2).mean(2).flatten())
    assert torch.equal(MAX[dims](x, 1).flatten(), x.flatten(2).amax(2).flatten())


@dimensions
@given(data=st.data())
def test_linear_and_growing(dims, data):
    x, y = (data.draw(tensors((2, 3, *SIZES[dims]))) for _ in range(2))
    assert_linear(lambda x: MEAN[dims](x, 3), x, y)
    assert_commutes(lambda x: MAX[dims](x, 3), torch.exp, x)
    assert_commutes(lambda x: MEAN[dims](x, 3), lambda x: x.flip(-1), x)  # the sharing out is symmetric


@dimensions
@given(data=st.data(), seed=st.integers(0, 999))
def test_special_values_stay_in_their_windows(dims, data, seed):
    x = data.draw(tensors((2, 3, *SIZES[dims])))
    generator = torch.Generator().manual_seed(seed)
    for value in (torch.nan, torch.inf, -torch.inf):
        x = x.masked_fill(torch.rand(x.shape, generator=generator) < 0.1, value)
    for windows in (2, 3, 9):
        assert_equivalent(lambda x, n=windows: MEAN[dims](x, n), lambda x, n=windows: reference(MEAN[dims])(x, n), x)
        pair = [lambda x, n=windows, f=f: f(x, n, return_indices=True) for f in (MAX[dims], reference(MAX[dims]))]
        assert_equivalent(*pair, x)


@given(n=st.integers(1, 40), m=st.integers(1, 40))
def test_who_reads_an_element_is_the_same_rule_with_the_numbers_exchanged(n, m):
    covered = [range(p * n // m, -(-(p + 1) * n // m)) for p in range(m)]
    readers = [{p for p in range(m) if t in covered[p]} for t in range(n)]
    assert readers == [set(range(t * m // n, -(-(t + 1) * m // n))) for t in range(n)]
    ones = torch.ones(m, dtype=torch.float64)
    assert Uneven(n, m).spread(ones, -1).tolist() == [len(r) for r in readers]


@dimensions
def test_no_images_and_no_windows(dims):
    for x, windows in ((torch.zeros(0, 3, *SIZES[dims]), 3), (torch.zeros(2, 3, *SIZES[dims]), 0)):
        for function in (MEAN[dims], MAX[dims]):
            assert function(x, windows).shape == reference(function)(x, windows).shape
    x = torch.zeros(1, 1, *SIZES[dims], requires_grad=True)
    MEAN[dims](x, 0).sum().backward()
    assert not x.grad.any()


def test_float32_means_are_exact_where_a_running_sum_would_cancel():
    x = torch.tensor([[1e8, 1e8, 1e8, 1.0, 1.0, 1.0, 3.0]])
    assert F.adaptive_avg_pool1d(x, 2)[0, 1].item() == 1.5


@dimensions
@given(data=st.data())
def test_the_strategy_keeps_its_word(dims, data):
    case = data.draw(adaptive_pool_cases(dims, indices=True))
    output = getattr(torch.nn, f"AdaptiveMaxPool{dims}d")(*case.args, **case.kwargs)(*case.inputs)
    assert (output[0] if isinstance(output, tuple) else output).numel() > 0
