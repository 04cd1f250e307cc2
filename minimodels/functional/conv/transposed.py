"""Transposed convolution: every input element stamps the kernel, scaled by itself, onto the output.

    y[n, o, s·p + d·i − padding] += Σ_c w[c, o, i] · x[n, c, p]      for every place p and kernel element i

It is the gradient of a convolution by its input, made an operation of its own: as a linear map, the transpose of
convolution with the same kernel, hence the name and the order of the kernel's channels. It enlarges what a strided
convolution made small; a "deconvolution" it is not, for it undoes the sizes and not the numbers.

Stamps overlap and are added up, which definition.py does literally. The fast way is the convolution's own input
gradient, im2col.py; its derivatives are the convolution itself and the convolution's weight gradient.

References: Zeiler et al. 2010, "Deconvolutional networks", doi:10.1109/CVPR.2010.5539957; Dumoulin & Visin 2016,
arXiv:1603.07285 (the arithmetic of sizes).
"""

import math
from typing import Any

import torch
from torch import Tensor

from minimodels.functional.arguments import spread
from minimodels.functional.conv import checks, choice, definition, im2col
from minimodels.functional.conv.bilinear import bias_gradient
from minimodels.functional.precision import accumulator, autocast_to_low_precision
from minimodels.functional.transforms import apply, owned, steps_aside
from minimodels.shapes import Windows, effective_kernel_size
from minimodels.tap import listened, tap


def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] = 0,
    output_padding: int | tuple[int, ...] = 0,
    groups: int = 1,
    dilation: int | tuple[int, ...] = 1,
) -> Tensor:
    """Stamp a kernel along sequences: y[n, o, s·p + d·i − padding] += Σ_c w[c, o, i] · x[n, c, p].

    As `conv_transpose2d`, in one dimension.

    Args:
        input: one sequence or a batch.
        weight: a kernel for each pair of an input and an output channel.
        bias: one number per output channel.
        stride: s, step from one stamp to the next.
        padding: elements cut from either end of the output.
        output_padding: elements added behind the output: which of the lengths that a stride rounds to one.
        groups: output group g of the channels sees input group g alone.
        dilation: d, spacing between the elements of a stamp.

    Shape:
        - input: [N, C, L] or [C, L]; weight: [C, O/groups, k]; bias: [O]
        - Output: [N, O, P] or [O, P], P = (L − 1)·s − 2·padding + d·(k − 1) + output_padding + 1

    Raises:
        RuntimeError: shapes, dtypes or numbers do not fit together; the message says which.

    Cost: N·C·(O/groups)·k·L multiply-adds forward, twice that backward.

    See: `minimodels.nn.ConvTranspose1d`; conv/transposed.py; tests/functional/test_conv_transposed.py.

    Example:
        >>> x = torch.tensor([[1.0, 2.0, 3.0]])
        >>> conv_transpose1d(x, torch.tensor([[[0.5, 1.0, 0.5]]]), stride=2)  # straight lines between the elements
        tensor([[0.5000, 1.0000, 1.5000, 2.0000, 2.5000, 3.0000, 1.5000]])
    """
    return _convolve(1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] = 0,
    output_padding: int | tuple[int, ...] = 0,
    groups: int = 1,
    dilation: int | tuple[int, ...] = 1,
) -> Tensor:
    """Stamp a kernel over images, once for every element, scaled by it; where stamps overlap they are added up.

        y[n, o, s·p + d·i − padding, s·q + d·j − padding] += Σ_c w[c, o, i, j] · x[n, c, p, q]

    with stride s, dilation d, and b[o] on top. It is `conv2d` read backwards: ⟨y, conv2d(x)⟩ = ⟨conv_transpose2d(y), x⟩
    with the same weight. The algorithm is that of its input gradient, or in-place stamps where every channel stands for
    itself (depthwise); while a `torch.func` transform or forward-mode differentiation is active or a tap is listened
    to, for complex and integer numbers, and where output padding reaches beyond a stride, it is the definition.

    Args:
        input: one image or a batch.
        weight: a kernel for each pair of an input and an output channel.
        bias: one number per output channel.
        stride: s, step from one stamp to the next; one number, or one for height and one for width.
        padding: elements cut from either side of the output.
        output_padding: elements added below and to the right: which of the sizes that a stride rounds to one.
        groups: output group g of the channels sees input group g alone.
        dilation: d, spacing between the elements of a stamp.

    Shape:
        - input: [N, C, H, W] or [C, H, W]; weight: [C, O/groups, kH, kW]; bias: [O]
        - Output: [N, O, P, Q] or [O, P, Q], P = (H − 1)·s − 2·padding + d·(kH − 1) + output_padding + 1, Q likewise

    Raises:
        RuntimeError: shapes, dtypes or numbers do not fit together; the message says which.

    Cost: N·C·(O/groups)·kH·kW·H·W multiply-adds forward, twice that backward.

    References: Zeiler et al. 2010, doi:10.1109/CVPR.2010.5539957; Dumoulin & Visin 2016, arXiv:1603.07285, chapter 4.

    See: `minimodels.nn.ConvTranspose2d`; conv/transposed.py; tests/functional/test_conv_transposed.py.

    Example:
        >>> x = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
        >>> conv_transpose2d(x, torch.ones(1, 1, 2, 2), stride=2)  # stamps side by side
        tensor([[[1., 1., 2., 2.],
                 [1., 1., 2., 2.],
                 [3., 3., 4., 4.],
                 [3., 3., 4., 4.]]])
    """
    return _convolve(2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] = 0,
    output_padding: int | tuple[int, ...] = 0,
    groups: int = 1,
    dilation: int | tuple[int, ...] = 1,
) -> Tensor:
    """Stamp a kernel through volumes: y[n, o, s·p + d·i − padding] += Σ_c w[c, o, i] · x[n, c, p].

    As `conv_transpose2d`; p and i have a component each for depth, height and width.

    Args:
        input: one volume or a batch.
        weight: a kernel for each pair of an input and an output channel.
        bias: one number per output channel.
        stride: s, step from one stamp to the next; one number, or one each for depth, height and width.
        padding: elements cut from every side of the output.
        output_padding: elements added behind, below and to the right.
        groups: output group g of the channels sees input group g alone.
        dilation: d, spacing between the elements of a stamp.

    Shape:
        - input: [N, C, D, H, W] or [C, D, H, W]; weight: [C, O/groups, kD, kH, kW]; bias: [O]
        - Output: [N, O, P, Q, R] or [O, P, Q, R],
          P = (D − 1)·s − 2·padding + d·(kD − 1) + output_padding + 1, Q and R likewise

    Raises:
        RuntimeError: shapes, dtypes or numbers do not fit together; the message says which.

    Cost: N·C·(O/groups)·kD·kH·kW·D·H·W multiply-adds forward, twice that backward.

    See: `minimodels.nn.ConvTranspose3d`; conv/transposed.py; tests/functional/test_conv_transposed.py.

    Example:
        >>> conv_transpose3d(torch.ones(1, 2, 4, 5, 6), torch.ones(2, 3, 2, 2, 2), stride=2).shape
        torch.Size([1, 3, 8, 10, 12])
    """
    return _convolve(3, input, weight, bias, stride, padding, output_padding, groups, dilation)


