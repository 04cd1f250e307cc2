"""Clipping is torch's, bit for bit, and shortens without turning."""

import inspect
import math
import operator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels.nn import utils

ROOMS = (utils, torch.nn.utils)
limits = st.floats(1e-3, 1e3)
norms = st.sampled_from([2.0, 1, 3.5, 0.5, "inf", math.inf, -math.inf, 0])
foreach = st.sampled_from([None, True, False])


@st.composite
def parameters(draw, dtypes=(torch.float32, torch.float64, torch.bfloat16, torch.complex64)):
    """Two copies of some parameters with gradients (or, here and there, without)."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 999)))
    dtype = draw(st.sampled_from(dtypes))
    scale = draw(st.sampled_from([1e-6, 1.0, 1e6]))
    pairs = []
    for shape in draw(st.lists(st.lists(st.integers(0, 4), max_size=3), max_size=4)):
        pair = [torch.nn.Parameter(torch.zeros(shape, dtype=dtype)) for _ in ROOMS]
        if draw(st.booleans()):
            gradient = scale * torch.randn(shape, dtype=dtype, generator=generator)
            for parameter in pair:
                parameter.grad = gradient.clone()
        pairs.append(pair)
    return [[pair[side] for pair in pairs] for side in (0, 1)]


def gradients(side):
    return [parameter.grad for parameter in side if parameter.grad is not None]


def assert_same_gradients(ours, theirs):
    for one, other in zip(gradients(ours), gradients(theirs), strict=True):
        assert one.dtype == other.dtype
        torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)


@pytest.mark.filterwarnings("ignore:Casting complex values to real")  # of complex gradients without elements
@given(sides=parameters(), limit=limits, p=norms, each=foreach)
def test_by_the_norm_as_torch(sides, limit, p, each):
    nothing_to_reduce = p in ("inf", math.inf, -math.inf) and any(not g.numel() for g in gradients(sides[0]))
    if nothing_to_reduce:
        for room, side in zip(ROOMS, sides, strict=True):
            with pytest.raises((RuntimeError, IndexError)):
                room.clip_grad_norm_(side, limit, p, foreach=each)
        return
    ours, theirs = (room.clip_grad_norm_(side, limit, p, foreach=each) for room, side in zip(ROOMS, sides, strict=True))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0, equal_nan=True)
    assert_same_gradients(*sides)


@given(sides=parameters(dtypes=(torch.float32, torch.bfloat16)), limit=limits, each=foreach)
def test_by_the_value_as_torch(sides, limit, each):
    if gradients(sides[0]):  # PyTorch's own fails where there is nothing to clip
        torch.nn.utils.clip_grad_value_(sides[1], limit, each)
    assert utils.clip_grad_value_(sides[0], limit, each) is None
    assert_same_gradients(*sides)
    assert all(bool((g.abs() <= limit * (1 + 2**-8)).all()) for g in gradients(sides[0]))


@given(sides=parameters(dtypes=(torch.float64,)), limit=limits)
def test_the_direction_stays_and_the_length_is_the_limit_at_most(sides, limit):
    side, before = sides
    norm = utils.clip_grad_norm_(side, limit)
    after = utils.get_total_norm(gradients(side))
    assert after <= limit * (1 + 1e-12)
    torch.testing.assert_close(after, norm.clamp(max=limit), rtol=1e-3, atol=1e-6)  # the 10⁻⁶ beside a short norm
    for g, g0 in zip(gradients(side), gradients(before), strict=True):
        torch.testing.assert_close(g * norm, g0 * after, rtol=1e-9, atol=1e-300)


@given(sides=parameters(), p=st.sampled_from([1.0, 2.0, 3.5]))
def test_the_norm_is_that_of_one_long_vector(sides, p):
    found = gradients(sides[0])
    whole = torch.cat([g.flatten() for g in found]) if found else torch.zeros(1)
    ours = utils.get_total_norm(iter(found), p)
    torch.testing.assert_close(
        ours.double(), torch.linalg.vector_norm(whole.to(torch.complex128), p), rtol=2e-2, atol=1e-12
    )
    assert torch.equal(ours, torch.nn.utils.get_total_norm(found, p))


def test_gradients_of_several_dtypes():
    sides = []
    for room in ROOMS:
        side = [torch.nn.Parameter(torch.ones(3, dtype=d)) for d in (torch.float32, torch.bfloat16, torch.float32)]
        for parameter in side:
            parameter.grad = torch.full_like(parameter.data, 2.0)
        assert room.clip_grad_norm_(side, 1.0).item() == pytest.approx(6.0, rel=1e-3)
        sides.append(side)
    for one, other in zip(*sides, strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_one_tensor_and_a_generator_do_as_well():
    weight = torch.zeros(2, requires_grad=True)
    weight.grad = torch.tensor([3.0, 4.0])
    assert utils.clip_grad_norm_(weight, 1.0).item() == 5
    assert utils.clip_grad_norm_((w for w in [weight]), 0.5).item() == pytest.approx(1.0)
    utils.clip_grad_value_(weight, 0.35)
    assert weight.grad.tolist() == pytest.approx([0.3, 0.35])
    assert utils.get_total_norm(weight.grad, math.inf).item() == pytest.approx(0.35)
    utils.clip_grads_with_norm_((w for w in [weight]), 1.0, torch.tensor(10.0))
    assert weight.grad.tolist() == pytest.approx([0.03, 0.035], rel=1e-5)


def test_a_short_gradient_and_a_missing_one_are_left_alone():
    weight, unused = torch.zeros(2, requires_grad=True), torch.zeros(2, requires_grad=True)
    weight.grad = torch.tensor([0.3, 0.4])
    assert utils.clip_grad_norm_([weight, unused], 1.0).item() == pytest.approx(0.5)
    assert torch.equal(weight.grad, torch.tensor([0.3, 0.4]))
    assert unused.grad is None
    assert utils.clip_grad_norm_([unused], 1.0).item() == 0


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_length_that_is_no_number(value):
    for room in ROOMS:
        weight = torch.zeros(2, requires_grad=True)
        weight.grad = torch.tensor([1.0, value])
        with pytest.raises(RuntimeError, match=r"total norm of order 2\.0 .* is non-finite"):
            room.clip_grad_norm_(weight, 1.0, error_if_nonfinite=True)
        assert weight.grad[0] == 1  # refused before anything is changed
        norm = room.clip_grad_norm_(weight, 1.0)
        assert not norm.isfinite()
        torch.testing.assert_close(weight.grad, torch.tensor([1.0 / value, math.nan]), equal_nan=True)


@pytest.mark.parametrize("name", ["clip_grad_norm_", "clip_grad_value_"])
def test_lists_are_refused_where_they_cannot_be_had(name):
    for room in ROOMS:
        weight = torch.zeros(2, device="meta", requires_grad=True)
        weight.grad = torch.zeros(2, device="meta")
        with pytest.raises(RuntimeError, match="can't use the foreach API on meta tensors"):
            getattr(room, name)(weight, 1.0, foreach=True)
        getattr(room, name)(weight, 1.0)


def test_warnings():
    for room in ROOMS:
        with pytest.warns(UserWarning, match="empty generator") as seen:
            room.clip_grad_norm_((w for w in []), 1.0)
        assert seen[0].filename == __file__
        with pytest.warns(FutureWarning, match="clip_grad_norm` is now deprecated"):
            assert room.clip_grad_norm([], 1.0).item() == 0


@pytest.mark.parametrize("call", [
    lambda room: room.clip_grad_norm_(3, 1.0),
    lambda room: room.clip_grad_norm_([torch.zeros(2)], "short"),
    lambda room: room.get_total_norm([torch.zeros(2)], "long"),
    lambda room: room.get_total_norm([torch.zeros(2, dtype=torch.int64)]),
    lambda room: room.clip_grad_value_([torch.zeros(2)], None),
])  # fmt: skip
def test_the_same_errors(call):
    errors = []
    for room in ROOMS:
        with pytest.raises((TypeError, ValueError, RuntimeError)) as seen:
            call(room)
        errors.append(seen.type)
    assert operator.eq(*errors)


@pytest.mark.parametrize("name", [n for n in utils.__all__ if inspect.isfunction(getattr(utils, n))])
def test_the_same_arguments(name):
    ours, theirs = (inspect.signature(getattr(room, name)).parameters.values() for room in ROOMS)
    assert [(p.name, p.default, p.kind) for p in ours] == [(p.name, p.default, p.kind) for p in theirs]
