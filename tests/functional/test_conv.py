"""Convolution: all algorithms against each other, against torch in one to three dimensions, and against the laws."""

import warnings
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels import functional as F
from minimodels.functional.conv import (
    bands,
    bilinear,
    choice,
    columns,
    definition,
    diagonals,
    fft,
    frame,
    im2col,
    interleaved,
    lines,
    planes,
    rows,
    shifts,
    stacks,
    strips,
    winograd,
)
from minimodels.shapes import Windows
from minimodels.tap import listening
from minimodels.testing import assert_commutes, assert_equivalent, assert_linear, conv_cases, tensors

FUNCTIONS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
REFERENCE = {1: torch.nn.functional.conv1d, 2: torch.nn.functional.conv2d, 3: torch.nn.functional.conv3d}


@st.composite
def convolutions(draw, dims=None, groups=None, depthwise=False, three=False):
    """A convolution without a layer around it: input, kernel, bias, windows with even padding.

    `depthwise` gives every channel a group of its own, `three` a 3x3 kernel with stride 1.
    """
    dims = 2 if three else dims or draw(st.integers(1, 3))
    kernel, dilation, stride = (tuple(draw(st.integers(1, 3)) for _ in range(dims)) for _ in range(3))
    if three:
        kernel, dilation, stride, groups = (3, 3), (1, 1), (1, 1), 1
    padding = tuple(draw(st.integers(0, 4)) for _ in range(dims))
    groups = groups or draw(st.integers(1, 3))
    inputs, outputs, batch = (
        1 if depthwise else draw(st.integers(1, 2)),
        draw(st.integers(1, 2)),
        draw(st.integers(1, 3)),
    )
    size = tuple(
        max(1, d * (k - 1) + 1 - 2 * p) + draw(st.integers(0, 6 if three else 3))
        for k, d, p in zip(kernel, dilation, padding, strict=True)
    )
    x = draw(tensors((batch, groups * inputs, *size)))
    w = draw(tensors((groups * outputs, inputs, *kernel)))
    b = draw(tensors((groups * outputs,), layouts=False))
    return x, w, b, Windows(kernel, stride, tuple((p, p) for p in padding), dilation, groups)


def f4(x, w, bias, windows):
    return winograd.convolve(x, w, bias, windows, tile=4)


ALGORITHMS = {  # with the convolutions that each of them serves
    "definition": (definition.convolve, convolutions()),
    "im2col": (im2col.convolve, convolutions()),
    "fft": (fft.convolve, convolutions()),
    "shifts": (shifts.convolve, convolutions(depthwise=True)),
    "bands": (bands.convolve, st.integers(1, 2).flatmap(lambda dims: convolutions(dims, depthwise=True))),
    "winograd F(2x2)": (winograd.convolve, convolutions(three=True)),
    "winograd F(4x4)": (f4, convolutions(three=True)),
    "choice": (choice.convolve, convolutions()),
}
everyone = pytest.mark.parametrize("name", ALGORITHMS)
fast = pytest.mark.parametrize("name", [name for name in ALGORITHMS if name != "definition"])


@everyone
@given(data=st.data())
def test_every_algorithm_is_torchs_convolution(name, data):
    convolve, cases = ALGORITHMS[name]
    x, w, b, windows = data.draw(cases)
    padding = tuple(before for before, _ in windows.pads)
    assert_equivalent(
        lambda x, w, b: convolve(x, w, b, windows).contiguous(),
        lambda x, w, b: REFERENCE[w.ndim - 2](
            x, w, b, windows.stride, padding, windows.dilation, windows.groups
        ).contiguous(),
        x, w, b, rtol=1e-9, atol=1e-9,
    )  # fmt: skip


@fast
@given(data=st.data())
def test_uneven_padding(name, data):
    convolve, cases = ALGORITHMS[name]
    x, w, b, windows = data.draw(cases)
    windows = windows._replace(pads=tuple((p, p + data.draw(st.integers(0, 2))) for p, _ in windows.pads))
    assert_equivalent(
        lambda x, w, b: convolve(x, w, b, windows).contiguous(),
        lambda x, w, b: definition.convolve(x, w, b, windows).contiguous(),
        x, w, b, rtol=1e-9, atol=1e-9,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["im2col", "shifts", "bands", "winograd F(2x2)", "winograd F(4x4)"])
