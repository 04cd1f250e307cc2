"""Which algorithm of convolution serves which shapes.

The rules look at shapes, types and where the numbers lie, never at the numbers themselves and never at a clock, so
that two runs give the same bits. They were set on an Intel Xeon with AVX-512 and AMX, on one thread and on two, by the
times below; `python -m benchmarks algorithms` measures them again.
"""

import functools
import math
from collections.abc import Callable

import torch
from torch import Tensor

from minimodels.functional.conv import bands, compiled, definition, fft, im2col, planes, shifts, winograd
from minimodels.functional.matmul import bfloat16_is_fast
from minimodels.functional.precision import accumulator
from minimodels.functional.transforms import steps_aside
from minimodels.shapes import Windows
from minimodels.tap import listened

LARGE_ENOUGH = 9
"""Elements of a depthwise kernel from which bands serve; see `_bands`."""

FEW, SHORTEST, SHORT = 1 << 12, 8, 20
"""Outputs of an image and of a line up to which they do in float32; the last where planes.py does not serve."""


def convolve(x: Tensor, w: Tensor, bias: Tensor | None, windows: Windows) -> Tensor:
    """Correlate the input with the kernel by the algorithm that is the fastest for these shapes.

    An infinite or NaN input element spreads to whole tiles (Winograd) or to the whole image (FFT), where the definition
    and torch.nn spread it only to the windows that touch it.

    Args:
        x: the input.
        w: the kernel.
        bias: one number per output channel, or None.
        windows: stride, padding, dilation and groups.

    Shape:
        - x: [N, C, *size]; w: [O, C/groups, *kernel]; bias: [O]
        - Output: [N, O, *counts]

    See: the files beside this one; tests/functional/test_conv.py.

    Example:
        >>> import torch
        >>> windows = Windows(kernel=(2,), stride=(1,), pads=((0, 0),), dilation=(1,), groups=1)
        >>> convolve(torch.tensor([[[1.0, 2.0, 4.0]]]), torch.tensor([[[-1.0, 1.0]]]), None, windows)
        tensor([[[1., 2.]]])
    """
    return ALGORITHMS[choose(x, w, windows)](x, w, bias, windows)


def choose(x: Tensor, w: Tensor, windows: Windows) -> str:
    """Name the algorithm for a convolution.

    Args:
        x: the input, [N, C, *size].
        w: the kernel, [O, C/groups, *kernel].
        windows: stride, padding, dilation and groups.

    Returns:
        A key of `ALGORITHMS`.

    Example:
        >>> choose(torch.ones(8, 3, 32, 32), torch.ones(16, 3, 5, 5), Windows((5, 5), (1, 1), ((0, 0),) * 2, (1, 1), 1))
        'im2col'
    """
    if not x.is_floating_point() or w.shape[1] == 0 or steps_aside(x, w):
        return "definition"
    if listened():  # depthwise too: the patches are what there is to see
        return "im2col"
    if windows.groups > 1 and w.shape[1] == 1:
        return "bands" if _bands(x, w, windows) else "shifts"
    if torch.compiler.is_compiling():
        return "compiled"
    if x.is_cpu and _spectra_pay(w, windows):  # on other devices nothing was measured
        return "fft"
    return _winograd(x, w, windows) if x.is_cpu else "im2col"


def _bands(x: Tensor, w: Tensor, windows: Windows) -> bool:
    """Say where products make up for multiplying with zeros: in small images, and in bfloat16 where there are units.

    Milliseconds in bfloat16 on one thread of an Intel Xeon with AMX, 8x64x56x56, 3x3: forward 5.7 by bands and 10.9 by
    shifts, the kernel's gradient 4.0 and 16.6. In float32 on two threads, forward and backward, by bands and by planes,
    with how many numbers an image has, and at the end by bands and by shifts, where planes do not serve:

        256x8x14x14    1568    4.1  7.3        64x64x7x7      3136   2.9  6.1       64x512x7x7    25088  15.5 26.0
        256x8x20x20    3200    6.9  8.8        64x64x9x9      5184   3.5  4.0       64x128x10x10  12800   8.1  7.2
        256x4x28x28    3136    6.6  8.3        64x32x14x14    6272   3.7  3.9       64x64x14x14   12544   6.0  5.9
        256x6x28x28    4704   10.0 10.3        256x8x28x28    6272  14.2 14.4       64x32x20x20   12800   6.9  6.1
        64x8x400, 9    3200    1.9  2.4        64x32x28x28   25088  13.2 10.3       8x64x56x56   200704  17.8  8.7
        64x64x14x14, 7x7      13.6 29.8        64x128x7x7, 5x5       7.0 20.2
    """
    if torch.compiler.is_compiling() or not x.is_cpu or w.ndim > 4 or w[0].numel() < LARGE_ENOUGH:
        return False
    if x.dtype is torch.float32:
        counts = windows.output_size(x.shape[2:])
        short = counts[-1] <= (SHORTEST if planes.serves(x, windows) else SHORT)
        return short or x.shape[1] * math.prod(counts) <= FEW
    return x.dtype is torch.bfloat16 and bfloat16_is_fast()


