"""Convolution as one matrix product: lay every window out as a row, and multiply rows by kernels.

`im2col` (image to columns; here, rows) copies each window's elements side by side. What was a sum over channels
and kernel elements is then an inner product, and the whole convolution a single product of two matrices:

    rows [windows, kernel·C]  ×  kernels [O, kernel·C]ᵀ  =  output [windows, O]

The rows are copied a chunk of the batch at a time, so that they stay in the processor's cache; which way round they lie
there is chosen so that long runs of memory are copied, not single numbers. The derivatives are correlations again,
written by hand:

    ∂x = ∂y correlated with the mirrored kernel, or the gradients of the rows, ∂y · kernels, added back (col2im)
    ∂w = ∂yᵀ · rows

bilinear.py makes a family of the three that is closed under differentiation.

References: Chellapilla, Puri & Simard 2006, "High performance convolutional neural networks for document
processing"; Chetlur et al. 2014, arXiv:1410.0759 (the gradients as correlations).
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from minimodels.functional.conv.bilinear import Bilinear
from minimodels.functional.layout import image_layout
from minimodels.functional.matmul import product
from minimodels.functional.padding import pad
from minimodels.functional.precision import accumulator
from minimodels.functional.transforms import steps_aside
from minimodels.shapes import Windows
from minimodels.tap import listened, tap

CHUNK = 1 << 19
"""Elements of rows at a time on a CPU: 2 MiB of float32, what one core's share of the cache holds."""

DEVICE_CHUNK = 1 << 27
"""The same on an accelerator, which wants large launches: 512 MiB of float32."""

LINE = 7
"""Windows in a line of the output from which rows are copied channels-first; see `_channels_last`."""

SAMPLE = 256
"""Windows from which a sample whose rows lie in memory is not copied; see `_lies_there`."""


def convolve(x: Tensor, w: Tensor, bias: Tensor | None, windows: Windows) -> Tensor:
    """Correlate the input with the kernel: the same operation as in definition.py, as one matrix product a chunk.

    Args:
        x: the input.
        w: the kernel.
        bias: one number per output channel, or None.
        windows: stride, padding, dilation and groups.

    Shape:
        - x: [N, C, *size]; w: [O, C/groups, *kernel]; bias: [O]
        - Output: [N, O, *counts]

    Cost: as many multiply-adds as the definition; beyond input and output, `CHUNK` elements of rows (or those of
        one sample, where that is more; of the whole batch in compiled code and while a tap is listened to), and a
        copy of the input where it is padded or turned.

    See: definition.py; tests/functional/test_conv.py.

    Example:
        >>> windows = Windows(kernel=(2,), stride=(1,), pads=((0, 0),), dilation=(1,), groups=1)
        >>> convolve(torch.tensor([[[1.0, 2.0, 4.0]]]), torch.tensor([[[-1.0, 1.0]]]), None, windows)
        tensor([[[1., 2.]]])
    """
    if listened() and not steps_aside(x, w):
        return _watched(x, w, bias, windows)
    return _ALGORITHM.convolve(x, w, bias, windows)


def input_gradient(gradient: Tensor, w: Tensor, size: tuple[int, ...], windows: Windows) -> Tensor:
    """Carry an output gradient back to the input: ∂x[n, c, s·p + d·i] += Σ_o w[o, c, i] · ∂y[n, o, p].

    Args:
        gradient: ∂y.
        w: the kernel.
        size: the input's spatial size.
        windows: those of the convolution.

    Shape:
        - gradient: [N, O, *counts]; w: [O, C/groups, *kernel]
        - Output: [N, C, *size]
    """
    return _ALGORITHM.input_gradient(gradient, w, size, windows)


def convolve_transposed(x: Tensor, w: Tensor, bias: Tensor | None, size: tuple[int, ...], windows: Windows) -> Tensor:
    """Stamp the kernel for every element of the input: `input_gradient` with a bias, and without a derivative.

    The bias is added before sums are rounded to 16 bits.

    Args:
        x: the input.
        w: the kernel.
        bias: one number an output channel, or None.
        size: the output's spatial size.
        windows: those of the convolution that is transposed.

    Shape:
        - x: [N, O, *counts]; w: [O, C/groups, *kernel]; bias: [C]
        - Output: [N, C, *size]
    """
    return _input_gradient(x, w, size, windows, bias)


