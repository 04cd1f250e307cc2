"""im2col with the channels last, in classes of windows: along one axis of the kernel nothing is copied.

Let every place of a line hold what the kernel's other axes meet there, in all channels, K numbers. A window of the line
is then one run of k·K numbers. Windows side by side overlap, and a matrix whose rows overlap would be copied before it
is multiplied. Those that are k places apart do not, and lie one behind the other:

    class r:  windows r, r + k, r + 2k, …  [windows/k, k·K]  ×  kernels [k·K, O]        beginning at place r

So windows are copied k times fewer than by rows.py. Unlike in lines.py the sum over k is inside the product, which
rounds once: it serves 16 bits. A line goes on from one image to the next, so that a class is one large product, and
what reads beyond the end of an image is dropped. Where a stride divides k there are as many classes fewer. Few kernels
would leave matrix units idle; then two windows are made one, a place wider, at a stride of two, and an infinite number
or NaN spoils both.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from minimodels.functional.conv.frame import Buffer, framed
from minimodels.functional.layout import image_layout
from minimodels.functional.matmul import bfloat16_is_fast
from minimodels.shapes import Windows

MANY = 3000
"""Windows from which there are enough in a class."""

DROPPED = 24
"""Outputs that are dropped for each that is kept, at most: those of a line, times the channels of each."""

LONG = 28
"""Windows in a line from which it pays where less is saved: see `serves` and `serves_weight_gradient`."""

FEW = 64
"""Kernels up to which neighbouring windows are multiplied together, with a kernel for each that has zeros beside it.

A quarter of what is multiplied are zeros then. Milliseconds so and one by one, for rows of K numbers a place, on two
threads of an Intel Xeon with AMX: 26880x288 to 16 0.88 and 1.30, 26880x144 to 32 0.65 and 0.93, 26000x192 to 64 1.27
and 1.32, 6528x64 to 64 0.16 and 0.18, 1920x768 to 256 2.98 and 1.48.
"""

SMALL = 3
"""Places of the kernel along a line at most, each of which is a product of its own in the kernel's gradient."""

CLASSES = 2
"""How many times as many windows as `frame.CHUNK` would take are laid out at once: products want many rows.

Milliseconds forward and backward on two threads of an Intel Xeon with AMX by 1, 2 and 4: 8x64x56x56 11.8, 11.2, 12.9;
8x128x28x28 7.8, 7.3, 7.3; 2x16x16x28x28 7.2, 7.1, 8.1. Larger pieces are fetched fresh from the system at each step.
"""


