"""im2col with the channels last, where products sum over the kernel's first dimension: a third of the copies of 3x3.

A row holds what one line of the kernel meets, for every line h of the padded input. The lines of the kernel are then
summed over by products, and the rows that the next one meets begin another line further on:

    y[n, p] = Σ_i rows[n, p + d·i] · w[i]         rows[n, h] [windows of a line, C·kernel/k₀]

columns.py does the same with the channels in front. Sums between the products are rounded to the operands' type, so
that this is for float32 and float64.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from minimodels.functional.conv.frame import Buffer, framed
from minimodels.functional.conv.rows import window_view
from minimodels.shapes import Windows

LONG = 64
"""Numbers in a line of the kernel from which the products are as fast as those of all its lines."""

MANY = 64
"""Windows of an image from which they are: every image has its own."""


def serves(x: Tensor, windows: Windows) -> bool:
    """Say whether the algorithm is defined for a convolution, and its products are large enough.

    Args:
        x: the input.
        windows: stride, padding, dilation and groups.
    """
    return (
        x.is_cpu
        and x.dtype in (torch.float32, torch.float64)
        and windows.groups == windows.stride[0] == 1
        and windows.kernel[0] > 1
        and math.prod(windows.kernel[1:]) * x.shape[1] >= LONG
        and math.prod(windows.output_size(x.shape[2:])) >= MANY
    )


def forward(x: Tensor, w: Tensor, bias: Tensor | None, windows: Windows) -> Tensor:
    """Multiply each chunk's rows with the lines of the kernels.

    Args:
        x: the input.
        w: the kernel.
        bias: one number per output channel, or None.
        windows: stride, padding, dilation and groups.

    Shape:
        - x: [N, C, *size]; w: [O, C, *kernel]; bias: [O]
        - Output: [N, O, *counts], channels-last in memory
    """
    counts = windows.output_size(x.shape[2:])
    kernels = w.movedim((2, 0), (0, -1)).movedim(1, -2).flatten(1, -2).contiguous()  # [k₀, C·kernel/k₀, O]
    y = x.new_empty(x.shape[0], *counts, w.shape[0])
    for chunk, rows in _rows(x, windows):
        part = y[chunk].flatten(1, -2)  # [n, windows, O]
        for i, (met, line) in enumerate(zip(rows, kernels, strict=True)):
            repeated = line.expand(part.shape[0], *line.shape)
            torch.baddbmm(part, met, repeated, out=part) if i > 0 else torch.bmm(met, repeated, out=part)
        if bias is not None:  # at last, where the cache has the output; before, it would be fetched for this
            part.add_(bias)
    return y.movedim(-1, 1)


def weight_gradient(x: Tensor, gradient: Tensor, windows: Windows) -> Tensor:
    """Add up ∂yᵀ·rows over the samples.

    Args:
        x: the input.
        gradient: ∂y.
        windows: those of the convolution.

    Shape:
        - x: [N, C, *size]; gradient: [N, O, *counts]
        - Output: [O, C, *kernel]
    """
    outputs, inputs = gradient.shape[1], x.shape[1]
    totals: Tensor | None = None  # [k₀, n, O, C·kernel/k₀], one for each sample of a chunk
    for chunk, rows in _rows(x, windows):
        part = gradient[chunk].movedim(1, -1).flatten(1, -2).mT  # [n, O, windows]
        if totals is None:
            totals = x.new_empty(len(rows), part.shape[0], outputs, rows[0].shape[-1])
            for total, met in zip(totals, rows, strict=True):
                torch.bmm(part, met, out=total)
        else:
            for total, met in zip(totals[:, : part.shape[0]], rows, strict=True):
                torch.baddbmm(total, part, met, out=total)
    if totals is None:
        return x.new_zeros(outputs, inputs, *windows.kernel)
    w = x.new_empty(outputs, *windows.kernel, inputs)
    torch.sum(totals, 1, out=w.flatten(2).transpose(0, 1))
    return w.movedim(-1, 1)


def _rows(x: Tensor, windows: Windows) -> Iterator[tuple[slice, list[Tensor]]]:
    """Lay out what a line of the kernel meets, a chunk of the batch at a time: for each line [n, windows, C·kernel/k₀].

    A chunk has as many samples as rows.py would take: a third of `CHUNK` was faster than all of it.
    """
    (first, *_), counts = windows.kernel, windows.output_size(x.shape[2:])
    line = windows._replace(kernel=(1, *windows.kernel[1:]))
    span, step = math.prod(counts), windows.dilation[0] * math.prod(counts[1:])
    buffer = Buffer(x)
    for chunk, image in framed(x, windows, span * x.shape[1] * math.prod(windows.kernel), last=True):
        view = window_view(image, line)[0]  # [n, lines, *counts without the first, 1, *kernel without the first, C]
        rows = buffer.copied(view).flatten(1 + len(counts)).flatten(1, len(counts))
        yield chunk, [rows[:, i * step : i * step + span] for i in range(first)]
