"""im2col with the channels in front: a column for each window, and products that write straight into the output.

    kernels [O, C·kernel]  ×  columns [C·kernel, windows]  =  output [O, windows]      for each sample

Input and output keep the layout in which images usually come, nothing is turned, and a run of memory is a line of the
output. Where a line of the kernel already has enough numbers for a product, the columns hold all of the kernel but its
first dimension, for every line h of the input, and that dimension is summed over by the products:

    y[n, o, p] = Σ_i w[o, i] · columns[n, i·d + p]      columns[n, h] [C·kernel/k₀, windows of a line]

Every i reads the same columns, k₀ times fewer, beginning another line further on. Of a sequence they are the sequence.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from minimodels.functional.conv.frame import Buffer, framed
from minimodels.shapes import Windows

ENOUGH = 64
"""Numbers in a line of the kernel from which the kernel's first dimension is summed over by products.

Sequences, forward and the kernel's gradient without and with such sums, milliseconds on two threads of an Intel Xeon:
64x64x100 to 64, 3, 1.7 2.1 and 1.0 1.2; 8x64x1000 to 64, 3, 1.7 2.1 and 1.1 1.1; 64x128x25 to 128, 3, 1.0 1.6 and 0.9
1.4; 8x256x100 to 256, 3, the same within a tenth; 16x80x1000 to 384, 3, 11.4 11.4 and 13.0 12.0.
"""


FEW = 8
"""Samples of a chunk up to which products in 16 bits are called one by one."""


def forward(x: Tensor, w: Tensor, bias: Tensor | None, windows: Windows) -> Tensor:
    """Multiply the kernels with each chunk's columns.

    Args:
        x: the input.
        w: the kernel.
        bias: one number per output channel, or None.
        windows: stride, padding, dilation and groups.

    Shape:
        - x: [N, C, *size]; w: [O, C/groups, *kernel]; bias: [O]
        - Output: [N, O, *counts]
    """
    groups, counts = windows.groups, windows.output_size(x.shape[2:])
    y = x.new_empty(x.shape[0], w.shape[0], *counts)
    summed = sums_lines(w, windows)
    lines, start = _lines(w, windows, summed), None if bias is None else bias.view(groups, -1, 1)
    with_ones = start is not None and _takes_ones(w, windows)
    if start is not None and with_ones:
        lines, start = [torch.cat((lines[0], start), 2)], None
    for chunk, columns in _columns(x, windows, summed, with_ones):
        part = y[chunk].view(columns[0].shape[0], w.shape[0] // groups, math.prod(counts))  # [n·G, O/G, windows]
        for i, (line, met) in enumerate(zip(lines, columns, strict=True)):
            repeated = _repeated(line, part)
            if i > 0:
                torch.baddbmm(part, repeated, met, out=part)
            elif start is None:
                torch.bmm(repeated, met, out=part)
            else:  # in 16 bits too it is added before the sum is rounded
                torch.baddbmm(_repeated(start, part), repeated, met, out=part)
    return y


def weight_gradient(x: Tensor, gradient: Tensor, windows: Windows) -> Tensor:
    """Add up ∂y·columnsᵀ over the samples, in float32 at least.

    Args:
        x: the input.
        gradient: ∂y.
        windows: those of the convolution.

    Shape:
        - x: [N, C, *size]; gradient: [N, O, *counts]
        - Output: [O, C/groups, *kernel]
    """
    groups, outputs, inputs = windows.groups, gradient.shape[1], x.shape[1] // windows.groups
    w = x.new_zeros(outputs, inputs, *windows.kernel, dtype=torch.promote_types(x.dtype, torch.float32))
    summed = sums_lines(w, windows)  # nothing is rounded between, for each line has a gradient of its own
    sums = [torch.zeros_like(line) for line in _lines(w, windows, summed)]  # [G, O/G, K]
    totals: list[Tensor] = []  # the same for each sample of a chunk
    for chunk, columns in _columns(x, windows, summed):
        part = gradient[chunk].reshape(columns[0].shape[0], outputs // groups, columns[0].shape[2])
        if w.dtype is not x.dtype:
            for total, met in zip(sums, columns, strict=True):
                total += _products_of_16_bits(met, part).unflatten(0, (-1, groups)).sum(0, dtype=w.dtype).mT
        elif not totals:
            totals = [torch.bmm(part, met.mT) for met in columns]
        else:
            for total, met in zip(totals, columns, strict=True):
                so_far = total[: part.shape[0]]
                torch.baddbmm(so_far, part, met.mT, out=so_far)
    sums = [total.unflatten(0, (-1, groups)).sum(0) for total in totals] or sums
    return torch.cat([total.view(outputs, inputs, -1, *windows.kernel[1:]) for total in sums], 2).to(x.dtype)


def sums_lines(w: Tensor, windows: Windows) -> bool:
    """Say whether the kernel's first dimension is summed over by products, on a CPU; 16 bits would be rounded between.

    Args:
        w: the kernel.
        windows: its strides.
    """
    line = math.prod(w.shape[1:]) // w.shape[2]
    wide = w.dtype in (torch.float32, torch.float64)
    return wide and w.is_cpu and w.shape[2] > 1 and windows.stride[0] == 1 and line >= ENOUGH


def _lines(w: Tensor, windows: Windows, summed: bool) -> list[Tensor]:
    """Lay the kernels out to meet the columns, [G, O/G, K]: one matrix, or one a place of the first dimension."""
    parts = w.unbind(2) if summed else [w]
    return [part.reshape(windows.groups, w.shape[0] // windows.groups, -1).contiguous() for part in parts]


def _takes_ones(w: Tensor, windows: Windows) -> bool:
    """Say whether the bias is multiplied as the weight of a constant: a row of ones below the columns.

    In 16 bits products would first copy it to where they write, and read it back. Milliseconds in bfloat16 on two
    threads of an Intel Xeon with AMX, with the bias added and so: 64x147 times 147x12544 0.39 and 0.26, 64 times 32x9
    times 9x676 0.22 and 0.13.
    """
    return w.is_cpu and w.dtype is torch.bfloat16 and windows.groups == 1 < max(*windows.kernel, *windows.stride)


def _products_of_16_bits(columns: Tensor, gradient: Tensor) -> Tensor:
    """Multiply columns·∂yᵀ, [n·G, K, O/G], with the smaller factor on the right, which oneDNN reorders.

    A few large ones one by one, since a batch that does not lie densely is copied. Milliseconds for all of the kernel's
    gradient in bfloat16 on two threads of an Intel Xeon with AMX, by ∂y·columnsᵀ, a batch at a time, and so:
    8x3x224x224 to 64, 7x7 of stride 2, 5.4 and 4.4; 2x16x16x28x28 to 32, 3x3x3, 4.6 and 1.7.
    """
    if gradient.shape[1] > columns.shape[1]:
        return torch.bmm(gradient, columns.mT).mT
    if columns.shape[0] > FEW or not columns.is_cpu:
        return torch.bmm(columns, gradient.mT)
    products = columns.new_empty(*columns.shape[:2], gradient.shape[1])
    for product, met, upstream in zip(products, columns, gradient, strict=True):
        torch.mm(met, upstream.t(), out=product)
    return products


def _repeated(line: Tensor, samples: Tensor) -> Tensor:
    """Repeat what every group has for every sample; one group is only seen many times."""
    return line.expand(samples.shape[0] // line.shape[0], *line.shape).flatten(0, 1)


def _columns(
    x: Tensor, windows: Windows, summed: bool, with_ones: bool = False
) -> Iterator[tuple[slice, list[Tensor]]]:
    """Lay the windows out as columns, a chunk of the batch at a time, [n·G, K, windows] for each of `_lines`."""
    counts, buffer = windows.output_size(x.shape[2:]), Buffer(x)
    skip, lines = (1, windows.padded(x.shape[2:])[0]) if summed else (0, counts[0])
    windows_of_a_line = math.prod(counts[1:])
    span, step = counts[0] * windows_of_a_line, windows.dilation[0] * windows_of_a_line
    K = x.shape[1] // windows.groups * math.prod(windows.kernel[skip:])
    elements = windows.groups * K * lines * windows_of_a_line
    for chunk, image in framed(x, windows, elements, last=False):
        if max(*windows.kernel, *windows.stride) == 1:  # the windows lie there
            yield chunk, [image.view(image.shape[0] * windows.groups, -1, span)]
            continue
        if summed and len(windows.kernel) == 1:  # of a sequence nothing is copied
            columns = image.view(image.shape[0] * windows.groups, -1, lines)
        else:
            columns = buffer.take(image.shape[0] * windows.groups, K + with_ones, lines * windows_of_a_line)
            columns[:, K:] = 1
            places = columns[:, :K].unflatten(1, (-1, *windows.kernel[skip:])).unflatten(-1, (lines, *counts[1:]))
            places = places.unflatten(0, (image.shape[0], -1)).flatten(1, 2)
            image = _strides_side_by_side(image, windows.stride[-1])
            for j, at_j in enumerate(places.unbind(1 + len(windows.kernel) - skip)):
                offset, phase = divmod(j * windows.dilation[-1], windows.stride[-1])
                at_j.copy_(_windows_from(image[..., phase, offset:], windows, skip, at_j.shape))
        starts = range(0, windows.kernel[0] * step, step) if summed else [0]
        yield chunk, [columns[:, :, start : start + span] for start in starts]


def _strides_side_by_side(image: Tensor, stride: int) -> Tensor:
    """Lay the places of a line that are a stride apart next to each other: [*, stride, places]."""
    if stride == 1:
        return image.unsqueeze(-2)
    apart = image.new_empty(*image.shape[:-1], stride, -(-image.shape[-1] // stride))
    for phase in range(stride):
        part = image[..., phase::stride]
        apart[..., phase, : part.shape[-1]] = part
    return apart


def _windows_from(image: Tensor, windows: Windows, skip: int, shape: torch.Size) -> Tensor:
    """See what a place in a line of the kernel meets, [n, C, *kernel, *counts] without the kernel's last dimension."""
    batch, channel, *spatial = image.stride()
    steps = [stride * s for stride, s in zip(spatial[:-1], windows.stride[:-1], strict=True)]
    spaces = [stride * d for stride, d in zip(spatial[:-1], windows.dilation[:-1], strict=True)]
    return image.as_strided(shape, (batch, channel, *spaces[skip:], *steps, spatial[-1]))
