"""Pooling over windows: ties, NaN, infinities and integers as torch has them, and the laws."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels import functional as F
from minimodels.functional import pooling_race, pooling_spans
from minimodels.testing import (
    assert_commutes,
    assert_equivalent,
    assert_linear,
    assert_same,
    average_pool_cases,
    pool_cases,
    tensors,
)

MAX = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
MEAN = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
SHAPES = {1: (2, 3, 9), 2: (2, 3, 6, 7), 3: (1, 2, 4, 6, 5)}
dimensions = pytest.mark.parametrize("dims", [1, 2, 3])


def reference(function):
    return getattr(torch.nn.functional, function.__name__)


def both(function, *args, **kwargs):
    mine = function(*args, **kwargs, return_indices=True)
    theirs = reference(function)(*args, **kwargs, return_indices=True)
    for name, a, b in zip(("output 0", "output 1"), mine, theirs, strict=True):
        assert_same(a, b, name)
    return mine


def sprinkled(x, seed, *values):
    """Some elements replaced by special values."""
    generator = torch.Generator().manual_seed(seed)
    for value in values:
        x = x.masked_fill(torch.rand(x.shape, generator=generator) < 0.2, value)
    return x


@dimensions
@given(data=st.data(), seed=st.integers(0, 999))
def test_nan_and_infinities_win_and_lose_as_in_torch(dims, data, seed):
    x = sprinkled(data.draw(tensors(SHAPES[dims])), seed, torch.nan, torch.inf, -torch.inf)
    for kernel, stride, padding in ((3, 2, 1), (3, 1, 1), (2, 2, 0), (2, 3, 1)):
        both(MAX[dims], x, kernel, stride, padding)
        both(MAX[dims], torch.full_like(x, -torch.inf), kernel, stride, padding)  # padding must not win even here
        quick = MAX[dims](x, kernel, stride, padding)
        assert_same(quick, both(MAX[dims], x, kernel, stride, padding)[0])
    assert_equivalent(lambda x: MAX[dims](x, 3, 2, 1), lambda x: reference(MAX[dims])(x, 3, 2, 1), x, order=1)


@pytest.mark.parametrize("dims", [2, 3])
@given(data=st.data(), seed=st.integers(0, 999), chunk=st.sampled_from([1, 40, 1 << 17]))
def test_channels_last_the_same_elements_win_and_are_handed_back_to(dims, data, seed, chunk):
    layout = {2: torch.channels_last, 3: torch.channels_last_3d}[dims]
    x = sprinkled(data.draw(tensors(SHAPES[dims])).round(), seed, torch.nan, torch.inf, -torch.inf)  # rounded: ties
    x = x.contiguous(memory_format=layout)
    uneven = (1,) * (dims - 1) + (3,)
    for settings in (
        (2,),
        (3, 2, 1),
        (3, 1, 1),
        (2, 3, 0),
        (2, 1, 1, 2),
        (3, 2, 1, 1, True),
        (3, 2),
        (uneven, 1),
        (1,),
    ):

        def ours(x, settings=settings):
            return MAX[dims](x, *settings)

        def theirs(x, settings=settings):  # torch's volumes: where all is -inf, another wins channels-last than else
            return reference(MAX[dims])(x.contiguous(), *settings).contiguous(memory_format=layout)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pooling_race, "CHUNK", chunk)
            assert_equivalent(ours, theirs, x, order=2)


@pytest.mark.parametrize("stride", [2, 1])
def test_channels_last_a_gradient_may_be_marked_as_negative(stride):
    x = torch.randn(2, 3, 6, 6).contiguous(memory_format=torch.channels_last).requires_grad_()
    y, expected = F.max_pool2d(x, 2, stride), reference(F.max_pool2d)(x, 2, stride)
    gradient = torch.complex(torch.zeros(y.shape), torch.randn(y.shape)).conj().imag
    assert gradient.is_neg()
    torch.testing.assert_close(*(torch.autograd.grad(output, x, gradient) for output in (y, expected)))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32], ids=str)
@pytest.mark.parametrize("batch", [0, 2])
def test_sixteen_bits_hold_every_offset_that_a_byte_holds(dtype, batch):
    """Lines of 126 numbers: the last of nine elements stands 2·126 + 2 behind its window's start."""
    x = torch.randn(batch, 3, 9, 126).to(dtype).to(memory_format=torch.channels_last)
    for settings in ((3, 2), (3,), (2, 1)):
        both(MAX[2], x, *settings)
    assert_equivalent(lambda x: MAX[2](x, 3), lambda x: reference(MAX[2])(x, 3), x, order=1)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("settings", [(2,), (3, 2), ((1, 3), 1), ((3, 1), 2), (2, 1, 0, 2)], ids=str)
