"""Convolution as one matrix product: lay every window out as a row, and multiply rows by kernels.

`im2col` (image to columns; here, rows) copies each window's elements side by side. What was a sum over channels
and kernel elements is then an inner product, and the whole convolution a single product of two matrices:

    rows [windows, kernel·C]  ×  kernels [O, kernel·C]ᵀ  =  output [windows, O]

Windows are copied a chunk of the batch at a time, so that they stay in the processor's cache; whether as rows (rows.py,
lines.py, interleaved.py) or as columns (columns.py; of volumes stacks.py) is chosen so that long runs of memory are
copied, not single numbers. The derivatives are correlations again, written by hand:

    ∂x = ∂y correlated with the mirrored kernel, also phase by phase of a stride; or the gradients of the rows,
         ∂y · kernels, added back (col2im)
    ∂w = ∂yᵀ · rows

bilinear.py makes a family of the three that is closed under differentiation.

References: Chellapilla, Puri & Simard 2006, "High performance convolutional neural networks for document
processing"; Chetlur et al. 2014, arXiv:1410.0759 (the gradients as correlations).
"""

import itertools
import math

import torch
from torch import Tensor

from minimodels.functional import placement
from minimodels.functional.conv import columns, interleaved, lines, rows, stacks
from minimodels.functional.conv.bilinear import Bilinear
from minimodels.functional.layout import image_layout
from minimodels.functional.padding import pad
from minimodels.functional.precision import accumulator
from minimodels.functional.transforms import steps_aside
from minimodels.shapes import Windows
from minimodels.tap import listened, tap

LINE = 8
"""Windows in a line of the output from which windows are laid out channels-first; see `_channels_last`."""

STRIDED = 2
"""How many times as much a number costs that is not copied with its neighbour."""

RUN = 16
"""Numbers in a run of rows from which it makes up for turning the input."""

SPARSE, FULL = 1.6, 1.25
"""Times that the input may be as large as the output, for a gradient by correlation; the second where kernels have up
to `SMALL` elements and nothing is summed in 16 bits. See `_input_gradient`."""

SMALL = 9
"""Elements of a kernel, each of which is an addition where gradients of rows are added back."""


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

    Cost: as many multiply-adds as the definition; beyond input and output, `frame.CHUNK` bytes of windows (or those of
        one sample, where that is more; of the whole batch in compiled code and while a tap is listened to), as much
        of their products, and a copy of the chunk where it is padded or turned.

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
    patches = tap("convolution.patches", rows.all_rows(x, windows))
    flat = rows.grouped_product(patches, rows.kernel_rows(w, windows.groups), bias)  # [G, N·windows, O/G]
    return flat.transpose(0, 1).reshape(-1, *windows.output_size(x.shape[2:]), w.shape[0]).movedim(-1, 1)


def _forward(x: Tensor, w: Tensor, bias: Tensor | None, windows: Windows) -> Tensor:
    last = _channels_last(x, windows)
    if last and interleaved.serves(x, w.shape[0], windows):
        return interleaved.forward(x, w, bias, windows)
    if stacks.serves(x, windows):
        return stacks.forward(x, w, bias, windows)
    if not last:
        return columns.forward(x, w, bias, windows)
    if _in_lines(x, windows):
        return lines.forward(x, w, bias, windows)
    return rows.forward(x, w, bias, windows)


def _weight_gradient(x: Tensor, gradient: Tensor, windows: Windows) -> Tensor:
    if stacks.serves_weight_gradient(x, windows):
        return stacks.weight_gradient(x, gradient, windows)
    last = _channels_last(x, windows)
    if last and interleaved.serves_weight_gradient(x, gradient.shape[1], windows):
        return interleaved.weight_gradient(x, gradient, windows)
    if not last:
        return columns.weight_gradient(x, gradient, windows)
    if _in_lines(x, windows):
        return lines.weight_gradient(x, gradient, windows)
    return rows.weight_gradient(x, gradient, windows)


