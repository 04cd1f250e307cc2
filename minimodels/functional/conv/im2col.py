"""Convolution as one matrix product: lay every window out as a row, and multiply rows by kernels.

`im2col` (image to columns; here, rows) copies each window's elements side by side. What was a sum over channels
and kernel elements is then an inner product, and the whole convolution a single product of two matrices:

    rows [windows, kernel·C]  ×  kernels [O, kernel·C]ᵀ  =  output [windows, O]

The layout is channels-last, so that a window's elements are long runs of memory, and the batch goes through in
chunks whose rows stay in the processor's cache. The derivatives are correlations again, written by hand:

    ∂x = ∂y correlated with the mirrored kernel, or the gradients of the rows, ∂y · kernels, added back (col2im)
    ∂w = ∂yᵀ · rows

Each of the three is linear in both of its arguments and has the other two for derivatives; so the family is closed
under differentiation, and second derivatives need nothing new.

References: Chellapilla, Puri & Simard 2006, "High performance convolutional neural networks for document
processing"; Chetlur et al. 2014, arXiv:1410.0759 (the gradients as correlations).
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from minimodels.functional.conv import definition
from minimodels.functional.matmul import product
from minimodels.functional.padding import pad
from minimodels.functional.transforms import apply, steps_aside
from minimodels.shapes import Windows
from minimodels.tap import listened, tap

CHUNK = 1 << 19
"""Elements of rows at a time on a CPU: 2 MiB of float32, what one core's share of the cache holds."""

DEVICE_CHUNK = 1 << 27
"""The same on an accelerator, which wants large launches: 512 MiB of float32."""


def convolve(x: Tensor, w: Tensor, bias: Tensor | None, windows: Windows) -> Tensor:
    """Correlate the input with the kernel: the same operation as in definition.py, as one matrix product a chunk.

    Args:
        x: the input.
        w: the kernel.
        bias: one number an output channel, or None.
        windows: stride, padding, dilation and groups.

    Shape:
        - x: [N, C, *size]; w: [O, C/groups, *kernel]; bias: [O]
        - Output: [N, O, *counts]

    Cost: as many multiply-adds as the definition; beyond input and output, `CHUNK` elements of rows (or those of
        one sample, where that is more; of the whole batch in compiled code and while a tap is listened to) and a
        channels-last copy of the input.

    See: definition.py; tests/functional/test_conv.py.

    Example:
        >>> windows = Windows(kernel=(2,), stride=(1,), pads=((0, 0),), dilation=(1,), groups=1)
        >>> convolve(torch.tensor([[[1.0, 2.0, 4.0]]]), torch.tensor([[[-1.0, 1.0]]]), None, windows)
        tensor([[[1., 2.]]])
    """
    if steps_aside(x, w):
        return definition.convolve(x, w, bias, windows)
    if listened():
        return _watched(x, w, bias, windows)
    return apply(_Convolve, x, w, bias, windows)


def input_gradient(gradient: Tensor, w: Tensor, size: tuple[int, ...], windows: Windows) -> Tensor:
    """Carry an output gradient back to the input: ∂x[n, c, s·p + d·i] += Σ_o w[o, c, i] · ∂y[n, o, p].

    Where the output is as large as the input and the stride 1, this is a correlation of ∂y with the mirrored kernel
    (31 ms against 40 for 8 images of 64x56x56, 3x3, on one thread of an AMD EPYC). Otherwise that would multiply
    mostly zeros, and the rows' gradients are formed and added back (6.6 ms against 9.2 for 64 images of 32x13x13).

    Args:
        gradient: ∂y.
        w: the kernel.
        size: the input's spatial size.
        windows: those of the convolution.

    Shape:
        - gradient: [N, O, *counts]; w: [O, C/groups, *kernel]
        - Output: [N, C, *size]
    """
    if steps_aside(gradient, w):
        x = w.new_zeros(gradient.shape[0], w.shape[1] * windows.groups, *size)
        return _by_autograd(lambda x: definition.convolve(x, w, None, windows), x, gradient)
    return apply(_InputGradient, gradient, w, size, windows)