def weight_gradient(x: Tensor, gradient: Tensor, windows: Windows) -> Tensor:
    """Carry an output gradient back to the kernel: ∂w[o, c, i] = Σ_n Σ_p ∂y[n, o, p] · x[n, c, s·p + d·i].

    Args:
        x: the input.
        gradient: ∂y.
        windows: those of the convolution.

    Shape:
        - x: [N, C, *size]; gradient: [N, O, *counts]
        - Output: [O, C/groups, *kernel]
    """
    return _ALGORITHM.weight_gradient(x, gradient, windows)


def _watched(x: Tensor, w: Tensor, bias: Tensor | None, windows: Windows) -> Tensor:
    """Convolve with all rows in sight of a listener; the derivative is autograd's, so what takes their place counts."""
    rows = tap("convolution.patches", _all_rows(x, windows, last=True))
    flat = _grouped_product(_kernels(w, windows.groups, last=True), rows, bias)  # [G, O/G, N·windows]
    return flat.reshape(w.shape[0], -1, *windows.output_size(x.shape[2:])).transpose(0, 1)


def _forward(x: Tensor, w: Tensor, bias: Tensor | None, windows: Windows) -> Tensor:
    """Multiply the kernels with each chunk's rows."""
    counts, last = windows.output_size(x.shape[2:]), _channels_last(x, windows)
    kernels = _kernels(w, windows.groups, last)  # [G, O/G, kernel·C/G]
    y = x.new_empty(x.shape[0], w.shape[0], *counts)
    for chunk, rows in _rows(x, windows, last):  # [G, L, kernel·C/G], a row for each of the chunk's L windows
        flat = _grouped_product(kernels, rows, bias)  # [G, O/G, L]
        y[chunk] = flat.view(w.shape[0], -1, *counts).transpose(0, 1)
    return y


def _input_gradient(
    gradient: Tensor, w: Tensor, size: tuple[int, ...], windows: Windows, bias: Tensor | None = None
) -> Tensor:
    """Carry ∂y back by the cheaper of two ways.

    Where the output is as large as the input and the stride 1, this is a correlation of ∂y with the mirrored kernel
    (31 ms against 40 for 8 images of 64x56x56, 3x3, on one thread of an AMD EPYC). Otherwise that would multiply
    mostly zeros, and the rows' gradients are formed and added back (6.6 ms against 9.2 for 64 images of 32x13x13).
    """
    dense = all(stride == 1 for stride in windows.stride) and math.prod(gradient.shape[2:]) >= math.prod(size)
    return _mirrored(gradient, w, bias, windows) if dense else _col2im(gradient, w, bias, size, windows)


