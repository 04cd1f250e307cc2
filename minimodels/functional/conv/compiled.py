"""Convolution as a compiler likes it: few products, and nothing between them but one loop each.

    windows [N·counts, kernel·C]  ×  kernels [O, kernel·C]ᵀ  =  output [N·counts, O]

It is im2col with the channels last, as in rows.py, without what eager operations need: no lent memory, no sums in
place, and chunks only of what is large. A compiler fuses the padding, the bias and what stands around the layer with
the copies. The gradient of the input is one product as well, which gives the gradients of all rows, and one loop in
which every input element gathers the shares of the windows that read it; the correlation with the mirrored kernel,
which eager code prefers, would first copy as many numbers for each element of the input.

References: Chellapilla, Puri & Simard 2006, "High performance convolutional neural networks for document processing".
"""

import functools
import math
import operator

import torch
from torch import Tensor

from minimodels.functional.conv import rows
from minimodels.functional.conv.bilinear import Bilinear
from minimodels.functional.precision import accumulator
from minimodels.shapes import Windows

CHUNK = 1 << 23
"""Bytes of windows at a time on a CPU.

Compiled, two threads of an Intel Xeon, the whole batch at once and in chunks, milliseconds forward and with backward,
and the peak of memory: 8x64x56x56, 3x3, 24.8 and 11.2, 59 and 34, 65 and 26 MB.
"""

SHORT = 32
"""Numbers in a line of the kernel, over its channels, from which the kernel's gradient is summed line by line."""

MOST = 8
"""Chunks at most: a compiler takes each for itself."""


def convolve(x: Tensor, w: Tensor, bias: Tensor | None, windows: Windows) -> Tensor:
    """Correlate the input with the kernel: the operation of definition.py, in a form for compiled code.

    Args:
        x: the input.
        w: the kernel.
        bias: one number per output channel, or None.
        windows: stride, padding, dilation and groups.

    Shape:
        - x: [N, C, *size]; w: [O, C/groups, *kernel]; bias: [O]
        - Output: [N, O, *counts]

    Cost: as many multiply-adds as the definition; beyond input and output, `CHUNK` bytes of windows (or an
        eighth of them where that is more, and all where the batch's size is open); forward they are not kept.

    See: im2col.py, its eager twin; tests/functional/test_conv_compiled.py.

    Example:
        >>> windows = Windows(kernel=(2,), stride=(1,), pads=((0, 0),), dilation=(1,), groups=1)
        >>> convolve(torch.tensor([[[1.0, 2.0, 4.0]]]), torch.tensor([[[-1.0, 1.0]]]), None, windows)
        tensor([[[1., 2.]]])
    """
    return _ALGORITHM.convolve(x, w, bias, windows)


def _forward(x: Tensor, w: Tensor, bias: Tensor | None, windows: Windows) -> Tensor:
    """Multiply all windows with the kernels; the bias is left to the loop behind, but for 16 bits, which round once."""
    fused = bias is not None and accumulator(x.dtype) is not x.dtype
    view, kernels = _windows(x, windows), rows.kernel_rows(w, windows.groups)  # [G, N, *counts, *kernel, C/G]
    parts = []
    for chunk in _chunks(x, math.prod(view.shape[2:])):
        part = view[:, chunk].reshape(windows.groups, -1, kernels.shape[2])  # [G, L, kernel·C/G]
        parts.append(rows.grouped_product(part, kernels, bias if fused else None))  # [G, L, O/G]
    y = _joined(parts, 1).transpose(0, 1).reshape(x.shape[0], *windows.output_size(x.shape[2:]), w.shape[0])
    return (y if bias is None or fused else y + bias).movedim(-1, 1)


def _input_gradient(gradient: Tensor, w: Tensor, size: tuple[int, ...], windows: Windows) -> Tensor:
    """Form every row's gradient, and let each input element gather its shares: col2im without a scatter."""
    groups, inputs, counts = windows.groups, w.shape[1], gradient.shape[2:]
    kernels, wide, parts = rows.kernel_rows(w, groups).mT, accumulator(gradient.dtype), []
    for chunk in _chunks(gradient, math.prod(counts) * groups * kernels.shape[1]):
        part = gradient[chunk]
        flat = rows.grouped_product(_as_matrices(part, groups), kernels, None)  # [G, L, kernel·C/G]
        shares = flat.view(groups, part.shape[0], *counts, math.prod(windows.kernel), inputs).movedim(0, -2)
        placed = [
            _placed(share.to(wide), windows.padded(size), windows.met_by(i, counts))
            for i, share in zip(windows.elements(), shares.unbind(-3), strict=True)
        ]
        parts.append(functools.reduce(operator.add, placed)[(slice(None), *windows.inside(size))])
    return _joined(parts, 0).flatten(-2).movedim(-1, 1).to(gradient.dtype)  # [N, *size, G, C/G] before