def _input_gradient(
    gradient: Tensor, w: Tensor, size: tuple[int, ...], windows: Windows, bias: Tensor | None = None
) -> Tensor:
    """Carry ∂y back by the cheapest of three ways.

    At stride 1 this is a correlation of ∂y with the mirrored kernel, which multiplies zeros around the edges. Where
    those are too many, the rows' gradients are formed and added back. Milliseconds so and so on two threads of an Intel
    Xeon, and how many times as large as the output the input is; 3x3 but for the last:

        channels-last, by lines                  channels in front
        64x32x12x12   1.44  1.87 1.44            64x32x13x13   1.40  2.71 1.92    in bfloat16  1.50 1.48
        64x32x13x13   1.40  2.37 1.87            64x64x5x5     2.78  0.99 0.44                 0.41 0.43
        32x64x9x9     1.65  1.00 0.77            8x64x56x56    1     8.30 9.18                 4.03 7.33
        64x64x8x8     1     1.46 1.87            8x256x14x14   1     6.91 6.89                 2.48 2.58
        8x64x56x56    1     8.55 8.98
        8x32x30x30    1.33  2.06 4.84  (5x5)

    At larger strides most of what is correlated would be zeros, but where the stride divides the kernel every phase of
    the stride is a correlation at stride 1.
    """
    near = torch.compiler.is_compiling() or math.prod(size) <= _sparse(gradient, windows) * math.prod(
        gradient.shape[2:]
    )
    if all(stride == 1 for stride in windows.stride) and near:  # to a compiler the sizes may be symbols
        return _mirrored(gradient, w, bias, windows)
    if _in_phases(tuple(gradient.shape[2:]), size, windows):
        return _by_phases(gradient, w, bias, size, windows)
    return rows.col2im(gradient, w, bias, size, windows)


def _sparse(gradient: Tensor, windows: Windows) -> float:
    """Give the limit that counts for these."""
    small = math.prod(windows.kernel) <= SMALL and accumulator(gradient.dtype) is gradient.dtype
    return FULL if small else SPARSE


def _in_phases(counts: tuple[int, ...], size: tuple[int, ...], windows: Windows) -> bool:
    """Say whether the stride divides the kernel, in one group without dilation, and windows reach all of the input."""
    axes = list(zip(counts, size, windows.kernel, windows.stride, windows.pads, strict=True))
    return (
        max(windows.stride) > 1
        and max(windows.dilation) == windows.groups == 1
        and all(k % s == 0 and (count - 1) * s + k >= before + n for count, n, k, s, (before, _) in axes)
    )


