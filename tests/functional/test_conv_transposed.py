"""Transposed convolution: both algorithms against torch in one to three dimensions, and against the laws."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels import functional as F
from minimodels.functional.conv import definition, im2col
from minimodels.shapes import Windows
from minimodels.testing import assert_commutes, assert_equivalent, assert_linear, conv_transpose_cases, tensors

CONVOLUTION = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
REFERENCE = {
    1: torch.nn.functional.conv_transpose1d,
    2: torch.nn.functional.conv_transpose2d,
    3: torch.nn.functional.conv_transpose3d,
}


@st.composite
def convolutions(draw, dims=None):
    """A convolution's input, kernel and settings; what it makes of the input is what the transposed one takes."""
    dims = dims or draw(st.integers(1, 3))
    kernel, dilation, stride = (tuple(draw(st.integers(1, 3)) for _ in range(dims)) for _ in range(3))
    padding = tuple(draw(st.integers(0, 2)) for _ in range(dims))
    groups = draw(st.integers(1, 3))
    inputs, outputs, batch = (draw(st.integers(1, 2)) for _ in range(3))
    size = tuple(
        max(1, d * (k - 1) + 1 - 2 * p) + draw(st.integers(0, 3))
        for k, d, p in zip(kernel, dilation, padding, strict=True)
    )
    x = draw(tensors((batch, groups * inputs, *size)))
    w = draw(tensors((groups * outputs, inputs, *kernel)))
    return x, w, Windows(kernel, stride, tuple((p, p) for p in padding), dilation, groups)


def rest(x, windows):
    """The output padding that leads back to the input's size."""
    counts = windows.output_size(x.shape[2:])
    return tuple(
        size + 2 * p - (count - 1) * s - d * (k - 1) - 1
        for size, count, s, (p, _), d, k in zip(
            x.shape[2:], counts, windows.stride, windows.pads, windows.dilation, windows.kernel, strict=True
        )
    )


@given(case=convolutions())
def test_is_the_adjoint_of_convolution(case):
    """⟨y, conv(x)⟩ = ⟨conv_transpose(y), x⟩ with one and the same weight."""
    x, w, windows = case
    dims, padding = x.ndim - 2, tuple(p for p, _ in windows.pads)
    there = CONVOLUTION[dims](x, w, None, windows.stride, padding, windows.dilation, windows.groups)
    y = torch.randn_like(there)
    back = TRANSPOSED[dims](y, w, None, windows.stride, padding, rest(x, windows), windows.groups, windows.dilation)
    assert back.shape == x.shape
    assert torch.allclose((y * there).sum(), (back * x).sum(), rtol=1e-9, atol=1e-9)


@given(case=convolutions(), uneven=st.booleans(), bias=st.booleans())
def test_the_definition_is_the_fast_way(case, uneven, bias):
    x, w, windows = case
    if uneven:
        windows = windows._replace(pads=tuple((p, p + 1) for p, _ in windows.pads))
    y = torch.randn(x.shape[0], w.shape[0], *windows.output_size(x.shape[2:]), dtype=x.dtype)
    size = tuple(x.shape[2:])
    b = torch.randn(x.shape[1], dtype=x.dtype) if bias else None

    def fast(y, w):
        back = im2col.input_gradient(y, w, size, windows)
        return (back if b is None else back + b.view(-1, *[1] * len(size))).contiguous()

    assert_equivalent(
        fast,
        lambda y, w: definition.convolve_transposed(y, w, b, size, windows).contiguous(),
        y, w, rtol=1e-9, atol=1e-9,
    )  # fmt: skip