@given(seed=st.integers(0, 999))
def test_the_race_compares_bits_of_every_type(dtype, settings, seed):
    """Zeros of both signs, equals, infinities and NaN of both signs: as in the definition, that is, as in torch."""
    values = torch.tensor([0.0, -0.0, 1.0, -1.0, torch.inf, -torch.inf, torch.nan, -torch.nan], dtype=dtype)
    chosen = torch.randint(len(values), (2, 3, 6, 7), generator=torch.Generator().manual_seed(seed))
    x = values[chosen].to(memory_format=torch.channels_last)
    both(MAX[2], x, *settings)
    rounding = 0.02 if dtype.itemsize == 2 else 1e-5  # of shares that windows with common elements add up
    theirs = reference(MAX[2])
    assert_equivalent(
        lambda x: MAX[2](x, *settings), lambda x: theirs(x, *settings), x, order=1, rtol=rounding, atol=rounding
    )


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize("settings", [(2,), (3, 2, 1)], ids=str)
def test_what_is_no_number_goes_back_to_the_winner_alone(layout, settings):
    x = torch.arange(64.0).view(1, 1, 8, 8).repeat(1, 2, 1, 1).contiguous(memory_format=layout).requires_grad_()
    for upstream in (torch.inf, torch.nan):
        y = MAX[2](x, *settings)
        (gradient,) = torch.autograd.grad(y, x, torch.full_like(y, upstream))
        (expected,) = torch.autograd.grad(reference(MAX[2])(x, *settings), x, torch.full_like(y, upstream))
        assert_same(gradient, expected)
        assert (gradient == 0).any()


@dimensions
@given(data=st.data(), seed=st.integers(0, 999))
def test_nan_and_infinities_spread_no_further_than_their_windows(dims, data, seed):
    x = sprinkled(data.draw(tensors(SHAPES[dims])), seed, torch.nan, torch.inf)
    assert_same(MEAN[dims](x, 3, 2, 1), reference(MEAN[dims])(x, 3, 2, 1))


@dimensions
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int32, torch.int64], ids=str)
def test_integers_have_an_order(dims, dtype):
    low = -9 if dtype is torch.int64 else torch.iinfo(dtype).min
    x = torch.randint(low, low + 5, SHAPES[dims], dtype=dtype)
    indexed, _ = both(MAX[dims], x, 3, 2, 1)
    assert_same(MAX[dims](x, 3, 2, 1), indexed)


@dimensions
@pytest.mark.parametrize("settings", [(2,), (3, 2, 1), (3, 2, 1, True, False)], ids=str)
def test_integers_are_divided_towards_zero(dims, settings):
    x = torch.randint(-9, 9, SHAPES[dims])
    assert_same(MEAN[dims](x, *settings), reference(MEAN[dims])(x, *settings))


@dimensions
@given(data=st.data())
def test_the_largest_commutes_with_growing_functions_and_with_channel_order(dims, data):
    x = data.draw(tensors(SHAPES[dims]))
    for other in (torch.exp, lambda x: 2 * x - 1, lambda x: x.flip(1)):
        assert_commutes(lambda x: MAX[dims](x, 2), other, x)


@given(x=tensors((1, 2, 9, 9)))
def test_two_small_windows_make_a_large_one(x):
    assert torch.equal(F.max_pool2d(F.max_pool2d(x, 3, 1), 3, 1), F.max_pool2d(x, 5, 1))


@dimensions
@given(data=st.data())
def test_indices_point_at_the_output(dims, data):
    x = data.draw(tensors(SHAPES[dims]))
    y, indices = MAX[dims](x, 3, 2, 1, return_indices=True)
    assert torch.equal(x.flatten(2).gather(2, indices.flatten(2)).view_as(y), y)


