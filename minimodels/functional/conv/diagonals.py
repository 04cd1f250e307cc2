"""The kernel's gradient of a depthwise convolution at stride 1, as products of lines with lines.

Lines of the input times lines of ∂y, summed over the lines by a product, have on their diagonals what one element of
the kernel has met:

    T[u, q] = Σ_h x[h + i, u] · ∂y[h, q]      ∂w[i, j] = Σ_q T[q + j, q]

Beside the diagonals stands what nobody asked for, many times as much. A product has it all in less time than a sum over
memory for each element of the kernel takes. Nothing is copied: shifted lines are views, and where the kernel reaches
beyond the image there is nothing to multiply.
"""

import torch
from torch import Tensor

from minimodels.functional.precision import accumulator
from minimodels.shapes import Windows

PIECE = 32
"""Numbers of a line of ∂y at most that one product meets: longer lines are cut, for less beside the diagonals.

Milliseconds for 8x64x56x56, 3x3, on two threads of an Intel Xeon, lines whole, in two and in four: 2.9, 2.3, 2.4.
"""


def serves(x: Tensor, outputs: int, windows: Windows) -> bool:
    """Say whether these are images on a CPU, with one kernel a channel, at stride 1.

    Milliseconds on two threads of an Intel Xeon, 3x3 in float32, by sums over flat planes (planes.py) and so:
    8x32x112x112 9.5 and 6.0, 8x64x56x56 4.2 and 2.3, 64x32x28x28 10.4 and 2.8,
    64x64x14x14 8.4 and 2.4, 64x32x7x7 6.0 and 2.2.

    Args:
        x: the input.
        outputs: how many output channels.
        windows: stride, padding, dilation and groups.
    """
    return x.is_cpu and x.ndim == 4 and outputs == x.shape[1] and max(windows.stride) == 1


def weight_gradient(x: Tensor, gradient: Tensor, windows: Windows) -> Tensor:
    """Multiply lines with lines, and sum along the diagonals; 16-bit numbers in float32.

    Args:
        x: the input.
        gradient: ∂y.
        windows: those of the convolution.

    Shape:
        - x: [N, C, H, W]; gradient: [N, C, *counts]
        - Output: [C, 1, *kernel]
    """
    dtype, wide = x.dtype, accumulator(x.dtype)
    size, counts = tuple(x.shape[2:]), tuple(gradient.shape[2:])
    shared = [windows.shared_by((i, 0), size, counts) for i in range(windows.kernel[0])]
    lines = [(read[0], written[0]) for read, written in shared]
    step, before = windows.dilation[1], windows.pads[1][0]  # element j of output q reads input q + step·j − before
    x, gradient = x.to(wide).transpose(2, 3), gradient.to(wide)
    met, sums = [], []
    for start in range(0, counts[1], PIECE):
        stop = min(start + PIECE, counts[1])
        first, last = (max(0, min(size[1], place - before)) for place in (start, stop + step * (windows.kernel[1] - 1)))
        sums.append((first - start + before, x.new_zeros(windows.kernel[0], x.shape[1], last - first, stop - start)))
        met += [(x[:, :, first:last, read], gradient[:, :, written, start:stop]) for read, written in lines]
    totals = [T_i for _, T in sums for T_i in T]
    for n in range(x.shape[0]):  # all that an image is part of, while it is in the cache
        for T_i, (columns, upstream) in zip(totals, met, strict=True):
            torch.baddbmm(T_i, columns[n], upstream[n], out=T_i)
    w = x.new_zeros(*windows.kernel, x.shape[1])
    for shift, T in sums:
        for j in range(windows.kernel[1]):
            w[:, j] += T.diagonal(shift - step * j, 2, 3).sum(-1)
    return w.movedim(-1, 0).unsqueeze(1).to(dtype)