def _convolve(
    dims: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: int | tuple[int, ...],
    padding: int | tuple[int, ...],
    output_padding: int | tuple[int, ...],
    groups: int,
    dilation: int | tuple[int, ...],
) -> Tensor:
    """Convolve transposedly in any number of dimensions: check, find the size, choose, hand on the layout."""
    name = f"conv_transpose{dims}d"
    checks.check_rank(name, dims, input)
    if input.ndim == dims + 1:
        batch = input.unsqueeze(0)
        return _convolve(dims, batch, weight, bias, stride, padding, output_padding, groups, dilation).squeeze(0)
    input, weight, bias = (
        autocast_to_low_precision(input, input),
        autocast_to_low_precision(input, weight),
        autocast_to_low_precision(input, bias),
    )
    cut = spread(padding, dims, "padding")  # numbers alone: "same" has no meaning here
    windows = checks.read_windows(name, dims, weight, stride, cut, dilation, groups)
    checks.check_operands(input, weight, bias, groups, transposed=True)
    rests = spread(output_padding, dims, "output_padding")
    size = _checked_size(input, weight, rests, windows)
    y = _stamped(input, weight, bias, size, windows)
    return tap("convolution.output", y.contiguous(memory_format=checks.output_layout(input, weight)))


def _checked_size(input: Tensor, weight: Tensor, rests: tuple[int, ...], windows: Windows) -> tuple[int, ...]:
    """Find the output's size: that of an input whose convolution would be as large as ours, plus the rest."""
    if any(rest < 0 for rest in rests):
        raise RuntimeError("negative output_padding is not supported")
    if any(rest >= max(s, d) for rest, s, d in zip(rests, windows.stride, windows.dilation, strict=True)):
        raise RuntimeError(
            f"output padding must be smaller than either stride or dilation, but got output_padding: {list(rests)}, "
            f"stride: {list(windows.stride)}, dilation: {list(windows.dilation)}"
        )
    counts = tuple(input.shape[2:])
    if 0 in counts or weight.shape[1] == 0:
        raise RuntimeError(
            f"transposed convolution needs elements and output channels, but got input of size {list(input.shape)} "
            f"and weight of size {list(weight.shape)}"
        )
    size = tuple(
        (count - 1) * s - sum(pads) + effective_kernel_size(k, d) + rest
        for count, s, pads, k, d, rest in zip(
            counts, windows.stride, windows.pads, windows.kernel, windows.dilation, rests, strict=True
        )
    )
    if min(size) <= 0:
        raise RuntimeError(
            f"Given input size per channel: {counts}. Calculated output size per channel: {size}. "
            "Output size is too small"
        )
    return size