def serves(x: Tensor, outputs: int, windows: Windows) -> bool:
    """Say whether this is in bfloat16 on a CPU with units for it, where classes are large and little is dropped.

    Milliseconds forward on two threads of an Intel Xeon with AMX, by rows (of large volumes by stacks) and so:

        64x32x13x13 to 64, 3x3     0.85 0.79    8x16x56x56 to 16, 3x3           1.08 0.83    channels-last
        64x64x11x11 to 32, 3x3     1.41 1.20    8x32x56x56 to 32, 3x3           1.73 1.54    8x64x56x56   2.79 2.35
        8x128x28x28 to 128, 3x3    2.65 2.20    8x16x32x32 to 32, 5x5           0.91 0.64    64x32x13x13  0.55 0.65
        8x64x56x56 to 64, 3x3      4.14 3.29    2x16x16x28x28 to 32, 3x3x3      2.68 2.13
        8x64x56x56 to 64, 4x4, 2   2.42 2.13    2x32x16x28x28 to 16, 3x3x3      3.79 2.73
        8x256x14x14 to 256, 3x3    2.12 2.41    4x64x8x28x28 to 64, 3x3x3       8.80 6.08
        32x256x7x7 to 256, 3x3     2.05 2.88    8x64x8x7x7 to 64, 3x3x3         1.43 1.20
        64x64x5x5 to 64, 3x3       0.24 0.35    64x64x100 to 64, 3              0.58 0.56

    Args:
        x: the input, or ∂y.
        outputs: how many output channels.
        windows: stride, padding, dilation and groups.
    """
    if torch.compiler.is_compiling() or not x.is_cpu or x.dtype is not torch.bfloat16 or not bfloat16_is_fast():
        return False
    *_, line = counts = windows.output_size(x.shape[2:])
    if not is_defined(windows) or x.shape[0] * math.prod(counts) < MANY:
        return False
    dropped = (_along(x, windows) // windows.stride[-1] - line) * outputs
    return dropped <= DROPPED * line and (line >= LONG or image_layout(x) is torch.contiguous_format)


def serves_weight_gradient(x: Tensor, outputs: int, windows: Windows) -> bool:
    """Say the same for the kernel's gradient, whose products are smaller.

    Milliseconds as above: 8x64x56x56 4.7 and 4.2, 8x128x28x28 3.3 and 2.5, 8x16x56x56 1.15 and 0.93, 64x32x13x13 0.97
    and 1.06; 5x5 on 8x16x32x32 0.95 and 1.10; 3x3x3 on 8x64x8x14x14 5.9 and 5.3, on 4x64x8x28x28 14.4 and 9.2.

    Args:
        x: the input.
        outputs: how many output channels.
        windows: stride, padding, dilation and groups.
    """
    if not serves(x, outputs, windows) or windows.stride[-1] > 1 or windows.kernel[-1] > SMALL:
        return False
    return len(windows.kernel) == 3 or windows.output_size(x.shape[2:])[-1] >= LONG


def is_defined(windows: Windows) -> bool:
    """Say whether windows fall into classes: one group, and a line whose stride divides the kernel, without holes.

    Args:
        windows: stride, padding, dilation and groups.
    """
    return windows.groups == windows.dilation[-1] == 1 and windows.kernel[-1] % windows.stride[-1] == 0


def forward(x: Tensor, w: Tensor, bias: Tensor | None, windows: Windows) -> Tensor:
    """Multiply each class with the kernels.

    Args:
        x: the input.
        w: the kernel.
        bias: one number per output channel, or None.
        windows: stride, padding and dilation, for which it is defined.

    Shape:
        - x: [N, C, *size]; w: [O, C, *kernel]; bias: [O]
        - Output: [N, O, *counts], channels-last in memory if x is.
    """
    counts, together = windows.output_size(x.shape[2:]), _together(w, windows)
    kernels, windows = _widened(w, together), _wider(windows, together)
    y, buffer, (reach, stride) = _empty(x, w.shape[0], counts), Buffer(x), (windows.kernel[-1], windows.stride[-1])
    places = _along(x, windows) // stride * together
    for chunk, laid in _laid_out(x, windows, math.prod(counts) * w.shape[0]):
        rows = -(-laid.shape[0] // reach)
        products = buffer.take(rows * (reach // stride) * together, w.shape[0])
        if bias is not None:  # what is there is added before the sum is rounded
            products.copy_(bias)
        for r, part in enumerate(products.view(rows, reach // stride, -1).unbind(1)):
            begun = laid[r * stride :]
            met = begun[: begun.shape[0] // reach * reach].view(-1, kernels.shape[0])
            if bias is None:
                torch.mm(met, kernels, out=part[: met.shape[0]])
            else:
                part[: met.shape[0]].addmm_(met, kernels)
        each = products.view(*counts[:-1], -1, w.shape[0])[..., : (chunk.stop - chunk.start) * places, :]
        y[chunk] = each.unflatten(-2, (-1, places))[..., : counts[-1], :].movedim((-3, -1), (0, 1))
    return y


def _together(w: Tensor, windows: Windows) -> int:
    """Say how many neighbouring windows a row is made to hold: two, where a product of few kernels is the slower."""
    odd = windows.kernel[-1] % 2 == 1 < windows.kernel[-1]
    return 2 if odd and windows.stride[-1] == 1 and w.shape[0] <= FEW else 1


def _wider(windows: Windows, together: int) -> Windows:
    """Take neighbouring windows for one, wider by one place each, with a stride of as many."""
    kernel, stride = windows.kernel[-1] + together - 1, windows.stride[-1] * together
    return windows._replace(kernel=(*windows.kernel[:-1], kernel), stride=(*windows.stride[:-1], stride))


def _widened(w: Tensor, together: int) -> Tensor:
    """Lay the kernels out for rows with neighbouring windows, the same one place further on for each, [k·K, …·O]."""
    places = w.movedim((-1, 1, 0), (0, -2, -1))  # [k, *others, C, O]
    wide = w.new_zeros(places.shape[0] + together - 1, *places.shape[1:-1], together, w.shape[0])
    for window in range(together):
        wide[window : window + places.shape[0], ..., window, :] = places
    return wide.flatten(-2).flatten(0, -2)


def weight_gradient(x: Tensor, gradient: Tensor, windows: Windows) -> Tensor:
    """Multiply ∂y, with zeros where a line goes on to the next image, with what each place of the kernel meets.

    That is the same laid out once, beginning one place later for each. An infinite number or NaN in the input spoils
    all places of the kernel on its line.

    Args:
        x: the input.
        gradient: ∂y.
        windows: those of the convolution, for which it is defined at stride 1 along a line.

    Shape:
        - x: [N, C, *size]; gradient: [N, O, *counts]
        - Output: [O, C, *kernel]
    """
    (outputs, *counts), reach, along = gradient.shape[1:], windows.kernel[-1], _along(x, windows)
    K, buffer = x.shape[1] * math.prod(windows.kernel[:-1]), Buffer(x)
    total = x.new_zeros(reach, outputs, K, dtype=torch.promote_types(x.dtype, torch.float32))
    for chunk, laid in _laid_out(x, windows, math.prod(gradient.shape[1:])):
        length = laid.shape[0] - reach + 1  # no window begins behind
        upstream = buffer.take(outputs, length).zero_()
        part = gradient[chunk].movedim(0, -2)  # [O, *others, n, windows of a line]
        span = laid.shape[0] // math.prod(counts[:-1])
        strides = [span * math.prod(counts[axis + 1 : -1]) for axis in range(len(counts) - 1)]
        upstream.as_strided(part.shape, (length, *strides, along, 1)).copy_(part)
        for j, sums in enumerate(total):
            sums += torch.mm(upstream, laid[j : j + length])
    return total.to(x.dtype).view(reach, outputs, *windows.kernel[:-1], -1).movedim((1, -1, 0), (0, 1, -1)).contiguous()


def _empty(x: Tensor, outputs: int, counts: tuple[int, ...]) -> Tensor:
    """Give memory for the output, [N, O, *counts], in the input's layout."""
    if image_layout(x) is torch.contiguous_format:
        return x.new_empty(x.shape[0], outputs, *counts)
    return x.new_empty(x.shape[0], *counts, outputs).movedim(-1, 1)


def _along(x: Tensor, windows: Windows) -> int:
    """Count the places of an image along the last axis, zeros included: a multiple of the stride."""
    return -(-windows.padded(x.shape[2:])[-1] // windows.stride[-1]) * windows.stride[-1]


def _laid_out(x: Tensor, windows: Windows, outputs: int) -> Iterator[tuple[slice, Tensor]]:
    """Lay out what the kernel's other axes meet at each place of a line, [lines·span, K], a chunk at a time.

    A line goes through all images, and has a span of as many places as they need, made a multiple of k. Of a sequence,
    whose kernel has one axis, the images themselves are all there is.
    """
    along, (before, _) = _along(x, windows), windows.pads[-1]
    turned = Windows(
        kernel=(windows.kernel[-1], *windows.kernel[:-1]),
        stride=(windows.stride[-1], *windows.stride[:-1]),
        pads=((before, along - before - x.shape[-1]), *windows.pads[:-1]),
        dilation=(1, *windows.dilation[:-1]),
        groups=1,
    )
    lines, inner = windows.output_size(x.shape[2:])[:-1], (*windows.kernel[:-1], x.shape[1])
    K, buffer = math.prod(inner), Buffer(x)
    elements = max(math.prod(lines) * along * K // CLASSES, outputs)
    for chunk, image in framed(x.movedim(-1, 2), turned, elements, last=True):  # [n, along, *others, C]
        if not lines:
            yield chunk, image.reshape(-1, K)
            continue
        batch, first, *others, channel = image.stride()
        steps = [space * s for space, s in zip(others, windows.stride[:-1], strict=True)]
        spaces = [space * d for space, d in zip(others, windows.dilation[:-1], strict=True)]
        shape = (*lines, image.shape[0], along, *inner)
        view = image.as_strided(shape, (*steps, batch, first, *spaces, channel), image.storage_offset())
        span = -(-image.shape[0] * along // windows.kernel[-1]) * windows.kernel[-1]
        memory = buffer.take(*lines, span, K)
        memory[..., : image.shape[0] * along, :].view(shape).copy_(view)
        memory[..., image.shape[0] * along :, :] = 0
        yield chunk, memory.view(-1, K)