@dimensions
def test_a_window_of_equals_sends_its_gradient_to_the_first(dims):
    x = torch.ones(1, 1, *(4,) * dims, requires_grad=True)
    MAX[dims](x, 2).sum().backward()
    corners = torch.cartesian_prod(*[torch.tensor([0, 2])] * dims).view(-1, dims)
    assert torch.equal(x.grad[0, 0].nonzero(), corners)


@dimensions
@given(data=st.data())
def test_the_mean_is_linear_and_that_of_windows_side_by_side_keeps_the_mean_of_all(dims, data):
    shape = (2, 3, *(6,) * dims)
    x, y = data.draw(tensors(shape)), data.draw(tensors(shape))
    assert_linear(lambda x: MEAN[dims](x, 3, 2, 1), x, y)
    for kernel in (2, 3, 6):
        assert_same(MEAN[dims](x, kernel).mean(), x.mean())


@dimensions
@given(data=st.data())
def test_a_constant_is_its_own_mean_unless_padding_counts(dims, data):
    case = data.draw(average_pool_cases(dims))
    x, settings = case.inputs[0], {**case.kwargs, "count_include_pad": False}
    settings.pop("divisor_override", None)
    y = MEAN[dims](torch.full_like(x, 2.5), *case.args, **settings)
    torch.testing.assert_close(y, torch.full_like(y, 2.5))


@dimensions
@pytest.mark.parametrize("padding", [0, 1])
@given(data=st.data())
def test_one_window_as_large_as_the_input_covers_it_unless_it_is_shifted(dims, padding, data):
    x = data.draw(tensors((2, 3, *(4,) * dims)))
    settings = (4, 4, padding, False, False)
    assert_equivalent(lambda x: MEAN[dims](x, *settings), lambda x: reference(MEAN[dims])(x, *settings), x)
    read = x[(slice(None), slice(None), *(slice(4 - padding),) * dims)]
    torch.testing.assert_close(MEAN[dims](x, *settings).flatten(), read.flatten(2).mean(2).flatten())


@dimensions
def test_chunks_of_a_batch_are_the_batch(dims, monkeypatch):
    x = torch.randn(5, *SHAPES[dims][1:], dtype=torch.float64)
    operations = (
        lambda x: MAX[dims](x, 3, 2, 1),
        lambda x: MAX[dims](x, 3, 2, 1, return_indices=True)[1],
        lambda x: MEAN[dims](x, 3, 2, 1),
    )
    whole = [operation(x) for operation in operations]
    monkeypatch.setattr(pooling_spans, "CHUNK", 2 * x[0].numel())
    for operation, expected in zip(operations, whole, strict=True):
        assert torch.equal(operation(x), expected)


@pytest.mark.parametrize("width", [3, 200, 40_000], ids=["bytes", "two bytes", "four bytes"])
def test_long_rows_take_longer_offsets(width):
    both(F.max_pool2d, torch.randn(1, 1, 3, width), 3, 2, 1)


@dimensions
def test_windows_of_one_element_hand_on_a_copy(dims):
    x = torch.zeros(SHAPES[dims], requires_grad=True)
    for function in (MAX[dims], MEAN[dims]):
        function(x, 1).add_(1.0).sum().backward()  # as an activation in place would
        with torch.no_grad():
            function(x, 1).add_(1.0)
        assert not x.any()


@dimensions
def test_no_images(dims):
    x = torch.zeros(0, *SHAPES[dims][1:])
    both(MAX[dims], x, 2)
    assert_same(MEAN[dims](x, 2), reference(MEAN[dims])(x, 2))


def test_many_bfloat16_numbers_are_added_up_in_float32():
    x = torch.ones(1, 1, 64, 64, dtype=torch.bfloat16)
    assert F.avg_pool2d(x, 64).item() == 1.0


@dimensions
@given(data=st.data())
def test_the_strategies_keep_their_word(dims, data):
    case = data.draw(pool_cases(dims))
    output = getattr(torch.nn, f"MaxPool{dims}d")(*case.args, **case.kwargs)(*case.inputs)
    values = output[0] if isinstance(output, tuple) else output
    assert values.numel() > 0
    assert values.isfinite().all()
    case = data.draw(average_pool_cases(dims))
    values = getattr(torch.nn, f"AvgPool{dims}d")(*case.args, **case.kwargs)(*case.inputs)
    assert values.numel() > 0
    assert values.isfinite().all()
