"""Depthwise convolution as a sum of shifted, scaled images: one multiply-add over memory a kernel element.

With one input channel per group there is no sum over channels, and nothing that a matrix product could do at once: a
window's row would meet a single column. What is left is the definition itself, and the art is to run it through memory
once. The image goes through in chunks that stay in the processor's cache, every kernel element adds its share in place,

    y[n, c, p] += w[c, i] · x[n, c, s·p + d·i]

and no padding is laid around the image: each element adds only where it meets the image and not the zeros around it.
The gradients run through the same places: ∂x gathers what y received, ∂w sums the products.

References: Sifre & Mallat 2014, arXiv:1403.1687 (separable convolutions); Howard et al. 2017, arXiv:1704.04861.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from minimodels.functional import placement
from minimodels.functional.conv import definition, diagonals, planes
from minimodels.functional.conv.bilinear import Bilinear
from minimodels.functional.precision import accumulator
from minimodels.shapes import Windows
from minimodels.tap import listened

CHUNK = 1 << 17
"""Numbers of output at a time on a CPU: half a MiB of float32, which with as much input stays in a core's own cache."""

DEVICE_CHUNK = 1 << 27
"""The same on an accelerator, which wants large launches."""

Places = tuple[slice, ...]


def convolve(x: Tensor, w: Tensor, bias: Tensor | None, windows: Windows) -> Tensor:
    """Correlate every channel with kernels of its own: the operation of definition.py for one input channel per group.

    Args:
        x: the input.
        w: the kernels, O/C of them a channel.
        bias: one number per output channel, or None.
        windows: stride, padding, dilation; as many groups as channels.

    Shape:
        - x: [N, C, *size]; w: [O, 1, *kernel]; bias: [O]
        - Output: [N, O, *counts]

    Raises:
        RuntimeError: a group has more input channels than one.

    Cost: N·O·kernel·counts multiply-adds, each kernel element passing over the output in the cache. No memory beyond
        the output, but `CHUNK` numbers for the kernel's gradient; 16-bit numbers are copied to float32.

    See: definition.py, which serves compiled code; tests/functional/test_conv.py.

    Example:
        >>> windows = Windows(kernel=(2,), stride=(1,), pads=((0, 0),), dilation=(1,), groups=2)
        >>> x = torch.tensor([[[1.0, 2.0, 4.0], [1.0, 3.0, 9.0]]])
        >>> convolve(x, torch.tensor([[[-1.0, 1.0]], [[1.0, 1.0]]]), None, windows)
        tensor([[[ 1.,  2.],
                 [ 4., 12.]]])
    """
    if w.shape[1] != 1:
        raise RuntimeError(f"shifts take one input channel per group, but got a weight of size {list(w.shape)}")
    if torch.compiler.is_compiling() or listened():
        wide = accumulator(x.dtype)
        wide_bias = None if bias is None else bias.to(wide)
        return definition.convolve(x.to(wide), w.to(wide), wide_bias, windows).to(x.dtype)
    return ALGORITHM.convolve(x, w, bias, windows)


def _forward(x: Tensor, w: Tensor, bias: Tensor | None, windows: Windows) -> Tensor:
    """Let every kernel element add its share of the input to the output."""
    if planes.serves(x, windows):
        return planes.forward(x, w, bias, windows)
    wide, size, channels = accumulator(x.dtype), tuple(x.shape[2:]), x.shape[1]
    counts = windows.output_size(size)
    kernels = _kernels(w.to(wide), channels)  # [elements, C, O/C, 1 …]
    start = w.new_zeros(w.shape[0], dtype=wide) if bias is None else bias.to(wide)
    start = start.view(channels, -1, *[1] * len(counts))
    y = x.new_empty(x.shape[0], channels, kernels.shape[2], *counts, dtype=wide)
    x = x.to(wide).contiguous().unsqueeze(2)  # [N, C, 1, *size]
    for chunk in _chunks(y):
        x_part, y_part = x[chunk], y[chunk].copy_(start[chunk[1]])
        for k, read, written in _shares(windows, size, counts):
            y_part[written].addcmul_(x_part[read], kernels[k, chunk[1]])
    return y.flatten(1, 2).to(w.dtype)