@given(data=st.data())
def test_chunks_change_nothing(name, data):
    convolve, cases = ALGORITHMS[name]
    x, w, b, windows = data.draw(cases)
    whole = convolve(x, w, b, windows)
    with pytest.MonkeyPatch.context() as patch:
        for algorithm in (frame, planes, shifts, winograd):
            patch.setattr(algorithm, "CHUNK", 1)  # one sample, channel or row of tiles at a time
        patch.setattr(bands, "BAND", 2)
        assert_equivalent(lambda *o: convolve(*o, windows).contiguous(),
                          lambda *o: definition.convolve(*o, windows).contiguous(), x, w, b,
                          rtol=1e-9, atol=1e-9)  # fmt: skip
        assert torch.allclose(convolve(x, w, b, windows), whole, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("enough", [1, 1000])
@pytest.mark.parametrize("way", [rows, columns], ids=["rows", "columns"])
@given(case=convolutions(), uneven=st.integers(0, 2), chunk=st.sampled_from([1, 1 << 12, 1 << 21]))
def test_rows_and_columns_are_the_same(way, enough, case, uneven, chunk):
    """With whole columns and with those that the products sum over, in chunks of any size, the last one smaller."""
    x, w, b, windows = case
    windows = windows._replace(pads=tuple((before, after + uneven) for before, after in windows.pads))
    leaves = [t.detach().requires_grad_() for t in (x, w)]
    expected = definition.convolve(*leaves, b, windows)
    gradient = torch.randn_like(expected)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "ENOUGH", enough)
        patch.setattr(frame, "CHUNK", chunk)
        y, by_w = way.forward(x, w, b, windows), way.weight_gradient(x, gradient, windows)
    torch.testing.assert_close(y, expected.detach(), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(by_w, torch.autograd.grad(expected, leaves[1], gradient)[0], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("channels", [1, 2, 4, 5])
def test_a_bias_among_the_products_of_short_rows_is_torchs(channels, dtype):
    """On either side of `SHORT`; an infinite number in the bias stays in its channel."""
    x = torch.randn(3, channels, 9, 8).to(dtype).to(memory_format=torch.channels_last)
    w, b = torch.randn(6, channels, 3, 3).to(dtype), torch.randn(6).to(dtype)
    b[2] = torch.inf
    windows = Windows((3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1)
    assert rows._short(x, windows) == (channels < 4)
    tolerance = 1e-5 if dtype is torch.float32 else 3e-2
    expected = torch.nn.functional.conv2d(x, w, b, padding=1)
    torch.testing.assert_close(rows.forward(x, w, b, windows), expected, rtol=tolerance, atol=tolerance)


@given(images=st.integers(0, 20), at_once=st.integers(1, 9), threads=st.integers(1, 6), wide=st.booleans())
def test_chunks_have_as_many_images_for_every_thread(images, at_once, threads, wide):
    x = torch.zeros(images, 1, dtype=torch.float32 if wide else torch.bfloat16)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "get_num_threads", lambda: threads)
        patch.setattr(frame, "CHUNK", at_once * x.dtype.itemsize)
        cut = frame.chunks(x, 1)
    assert [i for part in cut for i in range(images)[part]] == list(range(images))
    assert all(part.stop - part.start <= (2 if wide else 1) * at_once for part in cut)
    if wide and at_once >= threads:
        assert all((part.stop - part.start) % threads == 0 for part in cut[:-1])


@given(case=convolutions(), chunk=st.sampled_from([1, 1 << 21]), few=st.sampled_from([0, 8]))
def test_columns_of_16_bits(case, chunk, few):
    """The bias is the weight of a constant, and the smaller factor of the kernel's gradient stands on the right."""
    x, w, b, windows = case
    operands = [t.detach().bfloat16() for t in (x, w, b)]
    wide = [t.double().requires_grad_() for t in operands]
    expected = definition.convolve(*wide, windows)
    gradient = torch.randn_like(expected).bfloat16()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frame, "CHUNK", chunk)
        patch.setattr(columns, "FEW", few)
        y = columns.forward(*operands, windows)
        carried = columns.weight_gradient(operands[0], gradient, windows)
    for value, wanted in ((y, expected), (carried, torch.autograd.grad(expected, wide[1], gradient.double())[0])):
        assert value.dtype is torch.bfloat16
        assert (value - wanted).abs().max() <= 0.05 * (1 + wanted.abs().max())


@given(case=convolutions(groups=1), uneven=st.integers(0, 2), chunk=st.sampled_from([1, 1 << 12, 1 << 21]))
def test_rows_of_lines_are_the_same(case, uneven, chunk):
    x, w, b, windows = case
    pads = tuple((before, after + uneven) for before, after in windows.pads)
    windows = windows._replace(pads=pads, stride=(1, *windows.stride[1:]))
    leaves = [t.detach().requires_grad_() for t in (x, w)]
    expected = definition.convolve(*leaves, b, windows)
    gradient = torch.randn_like(expected)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frame, "CHUNK", chunk)
        y, by_w = lines.forward(x, w, b, windows), lines.weight_gradient(x, gradient, windows)
        without = lines.forward(x, w, None, windows)
    torch.testing.assert_close(y, expected.detach(), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(without, definition.convolve(x, w, None, windows), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(by_w, torch.autograd.grad(expected, leaves[1], gradient)[0], rtol=1e-9, atol=1e-9)


@given(
    case=convolutions(groups=1),
    places=st.sampled_from([(1, 1), (2, 1), (2, 2), (3, 1), (3, 3)]),
    uneven=st.integers(0, 2),
    chunk=st.sampled_from([1, 1 << 10, 1 << 21]),
    last=st.booleans(),
)
def test_classes_of_windows_are_the_same(case, places, uneven, chunk, last):
    """In chunks of any size, at strides that divide a kernel's line, whichever way the input lies."""
    x, w, b, windows = case
    reach, stride = places
    pads = tuple((before, after + uneven) for before, after in windows.pads)
    windows = windows._replace(pads=(*pads[:-1], (pads[-1][0], pads[-1][1] + reach)))
    windows = windows._replace(kernel=(*windows.kernel[:-1], reach), stride=(*windows.stride[:-1], stride))
    windows = windows._replace(dilation=(*windows.dilation[:-1], 1))
    if last and x.ndim > 3:
        x = x.contiguous(memory_format=torch.channels_last if x.ndim == 4 else torch.channels_last_3d)
    w = torch.randn(*w.shape[:2], *windows.kernel, dtype=w.dtype).requires_grad_()
    expected = definition.convolve(x, w, b, windows)
    gradient = torch.randn_like(expected)
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr(frame, "CHUNK", chunk)
        y, without = (interleaved.forward(x, w, bias, windows) for bias in (b, None))
        carried = interleaved.weight_gradient(x, gradient, windows) if stride == 1 else None
    torch.testing.assert_close(y, expected.detach(), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(without, definition.convolve(x, w.detach(), None, windows), rtol=1e-9, atol=1e-9)
    if carried is not None:
        torch.testing.assert_close(carried, torch.autograd.grad(expected, w, gradient)[0], rtol=1e-9, atol=1e-9)


@given(case=convolutions(groups=1), many=st.sampled_from([1, 1 << 20]), long=st.sampled_from([1, 1000]))
def test_with_classes_or_without(case, many, long):
    """In bfloat16, in which they serve, as if this machine had units for it."""
    x, w, b, windows = case
    leaves = [t.detach().bfloat16().requires_grad_() for t in (x, w, b)]
    wide = [t.detach().double().requires_grad_() for t in leaves]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(interleaved, "bfloat16_is_fast", lambda: True)
        patch.setattr(interleaved, "MANY", many)
        patch.setattr(interleaved, "LONG", long)
        patch.setattr(stacks, "LONG", long)
        patch.setattr(stacks, "bfloat16_is_fast", lambda: True)
        patch.setattr(im2col, "RUN", 1)
        y = im2col.convolve(*leaves, windows)
        gradient = torch.randn_like(y)
        carried = torch.autograd.grad(y, leaves, gradient)
    expected = definition.convolve(*wide, windows)
    for value, wanted in zip(
        (y, *carried), (expected, *torch.autograd.grad(expected, wide, gradient.double())), strict=True
    ):
        assert value.dtype is torch.bfloat16
        assert (value - wanted).abs().max() <= 0.05 * (1 + wanted.abs().max())


@given(case=convolutions(dims=3, groups=1), uneven=st.integers(0, 2), chunk=st.sampled_from([1, 1 << 10, 1 << 21]))
def test_stacks_of_planes_are_the_same(case, uneven, chunk):
    """In chunks of any size, padding wider than the volume included; in 16 bits several planes by one product."""
    x, w, b, windows = case
    pads = tuple((before, after + uneven) for before, after in windows.pads)
    windows = windows._replace(pads=pads, stride=(1, *windows.stride[1:]), dilation=(1, *windows.dilation[1:]))
    leaves = [t.detach().requires_grad_() for t in (x, w)]
    expected = definition.convolve(*leaves, b, windows)
    gradient = torch.randn_like(expected)
    by_w = torch.autograd.grad(expected, leaves[1], gradient)[0]
    for dtype, far in ((torch.float64, 1e-9), (torch.bfloat16, 0.05)):
        operands = [t.to(dtype) for t in (x, w, b, gradient)]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(frame, "CHUNK", chunk)
            y = stacks.forward(*operands[:3], windows)
            carried = stacks.weight_gradient(operands[0], operands[3], windows)
        for value, wanted in ((y, expected.detach()), (carried, by_w)):
            assert value.dtype is dtype
            assert (value - wanted).abs().max() <= far * (1 + wanted.abs().max())


@given(case=convolutions(dims=2, groups=1), uneven=st.integers(0, 2))
def test_stacks_of_lines_are_the_kernels_gradient(case, uneven):
    x, w, _, windows = case
    pads = tuple((before, after + uneven) for before, after in windows.pads)
    windows = windows._replace(pads=pads, stride=(1, *windows.stride[1:]), dilation=(1, *windows.dilation[1:]))
    leaf = w.detach().requires_grad_()
    expected = definition.convolve(x.detach(), leaf, None, windows)
    gradient = torch.randn_like(expected)
    carried = stacks.weight_gradient(x.detach(), gradient, windows)
    torch.testing.assert_close(carried, torch.autograd.grad(expected, leaf, gradient)[0], rtol=1e-9, atol=1e-9)


@given(case=convolutions(dims=3))
def test_with_stacks_or_without(case):
    x, w, b, windows = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stacks, "PLANE", 1)
        assert_equivalent(lambda *o: im2col.convolve(*o, windows).contiguous(),
                          lambda *o: definition.convolve(*o, windows).contiguous(), x, w, b,
                          rtol=1e-9, atol=1e-9)  # fmt: skip


@given(case=convolutions(depthwise=True), chunk=st.integers(1, 1000))
def test_flat_planes_and_lines_are_the_same(case, chunk):
    """Some planes of an image at a time, some images, the last ones fewer, or all."""
    x, w, b, windows = case
    windows = windows._replace(stride=(1,) * len(windows.stride))
    leaves = [t.detach().requires_grad_() for t in (x, w)]
    expected = definition.convolve(*leaves, b, windows)
    gradient = torch.randn_like(expected)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planes, "CHUNK", chunk)
        y, by_w = planes.forward(x, w, b, windows), planes.weight_gradient(x, gradient, windows)
    torch.testing.assert_close(y, expected.detach(), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(by_w, torch.autograd.grad(expected, leaves[1], gradient)[0], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("padding", [0, 1])
def test_strips_keep_an_infinite_number_in_its_channel(padding):
    x = torch.randn(2, 4, 14, 14)
    x[0, 1, 0, 0] = torch.inf
    windows = Windows((3, 3), (1, 1), ((padding, padding),) * 2, (1, 1), 4)
    assert strips.serves(x, windows)
    w = strips.weight_gradient(x, torch.ones(2, 4, 12 + 2 * padding, 12 + 2 * padding), windows)
    assert w.flatten(1).isfinite().all(1).tolist() == [True, False, True, True]


@given(
    case=convolutions(dims=2, depthwise=True),
    places=st.sampled_from([(1, 1), (2, 1), (2, 2), (3, 1), (4, 2)]),
    uneven=st.integers(0, 2),
    chunk=st.sampled_from([1, 1 << 10, 1 << 21]),
)
def test_strips_are_the_same(case, places, uneven, chunk):
    """In chunks of any size, at strides that divide the kernel, with several kernels a channel."""
    x, w, b, windows = case
    (reach, stride), ((above, below), beside) = places, windows.pads
    windows = windows._replace(pads=((above, below + reach + uneven), beside), kernel=(reach, windows.kernel[1]))
    windows = windows._replace(stride=(stride, windows.stride[1]), dilation=(1, windows.dilation[1]))
    w = torch.randn(*w.shape[:2], *windows.kernel, dtype=w.dtype).requires_grad_()
    expected = definition.convolve(x, w, b, windows)
    gradient = torch.randn_like(expected)
    with pytest.MonkeyPatch.context() as patch, torch.no_grad():
        patch.setattr(frame, "CHUNK", chunk)
        y, without = (strips.forward(x, w, bias, windows) for bias in (b, None))
        carried = strips.weight_gradient(x, gradient, windows)
    torch.testing.assert_close(y, expected.detach(), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(without, definition.convolve(x, w.detach(), None, windows), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(carried, torch.autograd.grad(expected, w, gradient)[0], rtol=1e-9, atol=1e-9)


@given(case=convolutions(dims=2, depthwise=True), short=st.sampled_from([1, 1000]))
def test_with_strips_or_without(case, short):
    x, w, b, windows = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strips, "SHORT", short)
        patch.setattr(bands, "BAND", 2)
        assert_equivalent(lambda *o: bands.convolve(*o, windows).contiguous(),
                          lambda *o: definition.convolve(*o, windows).contiguous(), x, w, b,
                          rtol=1e-9, atol=1e-9)  # fmt: skip


@given(case=convolutions(dims=2, depthwise=True), uneven=st.integers(0, 2), piece=st.integers(1, 8))
def test_diagonals_are_the_kernels_gradient(case, uneven, piece):
    """With lines whole or in pieces, the last one shorter; padding wider than the image included."""
    x, w, _, windows = case
    x, w = x[:, : windows.groups], w[: windows.groups]
    windows = windows._replace(stride=(1, 1), pads=tuple((p, p + uneven) for p, _ in windows.pads))
    leaf = w.detach().requires_grad_()
    y = definition.convolve(x, leaf, None, windows)
    gradient = torch.randn_like(y)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(diagonals, "PIECE", piece)
        carried = diagonals.weight_gradient(x, gradient, windows)
    torch.testing.assert_close(carried, torch.autograd.grad(y, leaf, gradient)[0], rtol=1e-9, atol=1e-9)


@given(case=convolutions(), line=st.sampled_from([0, 1000]))
def test_either_way_round(case, line):
    x, w, b, windows = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(im2col, "LINE", line)
        patch.setattr(im2col, "RUN", 1)
        patch.setattr(columns, "ENOUGH", 1)
        patch.setattr(lines, "LONG", line)
        patch.setattr(lines, "MANY", 1)
        assert_equivalent(lambda *o: im2col.convolve(*o, windows).contiguous(),
                          lambda *o: definition.convolve(*o, windows).contiguous(), x, w, b,
                          rtol=1e-9, atol=1e-9)  # fmt: skip


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


@fast
@given(data=st.data())
def test_gradcheck_and_gradgradcheck(name, data):
    convolve, cases = ALGORITHMS[name]
    x, w, b, windows = data.draw(cases)
    operands = [t.detach().clone().requires_grad_() for t in (x[:1], w, b)]
    for check in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
        assert check(lambda *o: convolve(*o, windows), operands, fast_mode=True, atol=1e-4)


@fast
def test_every_algorithm_compiles_and_is_seen_through(name):
    """One graph without a break, the same numbers; forward mode, vmap and functional gradients too."""
    convolve, _ = ALGORITHMS[name]
    groups = 2 if name in ("shifts", "bands") else 1
    windows = Windows((3, 3), (1, 1), ((1, 1), (0, 2)), (1, 1), groups)
    generator = torch.Generator().manual_seed(0)
    x, w, b = (
        torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)
        for shape in ((2, 2, 5, 6), (4, 2 // groups, 3, 3), (4,))
    )
    torch.compiler.reset()
    compiled = torch.compile(lambda *o: convolve(*o, windows), fullgraph=True, backend="aot_eager")
    expected = definition.convolve(x, w, b, windows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the compiler's own deprecations
        y = compiled(x, w, b)
        mine, theirs = (torch.autograd.grad(z.square().sum(), (x, w, b)) for z in (y, expected))
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(mine, theirs)
    f, g = lambda x: convolve(x, w, b, windows), lambda x: definition.convolve(x, w, b, windows)
    torch.testing.assert_close(torch.func.jvp(f, (x,), (x,)), torch.func.jvp(g, (x,), (x,)))
    torch.testing.assert_close(torch.func.vmap(f)(torch.stack([x, -x])), torch.func.vmap(g)(torch.stack([x, -x])))
    torch.testing.assert_close(*(torch.func.grad(lambda x: h(x).square().sum())(x) for h in (f, g)))  # noqa: B023


@fast
def test_no_images_and_no_gradient_asked(name):
    convolve, _ = ALGORITHMS[name]
    groups = 2 if name in ("shifts", "bands") else 1
    windows = Windows((3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), groups)
    x, w = torch.zeros(0, 2, 5, 5, requires_grad=True), torch.randn(4, 2 // groups, 3, 3, requires_grad=True)
    y = convolve(x, w, None, windows)
    y.sum().backward()
    assert (y.shape, x.grad.shape, w.grad.count_nonzero()) == ((0, 4, 5, 5), x.shape, 0)


@pytest.mark.parametrize(
    ("name", "x", "w", "dtype"),
    [
        ("im2col", (8, 64, 14, 14), (64, 64, 3, 3), torch.float32),
        ("winograd F(2x2)", (8, 128, 14, 14), (128, 128, 3, 3), torch.float32),
        ("winograd F(4x4)", (1, 64, 30, 28), (64, 64, 3, 3), torch.float32),
        ("im2col", (1, 64, 30, 28), (64, 64, 3, 3), torch.float64),
        ("im2col", (1, 64, 30, 28), (64, 64, 3, 3), torch.bfloat16),
        ("fft", (1, 16, 32, 32), (16, 16, 15, 15), torch.float32),
        ("im2col", (1, 16, 32, 32), (16, 16, 11, 11), torch.float32),
        ("definition", (1, 16, 8, 8), (16, 16, 3, 3), torch.int64),
    ],
)
def test_what_is_chosen(name, x, w, dtype):
    margin = w[-1] // 2
    windows = Windows(w[2:], (1, 1), ((margin, margin),) * 2, (1, 1), 1)
    x, w = torch.ones(x, dtype=dtype), torch.ones(w, dtype=dtype)
    assert choice.choose(x, w, windows) == name
    y = choice.convolve(x, w, None, windows)
    assert (y.shape, y.dtype) == ((x.shape[0], w.shape[0], *x.shape[2:]), dtype)
    with listening(lambda name, value: value):
        assert choice.choose(x, w, windows) in ("im2col", "definition")


@pytest.mark.parametrize(
    ("fast", "dtype", "kernel", "stride", "size", "channels", "name"),
    [
        (True, torch.bfloat16, 3, 1, 28, 4, "bands"),
        (True, torch.bfloat16, 1, 1, 28, 4, "shifts"),
        (True, torch.float32, 3, 1, 28, 4, "bands"),  # a small image
        (True, torch.float32, 3, 1, 28, 8, "shifts"),
        (True, torch.float32, 3, 1, 10, 512, "bands"),  # short lines
        (True, torch.float32, 3, 1, 14, 512, "shifts"),
        (True, torch.float32, 3, 2, 28, 512, "bands"),  # no planes
        (True, torch.float32, 3, 2, 56, 512, "shifts"),
        (True, torch.float64, 3, 1, 14, 4, "shifts"),
        (False, torch.bfloat16, 3, 1, 28, 4, "shifts"),
    ],
)
def test_what_is_chosen_depthwise(monkeypatch, fast, dtype, kernel, stride, size, channels, name):
    monkeypatch.setattr(choice, "bfloat16_is_fast", lambda: fast)
    x, w = torch.ones(1, channels, size, size, dtype=dtype), torch.ones(channels, 1, kernel, kernel, dtype=dtype)
    assert choice.choose(x, w, square(kernel, stride, groups=channels)) == name


@given(case=convolutions(dims=2, depthwise=True), few=st.sampled_from([0, 50, 1 << 12]), line=st.sampled_from([0, 3]))
def test_small_images_and_large_ones_depthwise(case, few, line):
    *operands, windows = case
    operands = [t.float() for t in operands]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(choice, "LARGE_ENOUGH", 1)
        patch.setattr(choice, "FEW", few)
        patch.setattr(choice, "SHORTEST", line)
        patch.setattr(choice, "SHORT", line)
        assert_equivalent(lambda *o: choice.convolve(*o, windows).contiguous(),
                          lambda *o: definition.convolve(*o, windows).contiguous(), *operands,
                          order=1, rtol=1e-4, atol=1e-4)  # fmt: skip


def rounding(convolve, dtype, seed=0):
    """The largest error of a convolution with 64 channels, relative to the largest element, against float64."""
    generator = torch.Generator().manual_seed(seed)
    x, w = (torch.randn(shape, generator=generator) for shape in ((2, 64, 16, 16), (64, 64, 3, 3)))
    windows = Windows((3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1)
    x, w = x.to(dtype), w.to(dtype)
    exact = definition.convolve(x.double(), w.double(), None, windows)
    return float((convolve(x, w, None, windows).double() - exact).abs().max() / exact.abs().max())


@pytest.mark.parametrize(
    ("name", "most"), [("im2col", 6), ("fft", 6), ("winograd F(2x2)", 6), ("winograd F(4x4)", 16), ("choice", 16)]
)
def test_rounding_errors_beside_the_definitions(name, most):
    """Measured were 3.5, 1.5, 2 and 9 times those of the definition, which sums in nine parts; torch's are 2 times."""
    convolve, _ = ALGORITHMS[name]
    for seed in range(3):
        assert rounding(convolve, torch.float32, seed) < most * rounding(definition.convolve, torch.float32, seed)


@pytest.mark.parametrize("name", ["im2col", "fft", "winograd F(2x2)", "winograd F(4x4)", "choice"])
def test_sixteen_bits_are_summed_in_thirty_two(name):
    """Then the only error that shows is the rounding of the result: half a unit in the last of 8 (or 11) bits."""
    convolve, _ = ALGORITHMS[name]
    assert rounding(convolve, torch.bfloat16) <= 2**-8
    assert rounding(convolve, torch.float16) <= 2**-11


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("convolve", [shifts.convolve, bands.convolve], ids=["shifts", "bands"])
def test_depthwise_sums_sixteen_bits_in_thirty_two(convolve, dtype):
    generator = torch.Generator().manual_seed(0)
    x, w = (torch.randn(shape, generator=generator).to(dtype) for shape in ((2, 8, 16, 16), (8, 1, 7, 7)))
    windows = Windows((7, 7), (1, 1), ((3, 3), (3, 3)), (1, 1), 8)
    exact = definition.convolve(x.double(), w.double(), None, windows)
    assert (convolve(x, w, None, windows).double() - exact).abs().max() <= torch.finfo(dtype).eps / 2 * 64


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("many", [1, 1 << 30])
def test_the_biases_gradient_is_rounded_twice_at_most(many, dtype, layout, monkeypatch):
    monkeypatch.setattr(bilinear, "MANY", many)
    gradient = torch.rand(8, 3, 30, 40).to(dtype).contiguous(memory_format=layout)
    exact = gradient.double().sum((0, 2, 3))
    carried = bilinear.bias_gradient(gradient)
    assert carried.dtype is dtype
    assert (carried - exact).abs().max() <= max(torch.finfo(dtype).eps, 1e-6) * exact.max()


def test_the_biases_gradient_in_float16_is_not_beyond_the_largest_number_on_the_way():
    gradient = torch.tensor([5000.0, -4900.0]).half().view(2, 1, 1, 1).expand(2, 1, 4, 4).contiguous()
    assert bilinear.bias_gradient(gradient).tolist() == [1600]


def test_winograds_matrices_are_those_of_the_paper():
    """Lavin & Gray 2015, sections 4.1 and 4.3, up to the signs of rows, which cancel."""
    paper = {
        2: (
            [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]],
            [[1, 0, 0], [1 / 2, 1 / 2, 1 / 2], [1 / 2, -1 / 2, 1 / 2], [0, 0, 1]],
            [[1, 1, 1, 0], [0, 1, -1, -1]],
        ),
        4: (
            [[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0],
             [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]],
            [[1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6],
             [1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]],
            [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]],
        ),
    }  # fmt: skip
    for m, (BT, G, AT) in paper.items():
        ours = winograd.transforms([Fraction(a) for a in (0, 1, -1, 2, -2)[: m + 1]])
        for mine, theirs in ((ours.B, torch.tensor(BT).T), (ours.G, torch.tensor(G)), (ours.A, torch.tensor(AT).T)):
            torch.testing.assert_close(torch.tensor(mine).abs(), theirs.abs().float())
        d, g = torch.randn(m + 2, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
        A, B, G = (torch.tensor(matrix, dtype=torch.float64) for matrix in (ours.A, ours.B, ours.G))
        torch.testing.assert_close(A.T @ ((G @ g) * (B.T @ d)), d.unfold(0, 3, 1) @ g)


@pytest.mark.parametrize(
    "call",
    [
        lambda: winograd.convolve(torch.ones(1, 2, 5, 5), torch.ones(2, 1, 3, 3), None, square(3, groups=2)),
        lambda: winograd.convolve(torch.ones(1, 2, 5, 5), torch.ones(2, 2, 5, 5), None, square(5)),
        lambda: winograd.convolve(torch.ones(1, 2, 5, 5), torch.ones(2, 2, 3, 3), None, square(3, stride=2)),
        lambda: winograd.convolve(torch.ones(1, 2, 5, 5).int(), torch.ones(2, 2, 3, 3).int(), None, square(3)),
        lambda: shifts.convolve(torch.ones(1, 2, 5, 5), torch.ones(2, 2, 3, 3), None, square(3)),
        lambda: bands.convolve(torch.ones(1, 2, 5, 5), torch.ones(2, 2, 3, 3), None, square(3)),
        lambda: fft.convolve(torch.ones(1, 2, 5, 5).int(), torch.ones(2, 2, 3, 3).int(), None, square(3)),
    ],
)  # fmt: skip
def test_what_an_algorithm_does_not_serve_it_refuses(call):
    with pytest.raises(RuntimeError, match=r"winograd|shifts|bands|fft"):
        call()


def square(kernel, stride=1, groups=1):
    return Windows((kernel, kernel), (stride, stride), ((0, 0), (0, 0)), (1, 1), groups)


@given(data=st.data(), shift=st.integers(-3, 3), dim=st.sampled_from([-2, -1]))
def test_commutes_with_translation(data, shift, dim):
    x, w = data.draw(tensors((2, 3, 7, 6))), data.draw(tensors((4, 3, 3, 2)))
    assert_commutes(lambda x: F.conv2d(F.pad(x, (1, 0, 1, 1), "circular"), w), lambda x: x.roll(shift, dim), x)


@given(data=st.data(), shift=st.integers(-3, 3))
def test_commutes_with_translation_of_sequences_and_volumes(data, shift):
    x, w = data.draw(tensors((2, 3, 7))), data.draw(tensors((4, 3, 3)))
    assert_commutes(lambda x: F.conv1d(F.pad(x, (1, 1), "circular"), w), lambda x: x.roll(shift, -1), x)
    x, w = data.draw(tensors((2, 3, 5, 4, 3))), data.draw(tensors((4, 3, 3, 1, 1)))
    assert_commutes(lambda x: F.conv3d(F.pad(x, (0, 0, 0, 0, 1, 1), "circular"), w), lambda x: x.roll(shift, -3), x)


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


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.complex128, torch.complex64], ids=str)
def test_integers_and_complex_numbers(dims, dtype):
    x, w = (torch.randint(-5, 5, shape).to(dtype) for shape in ((2, 4, *[5] * dims), (6, 2, *[3] * dims)))
    if dtype.is_complex:
        x, w = x * (1 + 2j), w * (2 - 1j)
    ours, theirs = (f(x, w, stride=2, padding=1, groups=2) for f in (FUNCTIONS[dims], REFERENCE[dims]))
    assert torch.equal(ours, theirs)


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


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64, torch.complex64], ids=str)
@pytest.mark.parametrize("operand", [0, 1])
def test_layouts_of_volumes_are_handed_on_where_torch_does(dtype, operand):
    operands = [torch.ones(2, 3, 5, 4, 3, dtype=dtype), torch.ones(4, 3, 2, 2, 2, dtype=dtype)]
    operands[operand] = operands[operand].contiguous(memory_format=torch.channels_last_3d)
    assert F.conv3d(*operands).stride() == torch.nn.functional.conv3d(*operands).stride()


@given(dims=st.integers(1, 3), data=st.data())
def test_the_strategy_keeps_its_word(dims, data):
    """Every drawn case is one that torch accepts, and the output is not empty."""
    case = data.draw(conv_cases(dims))
    layer = getattr(torch.nn, f"Conv{dims}d")(*case.args, **case.kwargs).double()
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
        lambda f: f(torch.ones(2, 2, 5, 5).bool(), torch.ones(4, 2, 3, 3).bool()),
    ],
)  # fmt: skip
def test_misfits_raise_what_torch_raises(call):
    errors = []
    for conv2d in (F.conv2d, torch.nn.functional.conv2d):
        with pytest.raises((RuntimeError, TypeError)) as caught:
            call(conv2d)
        errors.append(type(caught.value))
    assert errors[0] is errors[1]


@pytest.mark.parametrize("frozen", ["input", "weight"])
def test_keeps_for_the_derivative_what_it_needs(frozen):
    x, w = torch.randn(1, 2, 5, 5), torch.randn(3, 2, 3, 3)
    (w if frozen == "input" else x).requires_grad_()
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.shape), lambda t: t):
        F.conv2d(x, w)
    assert kept == [(x if frozen == "input" else w).shape]
