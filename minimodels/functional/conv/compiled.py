"""Convolution as a compiler likes it: the whole batch at once, and nothing between the products but one loop each.

    windows [N·counts, kernel·C]  ×  kernels [O, kernel·C]ᵀ  =  output [N·counts, O]

It is im2col with the channels last, as in rows.py, without what eager operations need: no chunks, no lent memory, no
sums in place. A compiler fuses the padding, the bias and what stands around the layer with the copies. The gradient of
the input is one product as well, the gradients of all windows' rows, and one loop in which every input element gathers
the shares of the windows that read it. There the correlation with the mirrored kernel, which eager code prefers, would
copy as many numbers for each element of the input as this reads.

References: Chellapilla, Puri & Simard 2006, "High performance convolutional neural networks for document processing".
"""

import functools
import math
import operator

from torch import Tensor

from minimodels.functional.conv import rows
from minimodels.functional.conv.bilinear import Bilinear
from minimodels.functional.precision import accumulator
from minimodels.shapes import Windows


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

    Cost: as many multiply-adds as the definition; beyond input and output, the windows of the whole batch.

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
    kernels = rows.kernel_rows(w, windows.groups)  # [G, O/G, kernel·C/G]
    flat = rows.grouped_product(_rows(x, windows), kernels, bias if fused else None)  # [G, L, O/G]
    y = flat.transpose(0, 1).reshape(x.shape[0], *windows.output_size(x.shape[2:]), w.shape[0])
    return (y if bias is None or fused else y + bias).movedim(-1, 1)


def _input_gradient(gradient: Tensor, w: Tensor, size: tuple[int, ...], windows: Windows) -> Tensor:
    """Form every row's gradient, and let each input element gather its shares: col2im without a scatter."""
    groups, inputs, counts = windows.groups, w.shape[1], gradient.shape[2:]
    flat = _as_matrices(gradient, groups)  # [G, L, O/G]
    shares = rows.grouped_product(flat, rows.kernel_rows(w, groups).mT, None)  # [G, L, kernel·C/G]
    shares = shares.view(groups, gradient.shape[0], *counts, math.prod(windows.kernel), inputs).movedim(0, -2)
    wide = accumulator(gradient.dtype)
    placed = [
        _placed(share.to(wide), windows.padded(size), windows.met_by(i, counts))
        for i, share in zip(windows.elements(), shares.unbind(-3), strict=True)
    ]
    x = functools.reduce(operator.add, placed)[(slice(None), *windows.inside(size))]  # [N, *size, G, C/G]
    return x.flatten(-2).movedim(-1, 1).to(gradient.dtype)


def _weight_gradient(x: Tensor, gradient: Tensor, windows: Windows) -> Tensor:
    """Multiply the outputs' gradients with the windows that they came from, summed over all of them in one product."""
    flat = _as_matrices(gradient, windows.groups)  # [G, L, O/G]
    total = rows.grouped_product(flat.mT, _rows(x, windows).mT, None)  # [G, O/G, kernel·C/G]
    return total.reshape(gradient.shape[1], *windows.kernel, -1).movedim(-1, 1).contiguous()


def _rows(x: Tensor, windows: Windows) -> Tensor:
    """Lay all windows out as rows, [G, L, kernel·C/G].

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
    counts, inputs = windows.output_size(x.shape[2:]), channels // windows.groups
    shape = (windows.groups, batch, *counts, *windows.kernel, inputs)
    view = image.contiguous().as_strided(shape, (inputs, math.prod(size) * channels, *steps, *spaces, 1))
    return view.reshape(windows.groups, -1, math.prod(windows.kernel) * inputs)


def _placed(share: Tensor, size: tuple[int, ...], places: tuple[slice, ...]) -> Tensor:
    """Put one kernel element's share [N, *counts, G, C/G] where the element was read; elsewhere is nothing."""
    x = share.new_zeros(share.shape[0], *size, *share.shape[-2:])
    x[(slice(None), *places)] = share
    return x


def _as_matrices(gradient: Tensor, groups: int) -> Tensor:
    """See ∂y as a matrix for each group, a row for each window, [G, L, O/G]."""
    return gradient.movedim(1, -1).reshape(-1, groups, gradient.shape[1] // groups).transpose(0, 1)


_ALGORITHM = Bilinear(_forward, _input_gradient, _weight_gradient)
