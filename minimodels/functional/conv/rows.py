"""im2col with the channels last: a row for each window, and one product of all rows of a chunk with the kernels.

    rows [windows, kernel·C]  ×  kernels [O, kernel·C]ᵀ  =  output [windows, O]

A row is made of runs of memory as long as a line of the kernel in all its channels. Channels-last images come out of
the product as they are wanted.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from minimodels.functional import placement
from minimodels.functional.conv.frame import Buffer, chunks, framed
from minimodels.functional.layout import image_layout
from minimodels.functional.matmul import product, product_into
from minimodels.functional.precision import accumulator
from minimodels.shapes import Windows

SHORT = 12
"""Numbers in a run of rows below which columns are copied instead, whose runs are lines of the output.

Milliseconds for 64x1x28x28, 3x3, on two threads of an Intel Xeon: rows are copied in 0.47, columns in 0.09.

So short a row is soon multiplied, and what else goes through the output counts as much. A column of ones behind the
rows, and the bias behind the kernels, make the bias a part of the product. The kernel's gradient is that of one image
at a time, several on each thread; a single product with a long sum is not shared out well. Milliseconds with 3x3
kernels, the bias added afterwards and by ones, and ∂w by one product and by one an image (images, output, channels):

    64x26x26x32   0.229 0.139   0.219 0.156        8x110x110x32  0.572 0.351   0.585 0.340
    64x26x26x16   0.115 0.078   0.133 0.086        2x254x254x64  1.547 0.911   1.419 0.959
    8x54x54x64    0.267 0.163   0.238 0.172