@pytest.mark.parametrize("dims", [1, 2, 3])
@given(data=st.data())
def test_a_stride_that_divides_the_kernel(dims, data):
    """Phase by phase, where windows reach all of the output; with an output padding that they do not reach too."""
    taps, stride = ([data.draw(st.integers(1, most)) for _ in range(dims)] for most in (3, 3))
    kernel = [tap * s for tap, s in zip(taps, stride, strict=True)]
    padding = [data.draw(st.integers(0, k // 2)) for k in kernel]
    rests = [data.draw(st.integers(0, s - 1)) for s in stride]
    x = data.draw(tensors((2, 3, *(data.draw(st.integers(2, 4)) for _ in range(dims)))))
    w, b = data.draw(tensors((3, 2, *kernel))), torch.randn(2, dtype=torch.float64)
    assert_equivalent(
        lambda *o: TRANSPOSED[dims](*o, tuple(stride), tuple(padding), tuple(rests)),
        lambda *o: REFERENCE[dims](*o, tuple(stride), tuple(padding), tuple(rests)),
        x, w, b, rtol=1e-9, atol=1e-9,
    )  # fmt: skip


@given(case=convolutions(), data=st.data())
def test_functions_are_torchs(case, data):
    """With output padding beyond the stride too, where a dilation allows it, and with a dilation of single elements."""
    x, w, windows = case
    rests = tuple(
        data.draw(st.integers(0, max(s, d) - 1)) for s, d in zip(windows.stride, windows.dilation, strict=True)
    )
    counts = windows.output_size(x.shape[2:])
    padding = tuple(
        min(p, ((n - 1) * s + d * (k - 1)) // 2)
        for (p, _), n, s, d, k in zip(
            windows.pads, counts, windows.stride, windows.dilation, windows.kernel, strict=True
        )
    )
    y, bias = data.draw(tensors((x.shape[0], w.shape[0], *counts))), torch.randn(x.shape[1], dtype=x.dtype)
    settings = (windows.stride, padding, rests, windows.groups, windows.dilation)
    assert_equivalent(
        lambda *o: TRANSPOSED[x.ndim - 2](*o, *settings),
        lambda *o: REFERENCE[x.ndim - 2](*o, *settings),
        y, w, bias, rtol=1e-9, atol=1e-9,
    )  # fmt: skip


@given(case=convolutions())
def test_at_stride_one_it_is_convolution_with_the_flipped_kernel(case):
    x, w, windows = case
    dims, groups = x.ndim - 2, windows.groups
    flipped = w.unflatten(0, (groups, -1)).transpose(1, 2).flatten(0, 1).flip(tuple(range(2, w.ndim)))
    full = tuple(d * (k - 1) for d, k in zip(windows.dilation, windows.kernel, strict=True))
    y = torch.randn(2, w.shape[0], *[3] * dims, dtype=x.dtype)
    ours = TRANSPOSED[dims](y, w, groups=groups, dilation=windows.dilation)
    assert torch.allclose(ours, CONVOLUTION[dims](y, flipped, None, 1, full, windows.dilation, groups), atol=1e-9)


@given(data=st.data(), stride=st.integers(1, 3), shift=st.integers(1, 3))
def test_a_shift_of_the_input_shifts_the_output_by_strides(data, stride, shift):
    x, w = data.draw(tensors((2, 3, 6, 5))), data.draw(tensors((3, 4, 3, 2)))
    moved = F.conv_transpose2d(F.pad(x, (0, 0, shift, 0)), w, stride=stride)
    assert torch.allclose(moved[:, :, shift * stride :], F.conv_transpose2d(x, w, stride=stride))


@given(data=st.data())
def test_commutes_with_mirroring_both(data):
    x, w = data.draw(tensors((2, 3, 6))), data.draw(tensors((3, 4, 3)))
    assert_commutes(
        lambda x: F.conv_transpose1d(x, (w + w.flip(-1)) / 2, stride=2), lambda x: x.flip(-1), x
    )  # a kernel that is its own mirror image


@given(data=st.data())
def test_is_linear_in_input_and_kernel(data):
    x, y = (data.draw(tensors((2, 4, 5, 5))) for _ in range(2))
    v, w = (data.draw(tensors((4, 3, 3, 3))) for _ in range(2))
    assert_linear(lambda x: F.conv_transpose2d(x, w, groups=2, stride=2), x, y)
    assert_linear(lambda w: F.conv_transpose2d(x, w, groups=2, stride=2), v, w)


@given(data=st.data())
def test_groups_are_separate_convolutions(data):
    x, w = data.draw(tensors((2, 6, 4, 5))), data.draw(tensors((6, 2, 3, 3)))
    parts = [
        F.conv_transpose2d(part, kernel, stride=2) for part, kernel in zip(x.chunk(3, 1), w.chunk(3, 0), strict=True)
    ]
    assert torch.allclose(F.conv_transpose2d(x, w, stride=2, groups=3), torch.cat(parts, 1))


@pytest.mark.parametrize("dims", [1, 2, 3])
@given(data=st.data())
def test_depthwise(dims, data):
    kernel = tuple(data.draw(st.integers(1, 3)) for _ in range(dims))
    x, w, b = (torch.randn(shape, dtype=torch.float64) for shape in ((2, 5, *[4] * dims), (5, 1, *kernel), (5,)))
    settings = (data.draw(st.integers(1, 3)), data.draw(st.integers(0, 1)), 0, 5, data.draw(st.integers(1, 3)))
    assert_equivalent(
        lambda *o: TRANSPOSED[dims](*o, *settings),
        lambda *o: REFERENCE[dims](*o, *settings),
        x, w, b, rtol=1e-9, atol=1e-9,
    )  # fmt: skip


@given(case=convolutions(dims=1))
def test_gradcheck_and_gradgradcheck(case):
    x, w, windows = case
    y = torch.randn(1, w.shape[0], *windows.output_size(x.shape[2:]), dtype=x.dtype)
    operands = [t.detach().clone().requires_grad_() for t in (y, w, torch.randn(x.shape[1], dtype=x.dtype))]
    settings = (windows.stride, 0, 0, windows.groups, windows.dilation)
    for check in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
        assert check(lambda *o: F.conv_transpose1d(*o, *settings), operands, fast_mode=True)


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("dtype", [torch.int64, torch.complex128, torch.complex64], ids=str)
def test_integers_and_complex_numbers(dims, dtype):
    x, w = (torch.randint(-5, 5, shape).to(dtype) for shape in ((2, 4, *[4] * dims), (4, 3, *[3] * dims)))
    if dtype.is_complex:
        x, w = x * (1 + 2j), w * (2 - 1j)
    ours, theirs = (f(x, w, stride=2, padding=1, groups=2) for f in (TRANSPOSED[dims], REFERENCE[dims]))
    assert torch.equal(ours, theirs)


def test_complex_derivatives():
    x, w = (torch.randn(shape, dtype=torch.complex128) for shape in ((2, 2, 4, 4), (2, 3, 3, 3)))
    assert_equivalent(F.conv_transpose2d, torch.nn.functional.conv_transpose2d, x, w)


def test_no_samples():
    x, w = torch.zeros(0, 2, 5, 5, dtype=torch.float64), torch.randn(2, 3, 3, 3, dtype=torch.float64)
    assert_equivalent(F.conv_transpose2d, torch.nn.functional.conv_transpose2d, x, w, order=1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("dims", [2, 3])
def test_layouts_are_handed_on(dims, dtype):
    last = {2: torch.channels_last, 3: torch.channels_last_3d}[dims]
    for x_format in (torch.contiguous_format, last):
        for w_format in (torch.contiguous_format, last):
            x = torch.randn(2, 3, *[4] * dims, dtype=dtype).contiguous(memory_format=x_format)
            w = torch.randn(3, 4, *[3] * dims, dtype=dtype).contiguous(memory_format=w_format)
            mine, theirs = (f(x, w, stride=2, padding=1) for f in (TRANSPOSED[dims], REFERENCE[dims]))
            assert mine.stride() == theirs.stride()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_shares_are_added_up_in_float32(dtype):
    """1 + ε/2 rounds to 1 in 16 bits, a hundred times over; the sum of all does not."""
    small = torch.finfo(dtype).eps / 2
    x, w = torch.full((1, 1, 100), small, dtype=dtype), torch.ones(1, 1, 100, dtype=dtype)
    x[..., -1] = 1
    for channels in (1, 2):  # depthwise, and as a product
        y = F.conv_transpose1d(x.expand(1, channels, 100), w.expand(channels, 1, 100))[0, 0, 99]  # all shares meet here
        assert torch.allclose(y.double(), torch.tensor(channels * (1 + 99 * small)).double(), rtol=2 * small)


@given(dims=st.integers(1, 3), data=st.data())
def test_the_strategy_keeps_its_word(dims, data):
    """Every drawn case is one that torch accepts, and the output is not empty."""
    case = data.draw(conv_transpose_cases(dims))
    layer = getattr(torch.nn, f"ConvTranspose{dims}d")(*case.args, **case.kwargs).double()
    assert layer(*case.inputs).numel() > 0


@pytest.mark.parametrize(
    "call",
    [
        lambda f: f(torch.ones(2, 3, 8, 8), torch.ones(4, 2, 3, 3)),
        lambda f: f(torch.ones(3, 8), torch.ones(3, 2, 3, 3)),
        lambda f: f(torch.ones(1, 4, 5, 5), torch.ones(4, 2, 3)),
        lambda f: f(torch.ones(1, 4, 5, 5), torch.ones(4, 2, 3, 3), torch.ones(4)),
        lambda f: f(torch.ones(1, 4, 5, 5), torch.ones(4, 2, 3, 3), torch.ones(1, 2)),
        lambda f: f(torch.ones(1, 4, 5, 5), torch.ones(4, 2, 3, 3).double()),
        lambda f: f(torch.ones(1, 4, 5, 5), torch.ones(4, 2, 3, 3), groups=3),
        lambda f: f(torch.ones(1, 4, 5, 5), torch.ones(4, 2, 3, 3), groups=8),
        lambda f: f(torch.ones(1, 4, 5, 5), torch.ones(4, 2, 3, 3), groups=0),
        lambda f: f(torch.ones(1, 4, 5, 5), torch.ones(4, 2, 3, 3), padding="same"),
        lambda f: f(torch.ones(1, 4, 5, 5), torch.ones(4, 2, 3, 3), stride=2.5),
        lambda f: f(torch.ones(1, 4, 5, 5), torch.ones(4, 2, 3, 3), output_padding=(0, 0, 0)),
        lambda f: f(torch.ones(1, 4, 0, 5), torch.ones(4, 2, 3, 3)),
        lambda f: f(torch.ones(1, 4, 5, 5), torch.ones(4, 0, 3, 3)),
        lambda f: f(torch.ones(1, 0, 5, 5), torch.ones(0, 2, 3, 3)),
        lambda f: f(torch.ones(1, 4, 5, 5).bool(), torch.ones(4, 2, 3, 3).bool()),
    ],
)  # fmt: skip
def test_misfits_raise_what_torch_raises(call):
    errors = []
    for conv_transpose2d in (F.conv_transpose2d, torch.nn.functional.conv_transpose2d):
        with pytest.raises((RuntimeError, TypeError)) as caught:
            call(conv_transpose2d)
        errors.append(type(caught.value))
    assert errors[0] is errors[1]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("groups", [1, 2])
def test_bias_is_added_before_sixteen_bits_round(dtype, stride, groups):
    large = round(1 / torch.finfo(dtype).eps) * 2  # large + 1 is rounded to large
    x = torch.ones(1, groups, 2, dtype=dtype)
    w = torch.tensor([1.0, 0.0, 0.0], dtype=dtype).repeat(groups, 1, 1)
    w[..., stride] = large
    bias = torch.full((groups,), -float(large), dtype=dtype)
    y = F.conv_transpose1d(x, w, bias, stride, groups=groups)
    assert y[..., stride].tolist() == [[1.0] * groups]
