"""Losses between numbers: their laws, their weights, and types that meet."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels import functional as F
from minimodels.testing import assert_equivalent, tensors

R = torch.nn.functional
pairs = st.tuples(tensors((4, 3), layouts=False), tensors((4, 3), layouts=False))
NAMES = ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"]


@given(pair=pairs)
def test_the_squared_error_is_the_mean_of_squares(pair):
    x, t = pair
    squares = [(a - b) ** 2 for a, b in zip(x.flatten().tolist(), t.flatten().tolist(), strict=True)]
    assert math.isclose(F.mse_loss(x, t).item(), sum(squares) / 12)


@given(pair=pairs)
def test_the_absolute_error_is_a_norm(pair):
    x, t = pair
    assert math.isclose(F.l1_loss(x, t, reduction="sum").item(), torch.linalg.vector_norm(x - t, 1).item())


@given(pair=pairs)
def test_huber_lies_between_the_two_errors(pair):
    x, t = pair
    largest = (x - t).abs().max().item()
    torch.testing.assert_close(F.huber_loss(x, t, delta=2 * largest + 1), F.mse_loss(x, t) / 2)
    torch.testing.assert_close(F.huber_loss(x, t, delta=1e-9) / 1e-9, F.l1_loss(x, t))
    torch.testing.assert_close(F.huber_loss(x, t, delta=math.inf), F.mse_loss(x, t) / 2)


@given(pair=pairs, threshold=st.floats(0.01, 3))
def test_smooth_l1_is_huber_divided_by_its_threshold(pair, threshold):
    expected = F.huber_loss(*pair, delta=threshold, reduction="none") / threshold
    torch.testing.assert_close(F.smooth_l1_loss(*pair, beta=threshold, reduction="none"), expected)


@given(pair=pairs)
def test_smooth_l1_without_a_threshold_is_l1(pair):
    assert_equivalent(lambda x, t: F.smooth_l1_loss(x, t, beta=0.0), F.l1_loss, *pair, order=1)


@pytest.mark.parametrize("name", NAMES)
@given(pair=pairs)
def test_the_order_does_not_matter_but_for_the_sign_of_the_slope(name, pair):
    loss = getattr(F, name)
    x, t = (v.clone().requires_grad_() for v in pair)
    there, back = loss(x, t), loss(t, x)
    assert torch.equal(there, back)
    by_input, by_target = torch.autograd.grad(there, (x, t))
    assert torch.equal(by_input, -by_target)


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "huber_loss"])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_weights(name, reduction):
    x, t, w = torch.randn(3, 4, dtype=torch.float64), torch.randn(3, 4).double(), torch.rand(3, 4).double()
    ours, reference = getattr(F, name), getattr(R, name)
    assert_equivalent(
        lambda x, t, w: ours(x, t, weight=w, reduction=reduction),
        lambda x, t, w: reference(x, t, weight=w, reduction=reduction),
        x, t, w,
    )  # fmt: skip
    for wrong in ({"weight": w[0]}, {"weight": w, "reduction": "median"}):
        for loss in (ours, reference):
            with pytest.raises(ValueError, match=r"same size|reduction"):
                loss(x, t, **wrong)


TYPES = [torch.float32, torch.float64, torch.float16, torch.int64]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("a", TYPES, ids=str)
@pytest.mark.parametrize("b", TYPES, ids=str)
def test_types_that_meet(name, a, b):
    x, t = torch.tensor([0.0, 1.0, 3.0]).to(a), torch.tensor([1.0, 1.0, -3.0]).to(b)
    for reduction in ("none", "mean"):
        found = []
        for loss in (getattr(F, name), getattr(R, name)):
            try:
                found.append(loss(x, t, reduction=reduction))
            except (RuntimeError, NotImplementedError) as error:
                found.append(type(error))
        if isinstance(found[1], torch.Tensor):
            torch.testing.assert_close(*found)
        else:
            assert found[0] is found[1]


def test_complex_numbers_have_absolute_errors():
    x, t = torch.randn(3, dtype=torch.complex128), torch.randn(3, dtype=torch.complex128)
    for other in (t, t.real.clone()):
        assert_equivalent(F.l1_loss, R.l1_loss, x, other)


@pytest.mark.parametrize("name", NAMES)
def test_large_errors_in_16_bits(name):
    x, t = torch.tensor([150.0, 1.0] + [0.0] * 14).half(), torch.tensor([-150.0, 0.0] + [0.0] * 14).half()
    ours, exact = getattr(F, name)(x, t), getattr(R, name)(x.float(), t.float())
    assert exact.half().isfinite()
    assert torch.equal(ours, exact.half())  # the square of 300 fits into float32 alone