"""


def forward(x: Tensor, w: Tensor, bias: Tensor | None, windows: Windows) -> Tensor:
    """Multiply each chunk's rows with the kernels.

    Args:
        x: the input.
        w: the kernel.
        bias: one number per output channel, or None.
        windows: stride, padding, dilation and groups.

    Shape:
        - x: [N, C, *size]; w: [O, C/groups, *kernel]; bias: [O]
        - Output: [N, O, *counts], channels-last in memory if x is.
    """
    counts, groups = windows.output_size(x.shape[2:]), windows.groups
    kernels = kernel_rows(w, groups)  # [G, O/G, kernel·C/G]
    last = image_layout(x) is not torch.contiguous_format
    if last and groups == 1 and not torch.compiler.is_compiling():
        y, ones = x.new_empty(x.shape[0], *counts, w.shape[0]), bias is not None and _short(x, windows)
        if bias is not None and ones:
            kernels, bias = torch.cat([kernels, bias.view(1, -1, 1)], 2), None
        for chunk, rows in _rows(x, windows, ones):
            _multiply_into(y[chunk].view(-1, w.shape[0]), rows[0], kernels[0], bias)
        return y.movedim(-1, 1)
    y = (
        x.new_empty(x.shape[0], *counts, w.shape[0]).movedim(-1, 1)
        if last
        else x.new_empty(x.shape[0], w.shape[0], *counts)
    )
    for chunk, rows in _rows(x, windows):  # [G, L, kernel·C/G], a row for each of the chunk's L windows
        flat = grouped_product(rows, kernels, bias)  # [G, L, O/G]
        y[chunk] = flat.transpose(0, 1).reshape(-1, *counts, w.shape[0]).movedim(-1, 1)
    return y


def weight_gradient(x: Tensor, gradient: Tensor, windows: Windows) -> Tensor:
    """Add up ∂y·rows over the chunks, in float32 at least: many chunks would round a bfloat16 sum away.

    Args:
        x: the input.
        gradient: ∂y.
        windows: those of the convolution.

    Shape:
        - x: [N, C, *size]; gradient: [N, O, *counts]
        - Output: [O, C/groups, *kernel]
    """
    groups, outputs, inputs = windows.groups, gradient.shape[1], x.shape[1] // windows.groups
    size = (groups, outputs // groups, math.prod(windows.kernel) * inputs)
    total = x.new_zeros(size, dtype=torch.promote_types(x.dtype, torch.float32))
    turned = size[1] > size[2]  # the product is faster with the longer lines
    by_image = groups == 1 and x.is_cpu and total.dtype is x.dtype and _short(x, windows)
    for chunk, rows in _rows(x, windows):
        flat = _turned(gradient[chunk], groups, rows.shape[1])  # [G, O/G, L]
        if by_image:
            images = (gradient[chunk].shape[0], -1)
            columns, theirs = rows[0].unflatten(0, images), flat[0].unflatten(1, images)  # [n, P, kernel·C], [O, n, P]
            total += torch.bmm(columns.mT, theirs.permute(1, 2, 0)).sum(0).mT
            continue
        total += grouped_product(rows.mT, flat, None).mT if turned else grouped_product(flat, rows.mT, None)
    return total.to(x.dtype).view(outputs, *windows.kernel, inputs).movedim(-1, 1)  # whoever keeps it may turn it


def col2im(gradient: Tensor, w: Tensor, bias: Tensor | None, size: tuple[int, ...], windows: Windows) -> Tensor:
    """Form the gradient of every row and add each kernel element's share back to where it was read.

    Args:
        gradient: ∂y.
        w: the kernel.
        bias: one number per input channel, or None.
        size: the input's spatial size.
        windows: those of the convolution.

    Shape:
        - gradient: [N, O, *counts]; w: [O, C/groups, *kernel]; bias: [C]
        - Output: [N, C, *size]
    """
    groups, inputs, counts = windows.groups, w.shape[1], tuple(gradient.shape[2:])
    kernels, buffer = kernel_rows(w, groups).mT, Buffer(gradient)  # [G, kernel·C/G, O/G]
    sums = accumulator(gradient.dtype)  # in 16 bits every share that is added would be rounded
    x = gradient.new_empty(gradient.shape[0], *windows.padded(size), groups, inputs, dtype=sums)  # channels-last
    for chunk in chunks(gradient, math.prod(counts) * groups * kernels.shape[1]):
        flat = gradient[chunk].movedim(1, -1).reshape(-1, groups, w.shape[0] // groups).transpose(0, 1)  # [G, L, O/G]
        if groups > 1 or torch.compiler.is_compiling():
            rows = grouped_product(flat, kernels, None)  # [G, L, kernel·C/G]
        else:
            rows = product_into(buffer.take(flat.shape[1], kernels.shape[1]), flat[0], kernels[0]).unsqueeze(0)
        shares = rows.view(groups, -1, *counts, math.prod(windows.kernel), inputs).movedim(0, -2).unbind(-3)
        part = x[chunk].zero_()
        for i, share in zip(windows.elements(), shares, strict=True):  # share: [n, *counts, G, C/G]
            part[(slice(None), *windows.met_by(i, counts))].add_(share)  # `+=` would copy it back onto itself
    x = x[(slice(None), *windows.inside(size))].flatten(-2)
    return (x if bias is None else x.add_(bias)).movedim(-1, 1).to(gradient.dtype)


def all_rows(x: Tensor, windows: Windows) -> Tensor:
    """Lay all windows out as rows at once, [G, N·windows, kernel·C/G].

    Args:
        x: the input, [N, C, *size].
        windows: stride, padding, dilation and groups.
    """
    padded = x.new_zeros(x.shape[0], *windows.padded(x.shape[2:]), x.shape[1])
    padded[(slice(None), *windows.inside(x.shape[2:]))] = x.movedim(1, -1)
    return _as_rows(window_view(padded, windows).contiguous(), windows)


def kernel_rows(w: Tensor, groups: int) -> Tensor:
    """Lay each kernel out as a row in the order of the windows' rows, [G, O/G, kernel·C/G].

    Args:
        w: the kernels, [O, C/groups, *kernel].
        groups: how many groups.
    """
    return w.movedim(1, -1).reshape(groups, w.shape[0] // groups, math.prod(w.shape[1:]))


def grouped_product(a: Tensor, b: Tensor, bias: Tensor | None) -> Tensor:
    """Multiply group by group, a·bᵀ + bias, one number of the bias for each column of the result.

    Args:
        a: [G, L, K].
        b: [G, O/G, K].
        bias: [O], or None.
    """
    if a.shape[0] == 1:
        return product(a[0], b[0], bias).unsqueeze(0)
    return torch.bmm(a, b.mT) if bias is None else torch.baddbmm(bias.view(a.shape[0], 1, -1), a, b.mT)


def _multiply_into(y: Tensor, rows: Tensor, kernels: Tensor, bias: Tensor | None) -> None:
    """Write rows·kernelsᵀ + bias where the output is; the bias afterwards, for it would first be copied to each row."""
    if bias is None or accumulator(y.dtype) is not y.dtype:  # 16 bits: add before the sum is rounded
        product_into(y, rows, kernels, bias)
    else:
        product_into(y, rows, kernels).add_(bias)


def _short(x: Tensor, windows: Windows) -> bool:
    """Say whether runs are so short that columns are copied."""
    return not torch.compiler.is_compiling() and windows.kernel[-1] * x.shape[1] // windows.groups < SHORT


def _rows(x: Tensor, windows: Windows, ones: bool = False) -> Iterator[tuple[slice, Tensor]]:
    """Lay the windows out as rows, a chunk of the batch at a time; where they are short, with ones behind if asked."""
    if torch.compiler.is_compiling():
        yield slice(None), all_rows(x, windows)
        return
    buffer: Buffer | None = None
    elements = math.prod(windows.output_size(x.shape[2:])) * x.shape[1] * math.prod(windows.kernel)
    short = _short(x, windows)
    for chunk, image in framed(x, windows, elements, last=True):
        image = image if short else widened(image, windows.groups)
        buffer, view = buffer or Buffer(image), window_view(image, windows)
        if short:
            yield chunk, _as_columns(buffer, view, windows, ones).mT
        else:
            yield chunk, _as_rows(buffer.copied(view).view(x.dtype), windows)


def widened(image: Tensor, groups: int) -> Tensor:
    """View channels as fewer elements of up to 16 bytes, on an accelerator, whose copies take their time by elements.

    128x64x56x56, 128x256x14x14 and 1024x32x13x13, 3x3, on an NVIDIA H100, microseconds to copy the windows:

                                   bfloat16          float32
        a number at a time      625  160  140     650  177  147
        8 bytes at a time       192   52   46     378   99   87
        16 bytes at a time      181   49   43     357   94   82

    Args:
        image: with the channels last in memory.
        groups: how many groups the channels are in; none shares an element with another.

    Example:
        >>> widened(torch.zeros(1, 8), groups=1).dtype
        torch.float32
    """
    places = image.shape[-1] // groups, image.storage_offset(), *image.stride()[:-1]
    for kind in (torch.complex128, torch.int64) if placement.launches(image) else ():
        together = kind.itemsize // image.dtype.itemsize
        if together > 1 and not any(place % together for place in places):
            return image.view(kind)
    return image


def _turned(gradient: Tensor, groups: int, places: int) -> Tensor:
    """Lay ∂y out to meet the rows, [G, O/G, L]; on an accelerator a channels-last one is only seen so."""
    outputs = gradient.shape[1]
    if placement.launches(gradient) and image_layout(gradient) is not torch.contiguous_format:
        return gradient.movedim(1, -1).reshape(places, groups, outputs // groups).permute(1, 2, 0)
    return gradient.transpose(0, 1).reshape(groups, outputs // groups, places)


def _as_columns(buffer: Buffer, view: Tensor, windows: Windows, ones: bool) -> Tensor:
    """Copy a view of all windows the other way round, a column for each window, [G, kernel·C/G, L]; ones below it."""
    places = range(1, 2 + len(windows.kernel))
    turned = view.movedim([*places], [*range(-len(places), 0)])
    if not ones:
        return buffer.copied(turned).flatten(-len(places)).flatten(1, -2)
    places_of, numbers = turned.shape[-len(places) :], math.prod(turned.shape[1 : -len(places)])
    columns = buffer.take(turned.shape[0], numbers + 1, math.prod(places_of))
    columns[:, :numbers].view(turned.shape).copy_(turned)
    columns[:, numbers].fill_(1)
    return columns


def _as_rows(copied: Tensor, windows: Windows) -> Tensor:
    """See the copied windows as a matrix for each group, a row for each window."""
    return copied.flatten(2 + len(windows.kernel)).flatten(1, 1 + len(windows.kernel))


def window_view(image: Tensor, windows: Windows) -> Tensor:
    """See every window of a padded channels-last input at once: strides make the overlap, not copies.

    Args:
        image: the padded input, [n, *padded, C].
        windows: kernel, stride, dilation and groups.

    Returns:
        [G, n, *counts, *kernel, C/G]; elements that several windows read stand once in memory.
    """
    inputs, bare = image.shape[-1] // windows.groups, windows._replace(pads=((0, 0),) * len(windows.kernel))
    batch, *spatial, channel = image.stride()
    steps = [stride * step for stride, step in zip(spatial, windows.stride, strict=True)]
    spaces = [stride * space for stride, space in zip(spatial, windows.dilation, strict=True)]
    shape = (windows.groups, image.shape[0], *bare.output_size(image.shape[1:-1]), *windows.kernel, inputs)
    return image.as_strided(shape, (inputs * channel, batch, *steps, *spaces, channel))
