"""im2col for volumes: columns of planes that stand once, one plane behind the other.

A plane h of the input has its columns, over all channels and all of the kernel but its first dimension. Laid out plane
after plane, those that output plane p reads are k₀ neighbours, one matrix that begins where they begin:

    y[n, :, p] = kernels [O, k₀·C·kernel/k₀]  ×  columns[p : p + k₀] [k₀·C·kernel/k₀, windows of a plane]

Matrices of neighbouring planes share what they have in common, so windows are copied k₀ times fewer than by columns.py,
and unlike there the sum over k₀ is inside the product, which rounds once: it serves 16 bits too. No zeros are laid
around the input. Only what windows meet is copied; the rest of the columns was zero before and stays it.

In bfloat16 a product of few kernels leaves matrix units idle. There several planes are one product, whose matrix has
the kernel on its diagonal and zeros beside it: more work, in less time.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from minimodels.functional.conv import frame
from minimodels.functional.layout import image_layout
from minimodels.functional.matmul import bfloat16_is_fast
from minimodels.shapes import Windows

ROWS = 64
"""Rows of a matrix of kernels at least, in bfloat16; fewer are made so many by giving several planes at once."""

LONG = 48
"""Windows in a line of an image from which the kernel's gradient is taken from columns in bfloat16."""

TOGETHER = 2
"""Times `frame.CHUNK` that all columns of a sample may take, for one product of the kernel's gradient in bfloat16.

Milliseconds on two threads of an Intel Xeon with AMX, 3x3x3, plane by plane and so: 2x16x16x28x28 to 32 2.9
and 1.8, 2x32x16x28x28 to 32 4.6 and 2.8; 1x16x16x56x56 to 32 (16 MiB) 3.6 and 4.8, 1x3x16x112x112 to 16 (12 MiB) 4.7
and 9.1.
"""

PLANE, LARGE_PLANE = 100, 512
"""Windows of a plane from which products of its own pay, in float32 and in bfloat16."""

RUN = 128
"""Numbers in a run of channels-last windows from which, in bfloat16, rows are as fast."""


def serves(x: Tensor, windows: Windows) -> bool:
    """Say whether this is a volume whose planes are large, with neighbouring planes read at stride 1.

    Milliseconds on two threads of an Intel Xeon, 3x3x3, forward and the kernel's gradient, by columns (float32) or rows
    (bfloat16), and so:

                                    float32                      bfloat16
        2x16x16x28x28 to 32     5.0 5.1    4.1 4.0           3.3 3.3   2.6 2.8
        2x16x16x20x20 to 32     2.4 2.8    2.0 2.1           1.9 1.8   1.8 1.9
        2x16x16x14x14 to 32     1.2 1.7    1.3 1.3           0.8 1.0   1.3 1.1
        8x64x8x14x14 to 64     15.9 15.4  13.8 15.1          4.4 6.2   8.5 8.8
        8x64x8x7x7 to 64        5.4 5.0    6.0 6.5           1.3 1.9   5.4 6.6
        4x64x8x28x28 to 64     28.8 29.7  25.2 29.6         13.0 13.8  13.2 15.4
        1x3x16x112x112 to 16   25.2 24.5   8.9 8.0           6.2 10.1  3.8 7.1

    Args:
        x: the input, or ∂y.
        windows: stride, padding, dilation and groups.
    """
    if torch.compiler.is_compiling() or not x.is_cpu or x.ndim != 5 or image_layout(x) is not torch.contiguous_format:
        return False
    neighbours = windows.groups == windows.stride[0] == windows.dilation[0] == 1 < windows.kernel[0]
    plane = math.prod(windows.output_size(x.shape[2:])[1:])
    if x.dtype is torch.bfloat16:
        pays = plane >= LARGE_PLANE and x.shape[1] * windows.kernel[-1] < RUN and bfloat16_is_fast()
    else:
        pays = plane >= PLANE and x.dtype in (torch.float32, torch.float64)
    return neighbours and pays


