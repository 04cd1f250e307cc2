"""Convolution as multiplication of spectra: the cost does not grow with the kernel.

The discrete Fourier transform F turns circular correlation, which wraps around at the edges, into multiplication:

    F(y) = F(x) · conj(F(w))        so that        y = F⁻¹(F(x) · conj(F(w)))

With the image padded as the convolution asks, and the kernel padded with zeros to that size, no window that counts
wraps around, and the two correlations agree. Each spectrum is used for many pairs of channels, so the transforms are
few, and the sums over channels are matrix products, one for each frequency f:

    Y_f = X_f · W_fᴴ      [N, C] · [C, O]

The gradients are such products too: ∂X_f = ∂Y_f · W_f, and ∂W_f = ∂Y_fᴴ · X_f. A dilated kernel is one with zeros
between its elements; of a strided convolution every output is computed, and those that the stride skips are dropped.

Every frequency depends on every place, so an infinite or NaN input element makes the whole output image NaN, where the
definition and torch.nn spread it only to the windows that touch it.

References: Mathieu, Henaff & LeCun 2013, "Fast Training of Convolutional Networks through FFTs", arXiv:1312.5851;
Cooley & Tukey 1965, doi:10.1090/S0025-5718-1965-0178586-1.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from minimodels.functional.conv import definition, im2col
from minimodels.functional.conv.bilinear import Bilinear
from minimodels.functional.padding import pad
from minimodels.functional.precision import accumulator
from minimodels.shapes import Windows, effective_kernel_size
from minimodels.tap import listened

WHOLE = (slice(None), slice(None))
"""All images and all channels."""


def convolve(x: Tensor, w: Tensor, bias: Tensor | None, windows: Windows) -> Tensor:
    """Correlate the input with the kernel: the operation of definition.py, by way of the frequencies.

    Args:
        x: the input.
        w: the kernel.
        bias: one number per output channel, or None.
        windows: stride, padding, dilation and groups.

    Shape:
        - x: [N, C, *size]; w: [O, C/groups, *kernel]; bias: [O]
        - Output: [N, O, *counts]

    Raises:
        RuntimeError: the input is not floating-point.

    Cost: with S places of the padded input (each size rounded up to a product of 2, 3 and 5),
        4·N·O·(C/groups)·S/2 multiply-adds for the products, whatever the kernel, and about 2.5·S·log₂ S for each of
        N·C + O·C/groups + N·O transforms. Beyond input and output their spectra, each of about 4·S bytes in float32,
        and copies of them for the products. 16-bit numbers are computed with in float32.

    See: definition.py, im2col.py (which serves while a tap is listened to); tests/functional/test_conv.py.

    Example:
        >>> windows = Windows(kernel=(2,), stride=(1,), pads=((0, 0),), dilation=(1,), groups=1)
        >>> convolve(torch.tensor([[[1.0, 2.0, 4.0]]]), torch.tensor([[[-1.0, 1.0]]]), None, windows).round()
        tensor([[[1., 2.]]])
    """
    if not x.is_floating_point():
        raise RuntimeError(f"fft convolution takes real numbers, but got {x.dtype}")
    if listened():
        return im2col.convolve(x, w, bias, windows)
    if 0 in x.shape or 0 in w.shape:  # no transform takes nothing
        return definition.convolve(x, w, bias, windows)
    return _ALGORITHM.convolve(x, w, bias, windows)


def _forward(x: Tensor, w: Tensor, bias: Tensor | None, windows: Windows) -> Tensor:
    """Multiply spectra, go back, and keep the places that the stride leaves."""
    size, dims = tuple(x.shape[2:]), x.ndim - 2
    grid = _grid(windows, size)
    X, W = _spectrum(_laid_out(x, windows), windows.groups, grid), _kernel_spectrum(w, windows, grid)
    y = _back(X @ W.mH, grid)  # [N, O, *grid]
    y = y[(*WHOLE, *windows.met_by((0,) * dims, windows.output_size(size)))]
    return (y if bias is None else y + bias.view(-1, *[1] * dims)).to(x.dtype).contiguous()


def _input_gradient(gradient: Tensor, w: Tensor, size: tuple[int, ...], windows: Windows) -> Tensor:
    """Multiply the spectra of ∂y and of the kernel: ∂x[s·p + d·i] += w[i] · ∂y[p]."""
    grid = _grid(windows, size)
    dY, W = _spectrum(_spread(gradient, windows, grid), windows.groups, grid), _kernel_spectrum(w, windows, grid)
    return _back(dY @ W, grid)[(*WHOLE, *windows.inside(size))].contiguous().to(w.dtype)


def _weight_gradient(x: Tensor, gradient: Tensor, windows: Windows) -> Tensor:
    """Multiply the spectra of ∂y and of the input, and keep the places that the kernel has elements at."""
    size = tuple(x.shape[2:])
    grid = _grid(windows, size)
    X = _spectrum(_laid_out(x, windows), windows.groups, grid)
    dY = _spectrum(_spread(gradient, windows, grid), windows.groups, grid)
    dW = _back((dY.mH @ X), grid)  # [O/G, C, *grid], the groups side by side
    dW = dW.unflatten(1, (windows.groups, -1)).transpose(0, 1).flatten(0, 1)  # [O, C/G, *grid]
    kept = tuple(slice(0, d * (k - 1) + 1, d) for k, d in zip(windows.kernel, windows.dilation, strict=True))
    return cast(Tensor, dW[(*WHOLE, *kept)]).contiguous().to(x.dtype)


def _grid(windows: Windows, size: tuple[int, ...]) -> tuple[int, ...]:
    """Give the size of the transforms: the padded input, rounded up to where a fast transform is fast."""
    return tuple(map(_smooth, windows.padded(size)))


def _smooth(n: int) -> int:
    """Round up to a product of powers of 2, 3 and 5."""
    while True:
        rest = n
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return n
        n += 1


def _laid_out(x: Tensor, windows: Windows) -> Tensor:
    """Pad the input in front; what follows it up to the grid's end is zero too."""
    return pad(x, [size for before, _ in reversed(windows.pads) for size in (before, 0)])


