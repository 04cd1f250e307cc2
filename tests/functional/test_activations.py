"""Activations: laws, and the corners that the layers do not reach."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels import functional as F
from minimodels.testing import assert_commutes, assert_equivalent, assert_invariant, tensors

PAIRS = [(F.softmax, torch.nn.functional.softmax), (F.log_softmax, torch.nn.functional.log_softmax)]
both = pytest.mark.parametrize(("ours", "reference"), PAIRS, ids=["softmax", "log_softmax"])


@given(x=tensors((3, 4)), shift=st.floats(-1e3, 1e3))
def test_softmax_ignores_a_shift(x, shift):
    assert_invariant(lambda x: F.softmax(x, 1), lambda x: x + shift, x, rtol=1e-9, atol=1e-12)


@given(x=tensors((3, 4)))
def test_softmax_is_a_distribution_and_commutes_with_permutation(x):
    y = F.softmax(x, 1)
    assert (y >= 0).all()
    assert torch.allclose(y.sum(1), torch.ones(3, dtype=torch.float64))
    assert_commutes(lambda x: F.softmax(x, 1), lambda x: x[:, [2, 0, 3, 1]], x)
    assert torch.allclose(F.log_softmax(x, 1).exp(), y)


@both
def test_scores_too_large_for_the_exponential(ours, reference):
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        x = torch.tensor([[6e4, -6e4, 0.0], [-torch.inf, 1.0, 1.0], [-torch.inf] * 3], dtype=dtype)
        assert_equivalent(lambda x: ours(x, 1), lambda x: reference(x, 1), x, order=1)


@both
@given(data=st.data())
def test_another_dtype(ours, reference, data):
    x = data.draw(tensors((2, 3))).half()
    assert_equivalent(lambda x: ours(x, 1, dtype=torch.float64), lambda x: reference(x, 1, dtype=torch.float64), x)
    integers = torch.tensor([[1, 2], [3, 4]])
    assert torch.equal(ours(integers, 0, dtype=torch.float32), reference(integers, 0, dtype=torch.float32))


@both
@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0,), ()])
def test_empty_and_scalar(ours, reference, shape):
    assert_equivalent(lambda x: ours(x, -1), lambda x: reference(x, -1), torch.zeros(shape), order=1)


@both
@pytest.mark.parametrize("ndim", [1, 2, 3, 4])
def test_leaving_out_the_dimension_warns_and_guesses_alike(ours, reference, ndim):
    x = torch.randn((2,) * ndim)
    results = []
    for function in (ours, reference):
        with pytest.warns(UserWarning, match="Implicit dimension choice") as caught:
            results.append(function(x))
        assert caught[0].filename == __file__
    assert torch.allclose(*results)


@both
def test_gradcheck_and_gradgradcheck(ours, reference):
    x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: ours(x, 1), x)
    assert torch.autograd.gradgradcheck(lambda x: ours(x, 1), x)


def test_relu_in_place_writes_over_its_input():
    x = torch.tensor([-1.0, 2.0])
    assert F.relu(x, inplace=True) is x
    assert torch.equal(x, torch.tensor([0.0, 2.0]))


@given(x=tensors((3, 4)), scale=st.floats(0.1, 10))
def test_relu_commutes_with_a_positive_factor_and_is_idempotent(x, scale):
    assert_commutes(F.relu, lambda x: x * scale, x)
    assert_invariant(F.relu, F.relu, x)