def _winograd(x: Tensor, w: Tensor, windows: Windows) -> str:
    """Say where fewer multiplications make up for the transforms: with many channels, on images that fill the tiles.

    Time of F(2x2) and F(4x4) relative to im2col, forward and with backward, on one thread (images, size, channels):

        8, 7x7, 128      1.08 1.16   1.31 1.25        8, 28x28, 64     1.25 1.21   0.99 0.96
        8, 14x14, 64     1.13 1.04   1.42 1.19        8, 28x28, 128    0.89 0.80   0.68 0.71
        8, 14x14, 128    0.90 0.86   1.01 0.87        4, 56x56, 32     1.06 1.18   0.97 1.09
        8, 14x14, 256    0.96 0.79   1.03 0.87        4, 56x56, 64     0.98 0.88   0.82 0.77
        32, 14x14, 128   0.91 0.94   0.89 0.90        1, 56x56, 128    0.92 0.76   0.70 0.62

    On two threads, with columns, forward and with backward together: 0.76 by F(4x4) for 8, 56x56, 64, and 0.68 by
    F(2x2) for 8, 14x14, 256. An AMD EPYC with oneDNN's product had the same order: F(4x4) first for 64 channels of
    56x56, F(2x2) for 256 of 14x14. In float32 alone: F(4x4) rounds three times as much as im2col, two millionths of the
    largest output. Nobody asks for float64 in order to lose digits, and 16-bit numbers would have to be multiplied in
    float32.
    """
    if x.dtype is not torch.float32 or not winograd.serves(x, windows):
        return "im2col"
    channels, side = min(w.shape[:2]), min(windows.output_size(x.shape[2:]))
    if channels >= 64 and side >= 28:
        return "winograd F(4x4)"
    return "winograd F(2x2)" if channels >= 128 and side >= 14 else "im2col"


def _spectra_pay(w: Tensor, windows: Windows) -> bool:
    """Say where a kernel is so large that its spectrum is cheaper, and channels so few that all spectra stay small.

    Time of fft relative to im2col, forward and with backward, on one thread, by kernel (images, size, channels):

                              7x7         9x9        11x11       15x15
        8, 32x32, 16       1.27 1.22   0.73 0.69   0.66 0.60   0.23 0.24
        1, 64x64, 16       1.41 1.46   0.84 0.96   0.75 0.85   0.23 0.24
        8, 64x64, 3 to 32  2.95 0.72   1.86 0.41   1.41 0.36   0.73 0.18
        8, 14x14, 32       2.11 1.67   1.20 1.14   0.86 0.78   0.65 0.61
        8, 28x28, 64       2.61 1.84   1.30 1.08   1.01 0.95   0.91 0.72

    On two threads, since im2col reads columns: 8, 32x32, 16 with 11x11 1.60 and 2.10, with 15x15 1.25 and 0.96.
    """
    large = len(windows.kernel) == 2 and min(windows.kernel) >= 15 and max(windows.stride) == 1
    return large and w.shape[0] * w.shape[1] <= 1024 and w.dtype in (torch.float32, torch.float64)


def _wide_definition(x: Tensor, w: Tensor, bias: Tensor | None, windows: Windows) -> Tensor:
    """Sum over kernel elements, for 16-bit numbers in float32, as a matrix product does inside."""
    wide = accumulator(x.dtype)
    wide_bias = None if bias is None else bias.to(wide)
    return definition.convolve(x.to(wide), w.to(wide), wide_bias, windows).to(x.dtype)


ALGORITHMS: dict[str, Callable[[Tensor, Tensor, Tensor | None, Windows], Tensor]] = {
    "definition": _wide_definition,
    "im2col": im2col.convolve,
    "compiled": compiled.convolve,
    "winograd F(2x2)": winograd.convolve,
    "winograd F(4x4)": functools.partial(winograd.convolve, tile=4),
    "fft": fft.convolve,
    "shifts": shifts.convolve,
    "bands": bands.convolve,
}
"""All of them by name."""