def _input_gradient(gradient: Tensor, w: Tensor, size: tuple[int, ...], windows: Windows) -> Tensor:
    """Give every input element back what it was multiplied with: at stride 1 a correlation with the flipped kernel."""
    mirrored = windows.mirrored()
    if planes.serves(gradient, windows) and w.shape[0] == windows.groups and min(map(min, mirrored.pads)) >= 0:
        return planes.forward(gradient, w.flip(tuple(range(2, w.ndim))), None, mirrored)
    wide, channels, counts = accumulator(w.dtype), windows.groups, tuple(gradient.shape[2:])
    kernels = _kernels(w.to(wide), channels)
    gradient = gradient.to(wide).contiguous().unflatten(1, (channels, -1))  # [N, C, O/C, *counts]
    x = gradient.new_zeros(gradient.shape[0], channels, 1, *size)
    for chunk in _chunks(gradient):
        x_part, y_part = x[chunk], gradient[chunk]
        for k, read, written in _shares(windows, size, counts):
            for o in range(kernels.shape[2]):
                x_part[read].addcmul_(y_part[written][:, :, o : o + 1], kernels[k, chunk[1], o : o + 1])
    return x.squeeze(2).to(w.dtype)


def _weight_gradient(x: Tensor, gradient: Tensor, windows: Windows) -> Tensor:
    """Multiply what every kernel element read with the gradient of where it wrote, and sum."""
    if diagonals.serves(x, gradient.shape[1], windows):
        return diagonals.weight_gradient(x, gradient, windows)
    if planes.serves(x, windows):
        return planes.weight_gradient(x, gradient, windows)
    dtype, wide, channels = x.dtype, accumulator(x.dtype), x.shape[1]
    size, counts = tuple(x.shape[2:]), tuple(gradient.shape[2:])
    x = x.to(wide).contiguous().unsqueeze(2)
    gradient = gradient.to(wide).contiguous().unflatten(1, (channels, -1))
    total = x.new_zeros(math.prod(windows.kernel), channels, gradient.shape[2])
    for chunk in _chunks(gradient):
        x_part, y_part = x[chunk], gradient[chunk]
        for k, read, written in _shares(windows, size, counts):
            total[k, chunk[1]] += (x_part[read] * y_part[written]).sum((0, *range(3, gradient.ndim)))
    return total.permute(1, 2, 0).reshape(-1, 1, *windows.kernel).to(dtype)


def _kernels(w: Tensor, channels: int) -> Tensor:
    """Put the kernel's elements first, [elements, C, O/C, 1 …], so that each is ready to meet images."""
    elements = w.reshape(channels, w.shape[0] // channels, -1).permute(2, 0, 1)
    return elements.reshape(*elements.shape, *[1] * (w.ndim - 2))


def _shares(windows: Windows, size: tuple[int, ...], counts: tuple[int, ...]) -> Iterator[tuple[int, Places, Places]]:
    """Go through the kernel's elements: which one, the input that it reads, the output to which that belongs."""
    whole = (slice(None),) * 3  # images, channels, kernels of a channel
    for k, element in enumerate(windows.elements()):
        read, written = windows.shared_by(element, size, counts)
        yield k, (*whole, *read), (*whole, *written)


def _chunks(y: Tensor) -> Iterator[tuple[slice, slice]]:
    """Cut [N, C, O/C, *counts] into parts that stay in the cache: some images, or some channels of one."""
    fitting = max(1, placement.at_once(y, CHUNK, DEVICE_CHUNK) // max(1, math.prod(y.shape[2:])))
    images, channels = max(1, fitting // max(1, y.shape[1])), min(fitting, max(1, y.shape[1]))
    for n in range(0, y.shape[0], images):
        for c in range(0, y.shape[1], channels):
            yield slice(n, n + images), slice(c, c + channels)


ALGORITHM = Bilinear(_forward, _input_gradient, _weight_gradient)
"""The three readings of the form, for whom they serve in part."""
