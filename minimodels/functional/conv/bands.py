"""Depthwise convolution as matrix products: a line of the output is its input lines times a matrix with a band.

Along a line, a kernel of one channel is a linear map of B + kernel − 1 numbers to B outputs. Written as a matrix it has
the kernel on its diagonals and zeros elsewhere, T[s·q + d·j, q] = w[j], one such matrix for each line of the kernel:

    output line [B]  =  input lines [kernel·K]  ×  T [kernel·K, B]        K = s·(B − 1) + d·(k − 1) + 1

Most of what is multiplied is zeros, B/kernel times as much work as there is. A processor with matrix units does it
nevertheless in less time than shifted multiply-adds take to go through memory (shifts.py), in bfloat16 and with sums in
float32. The kernel's gradient is the sum along the diagonals of (∂ output lines)ᵀ × input lines. Short lines of
images need not be copied: strips.py.

A product mixes all of a line, so an infinite or NaN input element makes the B outputs of its lines NaN, where the
definition and torch.nn spread it only to the windows that touch it.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from minimodels.functional.conv import definition, shifts, strips
from minimodels.functional.conv.bilinear import Bilinear
from minimodels.functional.conv.frame import Buffer, framed
from minimodels.functional.conv.strips import diagonal
from minimodels.functional.precision import accumulator
from minimodels.shapes import Windows
from minimodels.tap import listened

BAND = 64
"""Outputs of a line at most that one matrix gives; longer lines are cut."""


def convolve(x: Tensor, w: Tensor, bias: Tensor | None, windows: Windows) -> Tensor:
    """Correlate every channel with kernels of its own: the operation of definition.py for one input channel per group.

    Args:
        x: the input.
        w: the kernels, O/C of them a channel.
        bias: one number per output channel, or None.
        windows: stride, padding, dilation; as many groups as channels.

    Shape:
        - x: [N, C, *size], sequences or images; w: [O, 1, *kernel]; bias: [O]
        - Output: [N, O, *counts]

    Raises:
        RuntimeError: a group has more input channels than one, or the input is a volume.

    Cost: up to `BAND` times the definition's multiply-adds, in products; beyond input and output, the matrices, of
        C·kernel·`BAND`² numbers at most, and `frame.CHUNK` bytes of lines.

    See: definition.py, which serves compiled code; shifts.py; tests/functional/test_conv.py.

    Example:
        >>> windows = Windows(kernel=(2,), stride=(1,), pads=((0, 0),), dilation=(1,), groups=2)
        >>> x = torch.tensor([[[1.0, 2.0, 4.0], [1.0, 3.0, 9.0]]])
        >>> convolve(x, torch.tensor([[[-1.0, 1.0]], [[1.0, 1.0]]]), None, windows)
        tensor([[[ 1.,  2.],
                 [ 4., 12.]]])
    """
    if w.shape[1] != 1 or w.ndim > 4:
        raise RuntimeError(
            f"bands take one input channel per group and no volumes, but got a weight of {list(w.shape)}"
        )
    if torch.compiler.is_compiling() or listened():
        wide = accumulator(x.dtype)
        wide_bias = None if bias is None else bias.to(wide)
        return definition.convolve(x.to(wide), w.to(wide), wide_bias, windows).to(x.dtype)
    return _ALGORITHM.convolve(x, w, bias, windows)


def _forward(x: Tensor, w: Tensor, bias: Tensor | None, windows: Windows) -> Tensor:
    """Multiply each chunk's lines with the matrices; short lines of images where they lie."""
    if strips.serves(x, windows):
        return strips.forward(x, w, bias, windows)
    channels, counts, (band, cuts, K) = x.shape[1], windows.output_size(x.shape[2:]), _cut(x, windows)
    kernels = w.view(channels, -1, *windows.kernel).unsqueeze(2) if w.ndim == 3 else w.view(channels, -1, *w.shape[2:])
    T = w.new_zeros(channels, *kernels.shape[1:3], K, band)  # [C, O/C, lines, K, B]
    for j in range(windows.kernel[-1]):
        diagonal(T, j, windows).copy_(kernels[..., j : j + 1])
    T = T.movedim(1, 3).flatten(3).flatten(1, 2)  # [C, lines·K, O/C·B]
    start = None if bias is None else bias.view(channels, -1, 1).expand(-1, -1, band).flatten(1).unsqueeze(1)
    y = x.new_empty(x.shape[0], channels, kernels.shape[1], *([1] if w.ndim == 3 else []), *counts)
    for chunk, lines in _lines(x, windows):
        flat = torch.bmm(lines, T) if start is None else torch.baddbmm(start, lines, T)
        part = flat.view(channels, -1, y.shape[3], cuts, y.shape[2], band).permute(1, 0, 4, 2, 3, 5)
        y[chunk] = part.flatten(4)[..., : counts[-1]]
    return y.view(x.shape[0], w.shape[0], *counts)