def _weight_gradient(x: Tensor, gradient: Tensor, windows: Windows) -> Tensor:
    """Add up ∂y·rows over the chunks, in float32 at least: many chunks would round a bfloat16 sum away."""
    groups, outputs, inputs, last = windows.groups, gradient.shape[1], x.shape[1], _channels_last(x, windows)
    size = (groups, outputs // groups, math.prod(windows.kernel) * inputs // groups)
    total = x.new_zeros(size, dtype=torch.promote_types(x.dtype, torch.float32))
    for chunk, rows in _rows(x, windows, last):
        flat = gradient[chunk].transpose(0, 1).reshape(groups, outputs // groups, rows.shape[1])  # [G, O/G, L]
        total += _grouped_product(flat, rows.mT, None)
    kernels = total.to(x.dtype)
    if last:
        return kernels.view(outputs, *windows.kernel, inputs // groups).movedim(-1, 1).contiguous()
    return kernels.view(outputs, inputs // groups, *windows.kernel)


def _mirrored(gradient: Tensor, w: Tensor, bias: Tensor | None, windows: Windows) -> Tensor:
    """Read the convolution backwards: correlate ∂y with the kernel flipped and its channels exchanged."""
    flipped = w.unflatten(0, (windows.groups, -1)).transpose(1, 2).flatten(0, 1)  # [C, O/G, *kernel]
    flipped = flipped.flip(tuple(range(2, w.ndim)))
    pads = windows.mirrored().pads
    if any(before < 0 or after < 0 for before, after in pads):  # more padding than the kernel reaches: crop first
        gradient = pad(gradient, [min(p, 0) for pair in reversed(pads) for p in pair])
        pads = tuple((max(before, 0), max(after, 0)) for before, after in pads)
    return _forward(gradient, flipped, bias, windows._replace(pads=pads))


def _col2im(gradient: Tensor, w: Tensor, bias: Tensor | None, size: tuple[int, ...], windows: Windows) -> Tensor:
    """Form the gradient of every row and add each kernel element's share back to where it was read."""
    groups, inputs, counts = windows.groups, w.shape[1], tuple(gradient.shape[2:])
    kernels = _kernels(w, groups, last=True).mT  # [G, kernel·C/G, O/G]
    sums = accumulator(gradient.dtype)  # in 16 bits every share that is added would be rounded
    x = gradient.new_zeros(gradient.shape[0], *windows.padded(size), groups, inputs, dtype=sums)  # channels-last
    for chunk in _chunks(gradient, math.prod(counts) * groups * kernels.shape[1]):
        flat = gradient[chunk].movedim(1, -1).reshape(-1, groups, w.shape[0] // groups).transpose(0, 1)  # [G, L, O/G]
        rows = _grouped_product(flat, kernels, None)  # [G, L, kernel·C/G]
        shares = rows.view(groups, -1, *counts, math.prod(windows.kernel), inputs).movedim(0, -2).unbind(-3)
        part = x[chunk]
        for i, share in zip(windows.elements(), shares, strict=True):  # share: [n, *counts, G, C/G]
            part[(slice(None), *windows.met_by(i, counts))] += share
    x = x[(slice(None), *windows.inside(size))].flatten(-2)
    return (x if bias is None else x.add_(bias)).movedim(-1, 1).to(gradient.dtype)


def _channels_last(x: Tensor, windows: Windows) -> bool:
    """Say which way round windows are cheaper to copy: by where the longer runs of memory are.

    Channels-last, a run is the channels of a line of the kernel; channels-first, one element of all windows along a
    line of the output (of all windows, for a 1x1 kernel), and the input need not be turned. Milliseconds forward, last
    and first, on one thread of an Intel Xeon: 256x32x4x4 (lines of 2) 0.8 and 1.9, 64x32x8x8 (6) 1.4 and 1.5, 8x512x7x7
    padded (7) 18.2 and 17.3, 64x32x12x12 (10) 3.8 and 3.4, 64x1x28x28 (26) 2.0 and 1.1; all 3x3.
    """
    if image_layout(x) is not torch.contiguous_format:
        return True
    counts = windows.output_size(x.shape[2:])
    line = math.prod(counts) if math.prod(windows.kernel) == 1 else counts[-1]
    run = x.shape[1] // windows.groups * (windows.kernel[-1] if windows.dilation[-1] == windows.groups == 1 else 1)
    return line < LINE and run > line


def _rows(x: Tensor, windows: Windows, last: bool) -> Iterator[tuple[slice, Tensor]]:
    """Lay the windows out as rows, a chunk of the batch at a time, in one buffer used over and over."""
    if torch.compiler.is_compiling():  # a compiler wants no chunks
        yield slice(None), _all_rows(x, windows, last)
        return
    view = _window_view(x, windows, last)
    images, sample = 1 if last else 2 + len(windows.kernel), view.numel() // max(1, x.shape[0])
    buffer = x.new_empty(0)
    for chunk in _chunks(x, CHUNK if _lies_there(x, view) else sample):
        part = view.narrow(images, chunk.start, chunk.stop - chunk.start)
        if not part.is_contiguous():
            buffer = buffer if buffer.numel() else x.new_empty(part.numel())
            part = buffer[: part.numel()].view(part.shape).copy_(part)  # fresh memory would cost more to fetch
        yield chunk, _as_rows(part, windows, last)


def _lies_there(x: Tensor, view: Tensor) -> bool:
    """Say whether a sample's rows lie in memory already, as for a 1x1 kernel, and suffice for a product of their own.

    Milliseconds forward with a product a sample and with several samples copied together, on one thread of an Intel
    Xeon: 8x256x28x28 2.2 and 3.1, 64x64x14x14 2.4 and 2.3, 8x512x7x7 2.4 and 1.8.
    """
    return view.numel() == x.numel() and math.prod(x.shape[2:]) >= SAMPLE


def _all_rows(x: Tensor, windows: Windows, last: bool) -> Tensor:
    """Lay all windows out as rows at once, [G, N·windows, kernel·C/G]."""
    return _as_rows(_window_view(x, windows, last).contiguous(), windows, last)


def _as_rows(part: Tensor, windows: Windows, last: bool) -> Tensor:
    """See a copied part of the window view as a matrix for each group, a row for each window."""
    places = 1 + len(windows.kernel)
    return part.flatten(1, places).flatten(2) if last else part.flatten(1, places).flatten(2).mT


def _chunks(x: Tensor, elements: int) -> list[slice]:
    """Cut a batch where its rows, at so many elements a sample, would outgrow the cache; under a compiler, nowhere."""
    if torch.compiler.is_compiling():
        return [slice(None)]
    step = (CHUNK if x.is_cpu else DEVICE_CHUNK) // max(1, elements)
    step = min(max(1, step), max(1, x.shape[0]))
    return [slice(start, min(start + step, x.shape[0])) for start in range(0, x.shape[0], step)]


def _window_view(x: Tensor, windows: Windows, last: bool) -> Tensor:
    """See every window of the padded input at once: strides make the overlap, not copies.

    [G, N, *counts, *kernel, C/G] of a channels-last input, or [G, C/G, *kernel, N, *counts]; elements that several
    windows read stand once in memory.
    """
    inputs, padded = x.shape[1] // windows.groups, _padded(x, windows, last)
    batch, channel, *spatial = padded.stride()
    steps = [stride * step for stride, step in zip(spatial, windows.stride, strict=True)]
    spaces = [stride * space for stride, space in zip(spatial, windows.dilation, strict=True)]
    places = list(zip((x.shape[0], *windows.output_size(x.shape[2:])), (batch, *steps), strict=True))
    elements = list(zip(windows.kernel, spaces, strict=True))
    order = [*places, *elements, (inputs, channel)] if last else [(inputs, channel), *elements, *places]
    shape, strides = zip((windows.groups, inputs * channel), *order, strict=True)
    return padded.as_strided(shape, strides)


def _padded(x: Tensor, windows: Windows, last: bool) -> Tensor:
    """Lay zeros around the input, in the memory layout that is asked for; without padding an input may be as it is."""
    if not any(map(any, windows.pads)):
        return x.movedim(1, -1).contiguous().movedim(-1, 1) if last else x.contiguous()
    size = windows.padded(x.shape[2:])
    padded = x.new_zeros(x.shape[0], *size, x.shape[1]).movedim(-1, 1) if last else x.new_zeros(*x.shape[:2], *size)
    padded[(slice(None), slice(None), *windows.inside(x.shape[2:]))] = x
    return padded


def _kernels(w: Tensor, groups: int, last: bool) -> Tensor:
    """Lay each kernel out as a row in the order of the windows' rows, [G, O/G, kernel·C/G]."""
    w = w.movedim(1, -1) if last else w
    return w.reshape(groups, w.shape[0] // groups, math.prod(w.shape[1:]))


def _grouped_product(a: Tensor, b: Tensor, bias: Tensor | None) -> Tensor:
    """Multiply group by group, a·bᵀ + bias, one number of the bias for each row of the result."""
    if bias is not None and accumulator(a.dtype) is not a.dtype:  # 16 bits: add before the sum is rounded, not after
        return torch.baddbmm(bias.view(a.shape[0], -1, 1), a, b.mT)
    y = product(a[0], b[0]).unsqueeze(0) if a.shape[0] == 1 else torch.bmm(a, b.mT)
    return y if bias is None else y.add_(bias.view(a.shape[0], -1, 1))


_ALGORITHM = Bilinear(_forward, _input_gradient, _weight_gradient)