def _weight_gradient(x: Tensor, gradient: Tensor, windows: Windows) -> Tensor:
    """Multiply the outputs' gradients with the windows that they came from, one line of the kernel after the other.

    Were these rows those of the forward pass, a compiler would keep them from there: as many times more numbers than
    the input has as the kernel has elements. Where a line is short that is little, and products of lines are slow.
    """
    view, groups, first = _windows(x, windows), windows.groups, 2 + len(windows.kernel)
    long = math.prod(view.shape[first + 1 :]) >= SHORT
    sums = []
    for line in view.unbind(first) if long else (view,):  # [G, N, *counts, *kernel[1:], C/G], or with all the kernel
        shares = []
        for chunk in _chunks(x, math.prod(line.shape[2:])):
            part = line[:, chunk].flatten(first).flatten(1, -2)  # [G, L, line·C/G]
            flat = _as_matrices(gradient[chunk], groups)  # [G, L, O/G]
            shares.append(rows.grouped_product(flat.mT, part.mT, None).to(accumulator(x.dtype)))  # [G, O/G, line·C/G]
        sums.append(functools.reduce(operator.add, shares))
    total = torch.stack(sums, 2).reshape(gradient.shape[1], *windows.kernel, -1)
    return total.to(x.dtype).movedim(-1, 1).contiguous()


def _chunks(x: Tensor, elements: int) -> list[slice]:
    """Cut a batch where its windows would be much fresh memory, a page fault every 4 KiB: that of a chunk serves all.

    Only comparisons are made with a batch's size, which may be open: a graph then serves a range of them. An exported
    program serves all.
    """
    batch, count = x.shape[0], 1
    if not x.is_cpu or torch.compiler.is_exporting():
        return [slice(None)]
    while count < MOST and 2 * count <= batch and batch * elements * x.dtype.itemsize > count * CHUNK:
        count *= 2
    return [slice(batch * i // count, batch * (i + 1) // count) for i in range(count)] if count > 1 else [slice(None)]


def _joined(parts: list[Tensor], dim: int) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim)


def _windows(x: Tensor, windows: Windows) -> Tensor:
    """See all windows at once, [G, N, *counts, *kernel, C/G]: strides make the overlap, not copies.

    Strides are reckoned here and not asked for: of a tensor whose strides a backward pass asks for, a compiler first
    makes a copy with the channels in front.
    """
    size, (batch, channels) = windows.padded(x.shape[2:]), x.shape[:2]
    image = x.movedim(1, -1)
    if any(map(any, windows.pads)):
        image = x.new_zeros(batch, *size, channels)
        image[(slice(None), *windows.inside(x.shape[2:]))] = x.movedim(1, -1)
    lines = [math.prod(size[axis + 1 :]) * channels for axis in range(len(size))]  # from one element to the next
    steps = [line * stride for line, stride in zip(lines, windows.stride, strict=True)]
    spaces = [line * space for line, space in zip(lines, windows.dilation, strict=True)]
    inputs = channels // windows.groups
    shape = (windows.groups, batch, *windows.output_size(x.shape[2:]), *windows.kernel, inputs)
    return image.contiguous().as_strided(shape, (inputs, math.prod(size) * channels, *steps, *spaces, 1))


def _placed(share: Tensor, size: tuple[int, ...], places: tuple[slice, ...]) -> Tensor:
    """Put one kernel element's share [N, *counts, G, C/G] where the element was read; elsewhere is nothing."""
    x = share.new_zeros(share.shape[0], *size, *share.shape[-2:])
    x[(slice(None), *places)] = share
    return x


def _as_matrices(gradient: Tensor, groups: int) -> Tensor:
    """See ∂y as a matrix for each group, a row for each window, [G, L, O/G]."""
    return gradient.movedim(1, -1).reshape(-1, groups, gradient.shape[1] // groups).transpose(0, 1)


_ALGORITHM = Bilinear(_forward, _input_gradient, _weight_gradient)