def _by_phases(gradient: Tensor, w: Tensor, bias: Tensor | None, size: tuple[int, ...], windows: Windows) -> Tensor:
    """Give the elements of every phase of the stride as channels of one correlation, and put them in their places.

    With kernel element s·a + r, padded input element s·v + r gets Σ_a w[s·a + r] · ∂y[v − a]: for each phase r a
    correlation with the flipped elements a. Shi et al. 2016, arXiv:1609.05158 ("sub-pixel convolution").
    """
    (outputs, inputs), strides, dims = w.shape[:2], windows.stride, len(size)
    taps = tuple(k // s for k, s in zip(windows.kernel, strides, strict=True))
    split = w.view(outputs, inputs, *(n for pair in zip(taps, strides, strict=True) for n in pair))
    elements, phases = range(2, 2 + 2 * dims, 2), range(3, 3 + 2 * dims, 2)
    apart = split.permute(1, *phases, 0, *elements)
    kernels = torch.empty_like(apart, memory_format=torch.contiguous_format)
    whole: tuple[slice | int, ...] = (slice(None),) * (2 + dims)
    places = list(itertools.product(*map(range, taps)))
    for element, opposite in zip(places, reversed(places), strict=True):  # `flip` goes through memory number by number
        kernels[whole + element] = apart[whole + opposite]
    kernels = kernels.flatten(0, dims)
    pads = tuple((tap - 1, tap - 1) for tap in taps)
    every = None if bias is None else bias.repeat_interleave(math.prod(strides))
    y = _forward(gradient, kernels, every, Windows(taps, (1,) * dims, pads, (1,) * dims, 1))
    return _together(y.unflatten(1, (inputs, *strides)), size, windows)


def _together(apart: Tensor, size: tuple[int, ...], windows: Windows) -> Tensor:
    """Put the phases of a stride, [N, C, *phases, *v], in their places: v of phase r becomes s·v + r − before.

    Phase by phase, so that what is copied at a time is a line; together they would be copied by as few numbers as the
    stride has phases.
    """
    x = apart.new_empty(*apart.shape[:2], *size)
    for phase in itertools.product(*map(range, windows.stride)):
        read: list[slice | int] = [slice(None), slice(None), *phase]
        written = [slice(None), slice(None)]
        for r, s, (before, _), n in zip(phase, windows.stride, windows.pads, size, strict=True):
            first = max(0, -((r - before) // s))  # the least v that is not cut off
            start = s * first + r - before
            read.append(slice(first, first - (start - n) // s))  # ⌈(n − start)/s⌉ of them
            written.append(slice(start, n, s))
        x[tuple(written)] = apart[tuple(read)]
    return x


def _mirrored(gradient: Tensor, w: Tensor, bias: Tensor | None, windows: Windows) -> Tensor:
    """Read the convolution backwards: correlate ∂y with the kernel flipped and its channels exchanged."""
    flipped = _flipped(w.unflatten(0, (windows.groups, -1)).transpose(1, 2).flatten(0, 1))  # [C, O/G, *kernel]
    pads = windows.mirrored().pads
    if any(before < 0 or after < 0 for before, after in pads):  # more padding than the kernel reaches: crop first
        gradient = pad(gradient, [min(p, 0) for pair in reversed(pads) for p in pair])
        pads = tuple((max(before, 0), max(after, 0)) for before, after in pads)
    return _forward(gradient, flipped, bias, windows._replace(pads=pads))


def _flipped(w: Tensor) -> Tensor:
    """Flip kernels, with their elements moved to the front in memory, so that what is flipped are whole matrices.

    The last dimensions are flipped number by number: 256x256x3x3 in bfloat16, with what lays it out as rows afterwards,
    takes 0.47 ms so and 0.13 by matrices on two threads of an Intel Xeon. The rows are then only seen.
    """
    elements, dims = range(2, w.ndim), w.ndim - 2
    return w.permute(*elements, 1, 0).contiguous().flip(tuple(range(dims))).permute(-1, -2, *range(dims))


def _channels_last(x: Tensor, windows: Windows) -> bool:
    """Say which way round windows are cheaper to copy: by where the longer runs of memory are.

    Channels-last, a run is the channels of a line of the kernel; channels-first, one element of all windows along a
    line of the output, and neither input nor output need be turned. Windows that are strides apart are copied number by
    number. Milliseconds on two threads of an Intel Xeon, forward and the kernel's gradient, by rows and by columns:

                                 float32                   bfloat16
        64x64x5x5    lines of 3  0.72 0.47    0.67 1.98    0.23 0.31   0.96 1.82
        64x32x13x13          11  2.44 2.26    1.63 1.79    1.16 1.18   1.36 2.08
        8x256x14x14          14  9.80 10.4    7.75 10.9    2.65 3.11   3.32 6.06
        8x64x56x56           56  14.8 13.4    12.3 10.2    4.31 4.55   4.61 9.29
        64x64x100           100  1.99 1.67    1.22 1.60    0.80 0.82   0.73 1.07
        2x16x16x28x28        28  12.0 8.89    4.56 5.92    2.71 3.08   3.32 5.95
        64x1x28x28           26  2.01 9.08    0.65 0.75    1.45 1.39   0.55 0.67

    In bfloat16 a product of all rows is two to three times as fast as one of each sample's columns.

    On an accelerator rows serve where they are copied several numbers at a time (see `rows.widened`), microseconds on
    an NVIDIA H200, the input and the output turned, and by columns on an H100, 32 images at a time:

        128x64x56x56         581 654    868 826    (bfloat16, float32 with TF32)
        128x256x14x14        171 373    272 390
        1024x32x13x13        159 878    234 749
    """
    if torch.compiler.is_compiling() or image_layout(x) is not torch.contiguous_format:
        return True
    if math.prod(windows.kernel) == 1:
        return False
    inputs = x.shape[1] // windows.groups
    if placement.launches(x):
        return inputs * x.dtype.itemsize % 8 == 0
    run = inputs * (windows.kernel[-1] if windows.dilation[-1] == windows.groups == 1 else 1)
    line = windows.output_size(x.shape[2:])[-1] // (1 if windows.stride[-1] == 1 else STRIDED)
    return run >= RUN and line < (LINE if accumulator(x.dtype) is x.dtype else 2 * run)


def _in_lines(x: Tensor, windows: Windows) -> bool:
    """Say whether the rows of images that lie channels-last hold a line of the kernel each.

    Milliseconds on two threads of an Intel Xeon in float32, 3x3, by lines and by rows: forward, the kernel's gradient,
    the input's by correlation. Under 64 windows an image its products are too small.

        64x64x5x5      0.43 0.43   1.18 0.44   0.73 1.01      64x32x16x16    2.02 2.46   1.95 2.77   1.92 2.31
        64x64x7x7      0.73 0.91   1.38 0.85   1.26 1.75      8x64x56x56     10.3 11.5   9.96 11.4   9.40 11.8
        64x64x8x8      1.66 2.36   1.92 2.21   1.57 2.23      8x256x14x14    8.23 7.72   7.49 8.86   7.54 7.99
        64x32x13x13    1.56 1.92   1.57 1.85   2.25 2.86      8x16x32x32 5x5 1.06 1.42   0.92 1.61   0.97 1.24
    """
    if torch.compiler.is_compiling() or image_layout(x) is torch.contiguous_format:
        return False
    return lines.serves(x, windows)


_ALGORITHM = Bilinear(_forward, _input_gradient, _weight_gradient)