def serves_weight_gradient(x: Tensor, windows: Windows) -> bool:
    """Say the same for the kernel's gradient, which in bfloat16 may be that of images with long lines as well.

    Milliseconds in bfloat16 on two threads of an Intel Xeon with AMX, 3x3, by classes (interleaved.py) and so:
    8x64x56x56 4.5 and 3.7, 8x32x56x56 2.0 and 1.6, 8x16x56x56 0.95 and 0.97, 4x32x112x112 to 64 5.0 and 3.8,
    8x128x28x28 2.7 and 3.5, 32x32x32x32 2.7 and 3.5.

    Args:
        x: the input.
        windows: stride, padding, dilation and groups.
    """
    if serves(x, windows) or x.dtype is not torch.bfloat16 or x.ndim != 4:
        return serves(x, windows)
    if torch.compiler.is_compiling() or not x.is_cpu or image_layout(x) is not torch.contiguous_format:
        return False
    neighbours = windows.groups == windows.stride[0] == windows.dilation[0] == 1 < windows.kernel[0]
    long = windows.stride[1] == 1 and windows.output_size(x.shape[2:])[1] >= LONG
    return neighbours and long and _together(x, windows) <= TOGETHER * frame.CHUNK and bfloat16_is_fast()


def forward(x: Tensor, w: Tensor, bias: Tensor | None, windows: Windows) -> Tensor:
    """Multiply the kernels with each output plane's columns.

    Args:
        x: the input.
        w: the kernel.
        bias: one number per output channel, or None.
        windows: stride, padding and dilation; one group, and neighbouring planes.

    Shape:
        - x: [N, C, *size]; w: [O, C, *kernel]; bias: [O]
        - Output: [N, O, *counts]
    """
    outputs, counts = w.shape[0], windows.output_size(x.shape[2:])
    block = max(1, min(ROWS // outputs, counts[0])) if x.dtype is torch.bfloat16 else 1
    kernels = _diagonal(w, block)  # [B·O, (B + k₀ − 1)·K]
    start = None if bias is None else bias.repeat(block).unsqueeze(1)
    y = x.new_empty(x.shape[0], outputs, counts[0], math.prod(counts[1:]))
    for n, planes, columns in _stacks(x, windows, block):
        products = _products(kernels, _seen(columns, block, kernels.shape[1]), start)
        each = products.view(-1, outputs, y.shape[3])[: planes.stop - planes.start]  # [planes, O, windows]
        y[n, :, planes] = each.transpose(0, 1)
    return y.view(*y.shape[:2], *counts)


def weight_gradient(x: Tensor, gradient: Tensor, windows: Windows) -> Tensor:
    """Add up columns·∂yᵀ over the planes, in float32 at least.

    Args:
        x: the input.
        gradient: ∂y.
        windows: those of the convolution.

    Shape:
        - x: [N, C, *size], volumes, or images of 16 bits; gradient: [N, O, *counts]
        - Output: [O, C, *kernel]
    """
    if x.ndim == 4 or (x.dtype is torch.bfloat16 and _together(x, windows) <= TOGETHER * frame.CHUNK):
        return _weight_gradient_together(x, gradient, windows)
    wide, inputs, rows = torch.promote_types(x.dtype, torch.float32), x.shape[1], x.shape[1] * math.prod(windows.kernel)
    total = x.new_zeros(rows, gradient.shape[1], dtype=wide)
    flat = gradient.flatten(3)
    for n, planes, columns in _stacks(x, windows, 1):
        seen, upstream = _seen(columns, 1, rows), flat[n, :, planes].permute(1, 2, 0)
        if x.dtype is torch.bfloat16:  # oneDNN would copy a batch of matrices that overlap
            products = torch.stack([torch.mm(met, part) for met, part in zip(seen, upstream, strict=True)])
        else:
            products = torch.bmm(seen, upstream)
        total += products.sum(0, dtype=wide)
    w = total.to(x.dtype).view(windows.kernel[0], inputs, *windows.kernel[1:], -1)
    return w.movedim(-1, 0).transpose(1, 2).contiguous()


def _together(x: Tensor, windows: Windows) -> int:
    """Count the bytes of all columns of a sample."""
    planes = windows.output_size(x.shape[2:])[0] + windows.kernel[0] - 1
    windows_of_all = planes * math.prod(windows.output_size(x.shape[2:])[1:])
    return x.shape[1] * math.prod(windows.kernel[1:]) * windows_of_all * x.dtype.itemsize


def _weight_gradient_together(x: Tensor, gradient: Tensor, windows: Windows) -> Tensor:
    """Multiply a sample's columns, all planes in a line, with ∂y beginning at each of the first k₀ planes (or lines).

    columns [K, planes·windows]  ×  ∂y [k₀·O, planes·windows]ᵀ: one product, with the smaller factor on the right, which
    oneDNN reorders.
    """
    counts, (k0, *kernel) = gradient.shape[2:], windows.kernel
    planes, before = counts[0] + k0 - 1, windows.pads[0][0]
    columns = x.new_zeros(x.shape[1], *kernel, planes, *counts[1:])
    shares = _shares(x.transpose(1, 2), columns.movedim(1 + len(kernel), 0), windows)
    upstream = x.new_zeros(k0, gradient.shape[1], planes, *counts[1:])
    rows, wide = x.shape[1] * math.prod(kernel), torch.promote_types(x.dtype, torch.float32)
    total = x.new_zeros(rows, k0 * gradient.shape[1], dtype=wide)
    first, stop = max(0, before), max(0, min(planes, x.shape[2] + before))
    for n in range(x.shape[0]):
        for read, written in shares:
            written[first:stop].copy_(read[n, first - before : max(0, stop - before)])
        for i, shifted in enumerate(upstream):
            shifted[:, i : i + counts[0]] = gradient[n]
        total += torch.mm(columns.view(total.shape[0], -1), upstream.view(total.shape[1], -1).t())
    w = total.to(x.dtype).view(x.shape[1], *kernel, k0, -1)
    return w.movedim((-1, -2), (0, 2)).contiguous()


def _diagonal(w: Tensor, block: int) -> Tensor:
    """Put the kernel on the diagonal of a matrix that gives several planes at once, [B·O, (B + k₀ − 1)·K]."""
    outputs, inputs, k0, *kernel = w.shape
    matrix = w.new_zeros(block, outputs, block + k0 - 1, inputs, *kernel)
    for plane, rows in enumerate(matrix):
        rows[:, plane : plane + k0] = w.transpose(1, 2)
    return matrix.view(block * outputs, -1)


def _seen(columns: Tensor, block: int, rows: int) -> Tensor:
    """See what each product reads, [products, rows, windows]: neighbours overlap."""
    K, span = columns.shape[1:]
    count = (columns.shape[0] - rows // K) // block + 1
    return columns.as_strided((count, rows, span), (block * K * span, span, 1))


def _products(kernels: Tensor, columns: Tensor, start: Tensor | None) -> Tensor:
    """Multiply the kernels with matrices that overlap; oneDNN, which has bfloat16, would copy a batch of such."""
    if kernels.dtype is not torch.bfloat16:
        repeated = kernels.expand(columns.shape[0], *kernels.shape)
        return torch.bmm(repeated, columns) if start is None else torch.baddbmm(start, repeated, columns)
    products = kernels.new_empty(columns.shape[0], kernels.shape[0], columns.shape[2])
    for product, met in zip(products, columns, strict=True):
        if start is None:
            torch.mm(kernels, met, out=product)
        else:
            torch.addmm(start, kernels, met, out=product)
    return products


def _stacks(x: Tensor, windows: Windows, block: int) -> Iterator[tuple[int, slice, Tensor]]:
    """Lay out the columns of planes: which sample, which output planes, and [planes that they read, K, windows].

    As many as fit, a multiple of `block` of them.
    """
    counts, before, above = windows.output_size(x.shape[2:]), windows.pads[0][0], windows.kernel[0] - 1
    K = x.shape[1] * math.prod(windows.kernel[1:])
    parts = -(-counts[0] * K * math.prod(counts[1:]) * x.dtype.itemsize // frame.CHUNK)
    step = -(-counts[0] // (max(1, parts) * block)) * block
    memory = x.new_zeros(step + above, x.shape[1], *windows.kernel[1:], *counts[1:])
    shares = _shares(x.transpose(1, 2), memory, windows)
    for n in range(x.shape[0]):
        for start in range(0, counts[0], step):
            shift = start - before  # the input's plane with which the stack begins
            first, stop = max(0, -shift), max(0, min(step + above, x.shape[2] - shift))
            memory[:first] = 0
            memory[stop:] = 0
            for read, written in shares:
                written[first:stop].copy_(read[n, first + shift : max(0, stop + shift)])
            number = -(-min(step, counts[0] - start) // block) * block
            columns = memory[: number + above].view(number + above, K, -1)
            yield n, slice(start, min(start + number, counts[0])), columns


def _shares(x: Tensor, columns: Tensor, windows: Windows) -> list[tuple[Tensor, Tensor]]:
    """See what each element of a plane of the kernel reads, [N, planes, C, …], and where it goes, [planes, C, …]."""
    plane = Windows(windows.kernel[1:], windows.stride[1:], windows.pads[1:], windows.dilation[1:], 1)
    shares: list[tuple[Tensor, Tensor]] = []
    whole = (slice(None), slice(None))
    for element in plane.elements():
        read, written = plane.shared_by(element, x.shape[3:], columns.shape[-len(element) :])
        shares.append((x[(slice(None), *whole, *read)], columns[whole + element + written]))
    return shares