def _stamped(x: Tensor, w: Tensor, bias: Tensor | None, size: tuple[int, ...], windows: Windows) -> Tensor:
    """Take the convolution's input gradient where it has one of the sort: else the definition, at least in float32."""
    aside = listened() or not x.is_floating_point() or steps_aside(x, w)
    if not aside and windows.output_size(size) == tuple(x.shape[2:]):
        return apply(_Transposed, x, w, bias, size, windows)
    wide = accumulator(x.dtype)
    wide_bias = None if bias is None else bias.to(wide)
    return definition.convolve_transposed(x.to(wide), w.to(wide), wide_bias, size, windows).to(x.dtype)


class _Transposed(torch.autograd.Function):
    """The input gradient as an operation, whose own derivatives are the convolution and its weight gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, bias: Tensor | None, size: tuple[int, ...], windows: Windows) -> Tensor:
        ctx.save_for_backward(x, w)
        ctx.size, ctx.windows = size, windows
        depthwise = w.shape[:2] == (windows.groups, 1)
        stamp = _stamp if depthwise else im2col.convolve_transposed
        return owned(stamp(x, w, bias, size, windows))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, w = ctx.saved_tensors
        by_x, by_w, by_bias, *_ = ctx.needs_input_grad
        bias = bias_gradient(gradient) if by_bias else None
        if steps_aside(gradient):
            with torch.enable_grad():
                y = definition.convolve_transposed(x, w, None, ctx.size, ctx.windows)
            wanted = [operand for operand, asked in ((x, by_x), (w, by_w)) if asked]
            carried = iter(torch.autograd.grad(y, wanted, gradient, create_graph=True))
            return next(carried) if by_x else None, next(carried) if by_w else None, bias, None, None
        return (
            choice.convolve(gradient, w, None, ctx.windows) if by_x else None,
            im2col.weight_gradient(gradient, x, ctx.windows) if by_w else None,
            bias,
            None,
            None,
        )


def _stamp(x: Tensor, w: Tensor, bias: Tensor | None, size: tuple[int, ...], windows: Windows) -> Tensor:
    """Stamp channel by channel, in place: where there is nothing to sum over, a matrix product only costs.

    Forward for 8 images on one thread of an Intel Xeon, milliseconds so and by im2col: 64x14x14, 4x4, stride 2, 1.9
    and 4.5; 64x28x28, 3x3, 1.4 and 21.7; 256x14x14, 2x2, stride 2, 2.1 and 18.4.
    """
    wide, counts = accumulator(x.dtype), x.shape[2:]
    x, kernels = x.to(wide), w.to(wide).reshape(w.shape[0], math.prod(windows.kernel))  # [C, elements]
    y = x.new_zeros(*x.shape[:2], *windows.padded(size))
    for i, w_i in zip(windows.elements(), kernels.unbind(1), strict=True):
        y[(slice(None), slice(None), *windows.met_by(i, counts))].addcmul_(x, w_i.view(-1, *[1] * len(counts)))
    y = y[(slice(None), slice(None), *windows.inside(size))]
    return (y if bias is None else y.add_(bias.view(-1, *[1] * len(size)))).to(w.dtype)
