"""Depthwise convolution by bands (bands.py) where lines are short enough to be multiplied whole: nothing is copied.

With the images of one channel stacked, neighbouring lines lie one behind the other in memory, and the k₀ lines that an
output line reads are one run of numbers. Those of output lines k₀ apart do not overlap: a class of them is a matrix,

    class r:  output lines r, r + k₀, …  [lines/k₀, B]  =  strips [lines/k₀, k₀·K]  ×  T [k₀·K, B]

with the matrix T of bands.py, which has the kernel on its diagonals, K numbers in a padded line and B in one of the
output. In the kernel's gradient the sum goes over the lines of all images, ∂y turned around:

    T_i  =  ∂y [B, lines]  ×  input, from line i on [lines, K]        ∂w[i, j] = Σ_q T_i[q, s·q + d·j]
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from minimodels.functional.conv.frame import chunks
from minimodels.functional.precision import accumulator
from minimodels.shapes import Windows

SHORT, WHOLE = 12, 64
"""Outputs of a line from which it pays, and up to which it is multiplied whole."""


def serves(x: Tensor, windows: Windows) -> bool:
    """Say whether these are images with short lines, whose kernel the stride divides and which leaves no lines out.

    Milliseconds on two threads of an Intel Xeon with AMX, 3x3, by copied lines and so:

                        bfloat16, forward    ∂w             float32, forward     ∂w
        8x64x56x56            1.91 1.45      3.25 1.74           (by planes.py)
        8x128x28x28           1.03 0.88      1.44 1.00
        64x64x14x14           1.12 1.12      1.25 1.07           1.78 1.74       1.63 1.48
        64x32x13x13           0.56 0.55      0.61 0.55           0.89 0.70       0.79 0.63
        256x8x28x28           1.66 1.31      1.97 1.61           4.39 2.75       3.41 3.06
        64x512x8x8            3.87 4.29      3.94 3.80
        8x64x56x56, 7x7       4.58 3.85      10.2 3.70

    Args:
        x: the input.
        windows: stride, padding and dilation; as many groups as channels.
    """
    return (
        x.ndim == 4
        and windows.dilation[0] == 1
        and windows.kernel[0] % windows.stride[0] == 0
        and SHORT <= windows.output_size(x.shape[2:])[1] <= WHOLE
    )


def forward(x: Tensor, w: Tensor, bias: Tensor | None, windows: Windows) -> Tensor:
    """Multiply each class of strips with the matrices.

    Args:
        x: the input.
        w: the kernels, O/C of them a channel.
        bias: one number per output channel, or None.
        windows: stride, padding and dilation, for which it serves.

    Shape:
        - x: [N, C, H, W]; w: [O, 1, *kernel]; bias: [O]
        - Output: [N, O, *counts]
    """
    batch, channels, (lines, line) = x.shape[0], x.shape[1], windows.output_size(x.shape[2:])
    height, width = _size(x, windows)
    (above, reach), each = windows.kernel, w.shape[0] // channels
    kernels = w.view(channels, each, above, reach)
    T = w.new_zeros(channels, above, width, each, line)
    for j in range(reach):
        diagonal(T.movedim(3, 1), j, windows).copy_(kernels[..., j : j + 1])
    T = T.view(channels, above * width, each * line)
    start = None if bias is None else bias.view(channels, 1, each, 1).expand(-1, -1, -1, line).flatten(2)
    y, classes = x.new_empty(batch, channels, each, lines, line), above // windows.stride[0]
    for chunk, memory in _stacked(x, windows):
        shape = (chunk.stop - chunk.start, 1 + batch * height // above, above * width)
        for r in range(min(classes, lines)):
            strips = memory.as_strided(shape, (shape[1] * shape[2], shape[2], 1), r * windows.stride[0] * width)
            products = torch.bmm(strips, T[chunk]) if start is None else torch.baddbmm(start[chunk], strips, T[chunk])
            part = y[:, chunk, :, r::classes]
            products = products[:, 1:].unflatten(1, (batch, -1)).unflatten(-1, (each, line))[:, :, : part.shape[3]]
            part.copy_(products.permute(1, 0, 3, 2, 4))
    return y.flatten(1, 2)


def weight_gradient(x: Tensor, gradient: Tensor, windows: Windows) -> Tensor:
    """Multiply ∂y, turned around, with the lines that each line of the kernel meets, and sum along the diagonals.

    Args:
        x: the input.
        gradient: ∂y.
        windows: those of the convolution, for which it serves.

    Shape:
        - x: [N, C, H, W]; gradient: [N, O, *counts]
        - Output: [O, 1, *kernel]
    """
    channels, (lines, line) = x.shape[1], gradient.shape[2:]
    (height, width), (above, reach), stride = _size(x, windows), windows.kernel, windows.stride[0]
    upstream = gradient.unflatten(1, (channels, -1))  # [N, C, O/C, lines, line]
    w = x.new_empty(channels, upstream.shape[2], above, reach)
    for chunk, memory in _stacked(x, windows):
        number, rows = chunk.stop - chunk.start, above + x.shape[0] * height
        turned = x.new_zeros(number, upstream.shape[2], line, rows)
        images = turned[..., above:].unflatten(-1, (x.shape[0], height))
        images[..., : stride * lines : stride] = upstream[:, chunk].permute(1, 2, 4, 0, 3)
        turned = turned.flatten(1, 2)
        for i in range(above):
            met = memory.as_strided((number, rows, width), (rows * width, width, 1), i * width)
            T = torch.bmm(turned, met).view(number, -1, line, width).mT
            for j in range(reach):
                w[chunk, :, i, j] = diagonal(T, j, windows).sum(-1, dtype=accumulator(x.dtype))
    return w.view(-1, 1, above, reach)


def diagonal(T: Tensor, j: int, windows: Windows) -> Tensor:
    """See where matrices hold element j of a line of the kernel: T[s·q + d·j, q] for all q.

    Args:
        T: the matrices, [*, K, B].
        j: a place in a line of the kernel.
        windows: stride and dilation.
    """
    *outer, row, column = T.stride()
    start = T.storage_offset() + j * windows.dilation[-1] * row
    return T.as_strided((*T.shape[:-2], T.shape[-1]), (*outer, windows.stride[-1] * row + column), start)


def _size(x: Tensor, windows: Windows) -> tuple[int, int]:
    """Give the size of an image with zeros around it, as many lines as a multiple of the kernel's."""
    height, width = windows.padded(x.shape[2:])
    return -(-height // windows.kernel[0]) * windows.kernel[0], width


def _stacked(x: Tensor, windows: Windows) -> Iterator[tuple[slice, Tensor]]:
    """Stack the images of each channel, zeros around them, some channels at a time: which, and the stacks.

    They are a run of numbers, [C, k₀ + N·height, width]. Before those of a channel, and behind the last, there are as
    many lines of zeros as the kernel has: what is read beyond a channel is nothing of the next one, where a number may
    be infinite.
    """
    height, width = _size(x, windows)
    before = windows.kernel[0] * width
    plane, memory = before + x.shape[0] * height * width, x.new_empty(0)
    for chunk in chunks(x.transpose(0, 1), plane):
        number = chunk.stop - chunk.start
        if memory.numel() == 0:
            memory = x.new_zeros(number * plane + before)
        frame = memory[: number * plane].view(number, plane)[:, before:].unflatten(1, (x.shape[0], height, width))
        frame[(slice(None), slice(None), *windows.inside(x.shape[2:]))] = x[:, chunk].transpose(0, 1)
        yield chunk, memory
