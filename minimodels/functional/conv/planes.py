"""Depthwise convolution at stride 1 over planes laid out flat: what shifts.py does, in runs as long as a plane.

With zeros around it, a plane of one channel is one run of numbers, and a kernel element meets all of it at once: the
same run, beginning further on. What is computed between the end of a line and the beginning of the next is dropped.

    wide[l] = Σ_i w[i] · plane[l + offset(i)]      offset(i) = Σ_axis d·i·(numbers from one place to the next)
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from minimodels.functional.conv.frame import Buffer, framed
from minimodels.functional.precision import accumulator
from minimodels.shapes import Windows

CHUNK = 1 << 18
"""Numbers of planes at a time on a CPU: 1 MiB of float32, which with as much output stays in a core's own cache.

Forward for 8x64x56x56, 3x3, with 8, 16, 32 and 64 planes at a time, milliseconds on two threads of an Intel Xeon: 5.4,
3.1, 1.9 and 1.5, without laying out; by shifts along lines 4.2. The kernel's gradient 4.9 and 6.3.

Where all planes of an image are fewer numbers, several images go together: forward, image by image and so, 256x8x28x28
17.0 and 3.7, 64x32x28x28 6.8 and 3.0, 64x64x14x14 4.9 and 1.6, 64x4x112x112 8.1 and 5.1.
"""


def serves(x: Tensor, windows: Windows) -> bool:
    """Say whether this is on a CPU at stride 1, and the zeros around a plane are fewer than what is in it.

    Args:
        x: the input.
        windows: stride, padding, dilation and groups.
    """
    return (
        x.is_cpu and max(windows.stride) == 1 and math.prod(windows.padded(x.shape[2:])) <= 2 * math.prod(x.shape[2:])
    )


def forward(x: Tensor, w: Tensor, bias: Tensor | None, windows: Windows) -> Tensor:
    """Let every kernel element add its share of a flat plane.

    Args:
        x: the input.
        w: the kernels.
        bias: one number per output channel, or None.
        windows: padding and dilation; stride 1 and as many groups as channels.

    Shape:
        - x: [N, C, *size]; w: [O, 1, *kernel]; bias: [O]
        - Output: [N, O, *counts]
    """
    wide, channels, counts = accumulator(x.dtype), x.shape[1], windows.output_size(x.shape[2:])
    kernels = w.to(wide).reshape(channels, w.shape[0] // channels, -1)  # [C, O/C, elements]
    start = None if bias is None else bias.to(wide).view(channels, -1, 1)
    y = w.new_empty(x.shape[0], *kernels.shape[:2], *counts)
    buffer, (offsets, span, strides) = Buffer(kernels), _layout(x, windows)
    for images, part, planes in _planes(x.to(wide), windows):  # [n, c, 1, numbers]
        sums = buffer.take(*planes.shape[:2], kernels.shape[1], span)
        for k, offset in enumerate(offsets):
            met, weights = planes[..., offset : offset + span], kernels[part, :, k : k + 1]
            if k > 0:
                sums.addcmul_(met, weights)
            elif start is None:
                torch.mul(met, weights, out=sums)
            else:
                torch.addcmul(start[part], met, weights, out=sums)
        y[images, part] = sums.as_strided((*sums.shape[:3], *counts), (*sums.stride()[:3], *strides))
    return y.flatten(1, 2)


def weight_gradient(x: Tensor, gradient: Tensor, windows: Windows) -> Tensor:
    """Sum the products of flat planes with flat gradients, which are zero where nothing counts.

    Args:
        x: the input.
        gradient: ∂y.
        windows: those of the convolution.

    Shape:
        - x: [N, C, *size]; gradient: [N, O, *counts]
        - Output: [O, 1, *kernel]
    """
    wide, channels, counts = accumulator(x.dtype), x.shape[1], tuple(gradient.shape[2:])
    upstream = gradient.unflatten(1, (channels, -1))
    offsets, span, strides = _layout(x, windows)
    total = x.new_zeros(channels, upstream.shape[2], len(offsets), dtype=wide)
    flat = total.new_zeros(*_fitting(windows, x), upstream.shape[2], span)  # the gaps stay zero
    for images, part, planes in _planes(x.to(wide), windows):
        g = flat[: planes.shape[0], : planes.shape[1]]
        g.as_strided((*g.shape[:3], *counts), (*g.stride()[:3], *strides)).copy_(upstream[images, part])
        for k, offset in enumerate(offsets):
            total[part, :, k] += (planes[..., offset : offset + span] * g).sum(-1).sum(0)
    return total.view(-1, 1, *windows.kernel).to(x.dtype)


def _layout(x: Tensor, windows: Windows) -> tuple[list[int], int, list[int]]:
    """Say where in a flat plane each kernel element begins, how many numbers it meets, and how outputs lie in them."""
    size, counts = windows.padded(x.shape[2:]), windows.output_size(x.shape[2:])
    strides = [math.prod(size[axis + 1 :]) for axis in range(len(size))]
    offsets = [
        sum(i * d * stride for i, d, stride in zip(element, windows.dilation, strides, strict=True))
        for element in windows.elements()
    ]
    return offsets, 1 + sum((count - 1) * stride for count, stride in zip(counts, strides, strict=True)), strides


def _fitting(windows: Windows, x: Tensor) -> tuple[int, int]:
    """Say how many images go together, and how many of their planes: some planes of one image, or whole images."""
    batch, channels = max(1, x.shape[0]), x.shape[1]
    together = CHUNK // max(1, math.prod(windows.padded(x.shape[2:])))
    return min(batch, max(1, together // channels)), min(channels, max(1, together))


def _planes(x: Tensor, windows: Windows) -> Iterator[tuple[slice, slice, Tensor]]:
    """Go through as many images, or planes of one, at a time as fit: which of both, and [n, c, 1, numbers]."""
    several, fitting = _fitting(windows, x)
    for chunk, images in framed(x, windows, x.shape[1] * math.prod(windows.padded(x.shape[2:])), last=False):
        flat = images.flatten(2).unsqueeze(2)
        for n in range(0, flat.shape[0], several):
            stop = min(n + several, flat.shape[0])
            for c in range(0, x.shape[1], fitting):
                yield slice(chunk.start + n, chunk.start + stop), slice(c, c + fitting), flat[n:stop, c : c + fitting]