def _spread(gradient: Tensor, windows: Windows, grid: Sequence[int]) -> Tensor:
    """Put the gradient where the stride had taken the output from."""
    counts = tuple(gradient.shape[2:])
    spread = gradient.new_zeros(*gradient.shape[:2], *grid)
    spread[(*WHOLE, *windows.met_by((0,) * len(counts), counts))] = gradient
    return spread


def _kernel_spectrum(w: Tensor, windows: Windows, grid: Sequence[int]) -> Tensor:
    """Spread a dilated kernel and transform it, [*frequencies, G, O/G, C/G]."""
    spans = [effective_kernel_size(k, d) for k, d in zip(windows.kernel, windows.dilation, strict=True)]
    if any(d != 1 for d in windows.dilation):
        spread = w.new_zeros(*w.shape[:2], *spans)
        spread[(*WHOLE, *(slice(None, None, d) for d in windows.dilation))] = w
        w = spread
    kernels = w.unflatten(0, (windows.groups, -1)).transpose(0, 1).flatten(1, 2)  # [O/G, G·C/G, *kernel]
    return _spectrum(kernels, windows.groups, grid)


def _spectrum(x: Tensor, groups: int, grid: Sequence[int]) -> Tensor:
    """Transform [rows, G·columns, *size] to [*frequencies, G, rows, columns]: a matrix for each frequency and group."""
    dims = tuple(range(2, x.ndim))
    x = x.unflatten(1, (groups, -1)).to(accumulator(x.dtype))  # [rows, G, columns, *size]
    spectrum = cast(Tensor, torch.fft.rfftn(x, s=tuple(grid), dim=tuple(d + 1 for d in dims)))
    return spectrum.permute(*(d + 1 for d in dims), 1, 0, 2)


def _back(spectrum: Tensor, grid: Sequence[int]) -> Tensor:
    """Transform [*frequencies, G, rows, columns] back to [rows, G·columns, *grid]."""
    *frequencies, groups, rows, columns = range(spectrum.ndim)
    spectrum = spectrum.permute(rows, groups, columns, *frequencies)
    x = cast(Tensor, torch.fft.irfftn(spectrum, s=tuple(grid), dim=tuple(range(3, spectrum.ndim))))
    return x.flatten(1, 2)


_ALGORITHM = Bilinear(_forward, _input_gradient, _weight_gradient)