def weight_gradient(x: Tensor, gradient: Tensor, windows: Windows) -> Tensor:
    """Carry an output gradient back to the kernel: ∂w[o, c, i] = Σ_n Σ_p ∂y[n, o, p] · x[n, c, s·p + d·i].

    Args:
        x: the input.
        gradient: ∂y.
        windows: those of the convolution.

    Shape:
        - x: [N, C, *size]; gradient: [N, O, *counts]
        - Output: [O, C/groups, *kernel]
    """
    if steps_aside(x, gradient):
        w = x.new_zeros(gradient.shape[1], x.shape[1] // windows.groups, *windows.kernel)
        return _by_autograd(lambda w: definition.convolve(x, w, None, windows), w, gradient)
    return apply(_WeightGradient, x, gradient, windows)


def _by_autograd(f: Callable[[Tensor], Tensor], at: Tensor, gradient: Tensor) -> Tensor:
    """Let autograd carry a gradient back through a function that is linear, so that it does not matter where."""
    with torch.enable_grad():
        at = at.requires_grad_()
        (carried,) = torch.autograd.grad(f(at), at, gradient, create_graph=True)
    return carried


class _Convolve(torch.autograd.Function):
    """y = bias + w ⋆ x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, bias: Tensor | None, windows: Windows) -> Tensor:
        ctx.save_for_backward(x, w)
        ctx.windows = windows
        return _forward(x, w, bias, windows)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, w = ctx.saved_tensors
        return (
            input_gradient(gradient, w, tuple(x.shape[2:]), ctx.windows) if ctx.needs_input_grad[0] else None,
            weight_gradient(x, gradient, ctx.windows) if ctx.needs_input_grad[1] else None,
            gradient.sum((0, *range(2, gradient.ndim))) if ctx.needs_input_grad[2] else None,
            None,
        )


class _InputGradient(torch.autograd.Function):
    """∂x, linear in ∂y and in w: its derivatives are a convolution and a weight gradient."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, w: Tensor, size: tuple[int, ...], windows: Windows) -> Tensor:
        ctx.save_for_backward(gradient, w)
        ctx.windows = windows
        dense = all(stride == 1 for stride in windows.stride) and math.prod(gradient.shape[2:]) >= math.prod(size)
        return _mirrored(gradient, w, windows) if dense else _col2im(gradient, w, size, windows)

    @staticmethod
    def backward(ctx: Any, second: Tensor) -> tuple[Tensor | None, ...]:
        gradient, w = ctx.saved_tensors
        return (
            convolve(second, w, None, ctx.windows) if ctx.needs_input_grad[0] else None,
            weight_gradient(second, gradient, ctx.windows) if ctx.needs_input_grad[1] else None,
            None,
            None,
        )


class _WeightGradient(torch.autograd.Function):
    """∂w, linear in x and in ∂y: its derivatives are an input gradient and a convolution."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gradient: Tensor, windows: Windows) -> Tensor:
        ctx.save_for_backward(x, gradient)
        ctx.windows = windows
        return _weight_gradient(x, gradient, windows)

    @staticmethod
    def backward(ctx: Any, second: Tensor) -> tuple[Tensor | None, ...]:
        x, gradient = ctx.saved_tensors
        return (
            input_gradient(gradient, second, tuple(x.shape[2:]), ctx.windows) if ctx.needs_input_grad[0] else None,
            convolve(x, second, None, ctx.windows) if ctx.needs_input_grad[1] else None,
            None,
        )


def _watched(x: Tensor, w: Tensor, bias: Tensor | None, windows: Windows) -> Tensor:
    """Convolve with all rows in sight of a listener; the derivative is autograd's, so what takes their place counts."""
    counts = windows.output_size(x.shape[2:])
    rows = tap("convolution.patches", _all_rows(x, windows))
    return _channels_first(_grouped_product(rows, _kernels(w, windows.groups), bias), counts)


def _forward(x: Tensor, w: Tensor, bias: Tensor | None, windows: Windows) -> Tensor:
    """Multiply each chunk's rows with the kernels and turn the result back to channels-first on its way out."""
    counts = windows.output_size(x.shape[2:])
    kernels = _kernels(w, windows.groups)  # [G, O/G, kernel·C/G]
    y = x.new_empty(x.shape[0], w.shape[0], *counts)
    for chunk, rows in _rows(x, windows):  # [G, L, kernel·C/G], a row for each of the chunk's L windows
        flat = _grouped_product(rows, kernels, bias)  # [G, L, O/G]
        y[chunk] = _channels_first(flat, counts)
    return y


def _weight_gradient(x: Tensor, gradient: Tensor, windows: Windows) -> Tensor:
    """Add up ∂yᵀ·rows over the chunks, in float32 at least: many chunks would round a bfloat16 sum away."""
    groups, outputs, inputs = windows.groups, gradient.shape[1], x.shape[1]
    size = (groups, outputs // groups, math.prod(windows.kernel) * inputs // groups)
    total = x.new_zeros(size, dtype=torch.promote_types(x.dtype, torch.float32))
    for chunk, rows in _rows(x, windows):
        flat = gradient[chunk].transpose(0, 1).reshape(groups, outputs // groups, rows.shape[1])  # [G, O/G, L]
        total += _grouped_product(flat, rows.transpose(1, 2), None)
    kernels = total.to(x.dtype).view(outputs, *windows.kernel, inputs // groups)  # [O, *kernel, C/G]
    return kernels.movedim(-1, 1).contiguous()  # [O, C/G, *kernel]


def _mirrored(gradient: Tensor, w: Tensor, windows: Windows) -> Tensor:
    """Read the convolution backwards: correlate ∂y with the kernel flipped and its channels exchanged."""
    flipped = w.unflatten(0, (windows.groups, -1)).transpose(1, 2).flatten(0, 1)  # [C, O/G, *kernel]
    flipped = flipped.flip(tuple(range(2, w.ndim)))
    pads = windows.mirrored().pads
    if any(before < 0 or after < 0 for before, after in pads):  # more padding than the kernel reaches: crop first
        gradient = pad(gradient, [min(p, 0) for pair in reversed(pads) for p in pair])
        pads = tuple((max(before, 0), max(after, 0)) for before, after in pads)
    return _forward(gradient, flipped, None, windows._replace(pads=pads))


def _col2im(gradient: Tensor, w: Tensor, size: tuple[int, ...], windows: Windows) -> Tensor:
    """Form the gradient of every row and add each kernel element's share back to where it was read."""
    groups, inputs, counts = windows.groups, w.shape[1], tuple(gradient.shape[2:])
    kernels = _kernels(w, groups).transpose(1, 2)  # [G, kernel·C/G, O/G]
    x = gradient.new_zeros(gradient.shape[0], *windows.padded(size), groups, inputs)  # channels-last
    for chunk in _chunks(gradient, math.prod(counts) * groups * kernels.shape[1]):
        flat = gradient[chunk].movedim(1, -1).reshape(-1, groups, w.shape[0] // groups).transpose(0, 1)  # [G, L, O/G]
        rows = _grouped_product(flat, kernels, None)  # [G, L, kernel·C/G]
        shares = rows.view(groups, -1, *counts, math.prod(windows.kernel), inputs).movedim(0, -2).unbind(-3)
        part = x[chunk]
        for i, share in zip(windows.elements(), shares, strict=True):  # share: [n, *counts, G, C/G]
            part[(slice(None), *windows.met_by(i, counts))] += share
    return x[(slice(None), *windows.inside(size))].flatten(-2).movedim(-1, 1)


def _rows(x: Tensor, windows: Windows) -> Iterator[tuple[slice, Tensor]]:
    """Lay the windows out as rows, a chunk of the batch at a time, in one buffer used over and over."""
    groups, places = windows.groups, math.prod(windows.output_size(x.shape[2:]))
    width = math.prod(windows.kernel) * x.shape[1] // groups
    view = _window_view(x, windows)
    if view.is_contiguous() or torch.compiler.is_compiling():  # a 1x1 kernel needs no copies; a compiler no chunks
        yield slice(None), _all_rows(x, windows)
        return
    chunks = _chunks(x, places * groups * width)
    buffer = x.new_empty(groups, (chunks[0].stop if chunks else 0) * places, width)
    for chunk in chunks:
        part = view[:, chunk]
        rows = buffer[:, : part.shape[1] * places]
        rows.view(part.shape).copy_(part)  # fetching fresh memory would cost more than filling this
        yield chunk, rows


def _all_rows(x: Tensor, windows: Windows) -> Tensor:
    """Lay all windows out as rows at once, [G, N·windows, kernel·C/G]."""
    width = math.prod(windows.kernel) * x.shape[1] // windows.groups
    return _window_view(x, windows).reshape(windows.groups, -1, width)


def _chunks(x: Tensor, elements: int) -> list[slice]:
    """Cut a batch where its rows, at so many elements a sample, would outgrow the cache; under a compiler, nowhere."""
    if torch.compiler.is_compiling():
        return [slice(None)]
    step = (CHUNK if x.is_cpu else DEVICE_CHUNK) // max(1, elements)
    step = min(max(1, step), max(1, x.shape[0]))
    return [slice(start, min(start + step, x.shape[0])) for start in range(0, x.shape[0], step)]


def _window_view(x: Tensor, windows: Windows) -> Tensor:
    """See every window of the padded, channels-last input at once: strides make the overlap, not copies.

    [G, N, *counts, *kernel, C/G], elements that several windows read standing once in memory.
    """
    size, groups = tuple(x.shape[2:]), windows.groups
    last = x.movedim(1, -1)  # [N, *size, C]
    if any(map(any, windows.pads)):
        padded = x.new_zeros(x.shape[0], *windows.padded(size), x.shape[1])
        padded[(slice(None), *windows.inside(size))] = last
    else:
        padded = last.contiguous()
    batch, *spatial, channel = padded.stride()
    steps = [stride * step for stride, step in zip(spatial, windows.stride, strict=True)]
    elements = [stride * step for stride, step in zip(spatial, windows.dilation, strict=True)]
    inputs = x.shape[1] // groups
    shape = (groups, x.shape[0], *windows.output_size(size), *windows.kernel, inputs)
    return padded.as_strided(shape, (inputs * channel, batch, *steps, *elements, channel))


def _kernels(w: Tensor, groups: int) -> Tensor:
    """Lay each kernel out as a row in the order of the windows' rows: kernel elements, then channels."""
    return w.movedim(1, -1).reshape(groups, w.shape[0] // groups, math.prod(w.shape[1:]))  # [G, O/G, kernel·C/G]


def _grouped_product(a: Tensor, b: Tensor, bias: Tensor | None) -> Tensor:
    """Multiply group by group, a·bᵀ + bias: one plain product where there is one group, as there mostly is."""
    if a.shape[0] == 1:
        return product(a[0], b[0], bias).unsqueeze(0)
    y = torch.bmm(a, b.transpose(1, 2))
    return y if bias is None else y + bias.view(a.shape[0], 1, -1)


def _channels_first(flat: Tensor, counts: tuple[int, ...]) -> Tensor:
    """Turn [G, n·windows, O/G] into [n, O, *counts], a view where there is one group."""
    samples, outputs = flat.shape[1] // math.prod(counts), flat.shape[0] * flat.shape[2]
    return flat.transpose(0, 1).reshape(samples, *counts, outputs).movedim(-1, 1)
