"""Convolution: both algorithms against each other, against torch in one to three dimensions, and against the laws."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels import functional as F
from minimodels.functional.conv import definition, im2col
from minimodels.shapes import Windows
from minimodels.testing import assert_commutes, assert_equivalent, assert_linear, conv_cases, tensors

REFERENCE = {1: torch.nn.functional.conv1d, 2: torch.nn.functional.conv2d, 3: torch.nn.functional.conv3d}


@st.composite
def convolutions(draw, dims=None, groups=None):
    """A convolution without a layer around it: input, kernel, bias, windows with even padding."""
    dims = dims or draw(st.integers(1, 3))
    kernel, dilation, stride = (tuple(draw(st.integers(1, 3)) for _ in range(dims)) for _ in range(3))
    padding = tuple(draw(st.integers(0, 4)) for _ in range(dims))
    groups = groups or draw(st.integers(1, 3))
    inputs, outputs, batch = draw(st.integers(1, 2)), draw(st.integers(1, 2)), draw(st.integers(1, 3))
    size = tuple(
        max(1, d * (k - 1) + 1 - 2 * p) + draw(st.integers(0, 3))
        for k, d, p in zip(kernel, dilation, padding, strict=True)
    )
    x = draw(tensors((batch, groups * inputs, *size)))
    w = draw(tensors((groups * outputs, inputs, *kernel)))
    b = draw(tensors((groups * outputs,), layouts=False))
    return x, w, b, Windows(kernel, stride, tuple((p, p) for p in padding), dilation, groups)


@pytest.mark.parametrize("algorithm", [definition, im2col], ids=["definition", "im2col"])
@given(case=convolutions())
def test_every_algorithm_is_torchs_convolution(algorithm, case):
    x, w, b, windows = case
    padding = tuple(before for before, _ in windows.pads)
    assert_equivalent(
        lambda x, w, b: algorithm.convolve(x, w, b, windows).contiguous(),
        lambda x, w, b: REFERENCE[w.ndim - 2](
            x, w, b, windows.stride, padding, windows.dilation, windows.groups
        ).contiguous(),
        x, w, b, rtol=1e-9, atol=1e-9,
    )  # fmt: skip


@given(case=convolutions(), data=st.data())
def test_uneven_padding(case, data):
    x, w, b, windows = case
    windows = windows._replace(pads=tuple((p, p + data.draw(st.integers(0, 2))) for p, _ in windows.pads))
    assert_equivalent(
        lambda x, w, b: im2col.convolve(x, w, b, windows).contiguous(),
        lambda x, w, b: definition.convolve(x, w, b, windows).contiguous(),
        x, w, b, rtol=1e-9, atol=1e-9,
    )  # fmt: skip


@given(case=convolutions())
def test_chunks_change_nothing(case):
    x, w, b, windows = case
    whole = im2col.convolve(x, w, b, windows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(im2col, "CHUNK", 1)  # one sample at a time
        assert_equivalent(lambda *o: im2col.convolve(*o, windows), lambda *o: definition.convolve(*o, windows), x, w, b,
                          rtol=1e-9, atol=1e-9)  # fmt: skip
        assert torch.allclose(im2col.convolve(x, w, b, windows), whole, rtol=1e-12, atol=1e-12)


@given(case=convolutions())
def test_gradients_are_adjoint(case):
    """⟨∂y, w ⋆ x⟩ = ⟨∂x, x⟩ = ⟨∂w, w⟩: the three operations are one bilinear form, read three ways."""
    x, w, _, windows = case
    y = im2col.convolve(x, w, None, windows)
    gradient = torch.randn_like(y)
    form = (gradient * y).sum()
    size = tuple(x.shape[2:])
    assert torch.allclose((im2col.input_gradient(gradient, w, size, windows) * x).sum(), form)
    assert torch.allclose((im2col.weight_gradient(x, gradient, windows) * w).sum(), form)


@given(case=convolutions(dims=2))
def test_gradcheck_and_gradgradcheck(case):
    x, w, b, windows = case
    operands = [t.detach().clone().requires_grad_() for t in (x[:1], w, b)]
    for check in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
        assert check(lambda *o: im2col.convolve(*o, windows), operands, fast_mode=True)


@given(data=st.data(), shift=st.integers(-3, 3), dim=st.sampled_from([-2, -1]))
def test_commutes_with_translation(data, shift, dim):
    x, w = data.draw(tensors((2, 3, 7, 6))), data.draw(tensors((4, 3, 3, 2)))
    assert_commutes(lambda x: F.conv2d(F.pad(x, (1, 0, 1, 1), "circular"), w), lambda x: x.roll(shift, dim), x)


@given(data=st.data())
def test_is_linear_in_input_and_kernel(data):
    x, y = (data.draw(tensors((2, 4, 5, 5))) for _ in range(2))
    v, w = (data.draw(tensors((6, 2, 3, 3))) for _ in range(2))
    assert_linear(lambda x: F.conv2d(x, w, groups=2, padding=1), x, y)
    assert_linear(lambda w: F.conv2d(x, w, groups=2, padding=1), v, w)


@given(data=st.data())
def test_groups_are_separate_convolutions(data):
    x, w = data.draw(tensors((2, 6, 5, 5))), data.draw(tensors((9, 2, 3, 3)))
    parts = [F.conv2d(part, kernel) for part, kernel in zip(x.chunk(3, 1), w.chunk(3, 0), strict=True)]
    assert torch.allclose(F.conv2d(x, w, groups=3), torch.cat(parts, 1))


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.complex128, torch.complex64], ids=str)
def test_integers_and_complex_numbers(dtype):
    x, w = (torch.randint(-5, 5, shape).to(dtype) for shape in ((2, 4, 5, 5), (6, 2, 3, 3)))
    if dtype.is_complex:
        x, w = x * (1 + 2j), w * (2 - 1j)
    expected = torch.nn.functional.conv2d(x, w, stride=2, padding=1, groups=2)
    assert torch.equal(F.conv2d(x, w, stride=2, padding=1, groups=2), expected)


def test_complex_derivatives():
    x, w = (torch.randn(shape, dtype=torch.complex128) for shape in ((2, 2, 4, 4), (3, 2, 3, 3)))
    assert_equivalent(F.conv2d, torch.nn.functional.conv2d, x, w)


def test_no_images():
    x, w = torch.zeros(0, 2, 5, 5, dtype=torch.float64), torch.randn(3, 2, 3, 3, dtype=torch.float64)
    assert_equivalent(F.conv2d, torch.nn.functional.conv2d, x, w, order=1)


def test_no_channels_leave_the_bias():
    """The one divergence: torch gives an output without channels, whatever the weight says."""
    y = F.conv2d(torch.zeros(2, 0, 5, 5), torch.zeros(3, 0, 3, 3), torch.tensor([1.0, 2.0, 3.0]))
    assert torch.equal(y, torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1).expand(2, 3, 3, 3))
    x, w = torch.zeros(2, 0, 5, 5, requires_grad=True), torch.zeros(3, 0, 3, 3, requires_grad=True)
    F.conv2d(x, w).sum().backward()
    assert (x.grad.shape, w.grad.shape) == (x.shape, w.shape)


def test_whole_numbers_of_any_make():
    x, w = torch.randn(1, 2, 6, 6), torch.randn(3, 2, 3, 3)
    assert torch.equal(
        F.conv2d(x, w, stride=np.int64(2), padding=(np.int32(1), 1)), F.conv2d(x, w, stride=2, padding=1)
    )


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("channels", [1, 3])
def test_layouts_are_handed_on(padding, channels):
    last = torch.channels_last
    for x_format in (torch.contiguous_format, last):
        for w_format in (torch.contiguous_format, last):
            x = torch.randn(2, channels, 5, 4).contiguous(memory_format=x_format)
            w = torch.randn(4, channels, 3, 3).contiguous(memory_format=w_format)
            mine, theirs = F.conv2d(x, w, padding=padding), torch.nn.functional.conv2d(x, w, padding=padding)
            assert mine.stride() == theirs.stride()


@given(case=conv_cases())
def test_the_strategy_keeps_its_word(case):
    """Every drawn case is one that torch accepts, and the output is not empty."""
    layer = torch.nn.Conv2d(*case.args, **case.kwargs).double()
    assert layer(*case.inputs).numel() > 0


@pytest.mark.parametrize(
    "call",
    [
        lambda f: f(torch.ones(2, 3, 8, 8), torch.ones(4, 2, 3, 3)),
        lambda f: f(torch.ones(3, 8), torch.ones(4, 2, 3, 3)),
        lambda f: f(torch.ones(1, 2, 5, 5), torch.ones(4, 2, 3, 3), torch.ones(5)),
        lambda f: f(torch.ones(1, 2, 5, 5), torch.ones(4, 2, 3, 3), torch.ones(4).double()),
        lambda f: f(torch.ones(1, 4, 5, 5), torch.ones(3, 2, 3, 3), groups=2),
        lambda f: f(torch.ones(1, 2, 5, 5), torch.ones(4, 2, 3, 3), groups=0),
        lambda f: f(torch.ones(1, 2, 5, 5), torch.ones(4, 2, 3, 3), padding="same", stride=2),
        lambda f: f(torch.ones(1, 2, 5, 5), torch.ones(4, 2, 3, 3), padding="half"),
        lambda f: f(torch.ones(1, 2, 5, 5), torch.ones(4, 2, 3, 3), stride=2.5),
        lambda f: f(torch.ones(2, 5, 5), torch.ones(2, 3, 3)),
        lambda f: f(torch.ones(2, 2, 5, 5), torch.ones(0, 2, 3, 3)),
        lambda f: f(torch.ones(2, 2, 0, 5), torch.ones(4, 2, 3, 3)),
    ],
)  # fmt: skip
def test_misfits_raise_what_torch_raises(call):
    errors = []
    for conv2d in (F.conv2d, torch.nn.functional.conv2d):
        with pytest.raises((RuntimeError, TypeError)) as caught:
            call(conv2d)
        errors.append(type(caught.value))
    assert errors[0] is errors[1]