def _input_gradient(gradient: Tensor, w: Tensor, size: tuple[int, ...], windows: Windows) -> Tensor:
    """Correlate with the flipped kernel where that is depthwise at stride 1; else let shifts carry ∂y back."""
    mirrored = windows.mirrored()
    if max(windows.stride) > 1 or w.shape[0] != windows.groups or min(map(min, mirrored.pads)) < 0:
        return shifts.ALGORITHM.backward_input(gradient, w, size, windows)
    return _forward(gradient, w.flip(tuple(range(2, w.ndim))), None, mirrored)


def _weight_gradient(x: Tensor, gradient: Tensor, windows: Windows) -> Tensor:
    """Multiply the gradients' lines with the input's, and sum along the diagonals."""
    if strips.serves(x, windows):
        return strips.weight_gradient(x, gradient, windows)
    channels, counts, (band, cuts, K) = x.shape[1], windows.output_size(x.shape[2:]), _cut(x, windows)
    kernels, above = gradient.shape[1] // channels, math.prod(windows.kernel[:-1])
    total = x.new_zeros(channels, above * K, kernels * band, dtype=torch.promote_types(x.dtype, torch.float32))
    for chunk, lines in _lines(x, windows):
        part = gradient[chunk].reshape(-1, channels, kernels, math.prod(counts[:-1]), counts[-1])
        whole = x.new_zeros(channels, part.shape[0], part.shape[3], kernels, cuts * band)
        whole[..., : counts[-1]] = part.permute(1, 0, 3, 2, 4)
        upstream = whole.unflatten(4, (cuts, band)).transpose(3, 4).reshape(channels, lines.shape[1], kernels * band)
        total += torch.bmm(lines.mT, upstream)
    T = total.view(channels, above, K, kernels, band).movedim(3, 1)  # [C, O/C, lines, K, B]
    w = torch.stack([diagonal(T, j, windows).sum(-1) for j in range(windows.kernel[-1])], -1)  # [C, O/C, lines, k]
    return w.view(-1, 1, *windows.kernel).to(x.dtype)


def _cut(x: Tensor, windows: Windows) -> tuple[int, int, int]:
    """Say how many outputs one matrix gives, how many such pieces make a line, and how many inputs each reads."""
    count = windows.output_size(x.shape[2:])[-1]
    cuts = -(-count // BAND)
    band = -(-count // cuts)
    return band, cuts, windows.stride[-1] * (band - 1) + windows.dilation[-1] * (windows.kernel[-1] - 1) + 1


def _lines(x: Tensor, windows: Windows) -> Iterator[tuple[slice, Tensor]]:
    """Lay out the lines that each piece of an output line reads, chunk by chunk: [C, pieces, lines·K]."""
    (band, cuts, K), counts, buffer = _cut(x, windows), windows.output_size(x.shape[2:]), Buffer(x)
    reach = windows.stride[-1] * band * (cuts - 1) + K  # behind the last piece
    before, after = windows.pads[-1]
    pads = (*windows.pads[:-1], (before, max(after, reach - before - x.shape[-1])))
    elements = math.prod(counts[:-1]) * math.prod(windows.kernel[:-1]) * cuts * K * x.shape[1]
    for chunk, image in framed(x, windows._replace(pads=pads), elements, last=False):
        batch, channel, *above, _ = image.stride()
        steps = [stride * s for stride, s in zip(above, windows.stride[:-1], strict=True)]
        spaces = [stride * d for stride, d in zip(above, windows.dilation[:-1], strict=True)]
        shape = (x.shape[1], image.shape[0], *counts[:-1], cuts, *windows.kernel[:-1], K)
        view = image.as_strided(shape, (channel, batch, *steps, windows.stride[-1] * band, *spaces, 1))
        rows = image.shape[0] * math.prod(counts[:-1]) * cuts
        yield chunk, buffer.copied(view).view(x.shape[1], rows, math.prod(windows.kernel[:-1]) * K)


_ALGORITHM = Bilinear(_forward, _input_gradient, _weight_gradient)
