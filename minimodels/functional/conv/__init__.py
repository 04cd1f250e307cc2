"""Convolution: one operation, several classical algorithms. This file has the functions; choice.py chooses.

definition.py   the equation, a sum of shifted inputs; every derivative of every order, every dtype
im2col.py       matrix products over copied windows
rows.py         windows as rows, the channels last in memory; col2im
lines.py        the same a line of the kernel at a time
interleaved.py  the same in classes of windows that do not overlap, for bfloat16
columns.py      windows as columns, the channels in front
stacks.py       the same for volumes, plane behind plane
frame.py        chunks of the batch with zeros around them
winograd.py     3x3 kernels by polynomial interpolation, with fewer multiplications
fft.py          any kernel as a product of spectra
shifts.py       depthwise: shifted multiply-adds, in the cache
planes.py       the same at stride 1, over planes laid out flat
diagonals.py    the kernel's gradient of the same, as products of lines with lines
bands.py        depthwise: lines times matrices with a band
strips.py       the same where lines are short, over lines that lie one behind the other
bilinear.py     what they share: hand-derived derivatives of every order
choice.py       which of them serves which shapes
transposed.py   the way back: the gradient of a convolution as an operation of its own
checks.py       what goes in

All are public and tested against each other and against torch.nn.functional.
"""

import torch
from torch import Tensor

from minimodels.functional.conv import (
    bands,
    bilinear,
    checks,
    choice,
    columns,
    definition,
    diagonals,
    fft,
    frame,
    im2col,
    interleaved,
    lines,
    planes,
    rows,
    shifts,
    stacks,
    strips,
    transposed,
    winograd,
)
from minimodels.functional.conv.transposed import conv_transpose1d, conv_transpose2d, conv_transpose3d
from minimodels.functional.precision import autocast_to_low_precision
from minimodels.tap import tap

__all__ = [
    "bands",
    "bilinear",
    "checks",
    "choice",
    "columns",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "definition",
    "diagonals",
    "fft",
    "frame",
    "im2col",
    "interleaved",
    "lines",
    "planes",
    "rows",
    "shifts",
    "stacks",
    "strips",
    "transposed",
    "winograd",
]


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, ...] = 1,
    padding: str | int | tuple[int, ...] = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
) -> Tensor:
    """Slide a kernel along sequences and take an inner product at every place.

        y[n, o, p] = b[o] + Σ_c Σ_i w[o, c, i] · x[n, c, s·p + d·i]

    As `conv2d`, in one dimension.

    Args:
        input: one sequence or a batch.
        weight: a kernel for each output channel.
        bias: one number per output channel.
        stride: step from one window to the next.
        padding: zeros on either side; "same" keeps the length (stride 1 only), "valid" is none.
        dilation: spacing between the elements of a window.
        groups: output group g of the channels sees input group g alone.

    Shape:
        - input: [N, C, L] or [C, L]; weight: [O, C/groups, k]; bias: [O]
        - Output: [N, O, P] or [O, P], P = ⌊(L + 2·padding − d·(k − 1) − 1) / s⌋ + 1

    Raises:
        RuntimeError: shapes, dtypes or numbers do not fit together; the message says which.

    Cost: N·O·(C/groups)·k·P multiply-adds forward, twice that backward; see the algorithm for memory.

    References: Waibel et al. 1989 (time-delay neural networks), doi:10.1109/29.21701.

    See: `minimodels.nn.Conv1d`; conv/definition.py, conv/im2col.py; tests/functional/test_conv.py.

    Example:
        >>> import torch
        >>> conv1d(torch.tensor([[1.0, 2.0, 4.0, 8.0]]), torch.tensor([[[-1.0, 1.0]]]))  # differences
        tensor([[1., 2., 4.]])
    """
    return _convolve(1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, ...] = 1,
    padding: str | int | tuple[int, ...] = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
) -> Tensor:
    """Slide a kernel over images and take an inner product at every place.

        y[n, o, p, q] = b[o] + Σ_c Σ_i Σ_j w[o, c, i, j] · x[n, c, s·p + d·i, s·q + d·j]

    with stride s, dilation d and x padded with zeros. The algorithm is chosen by shape (choice.py): mostly im2col
    with one matrix product, Winograd's for 3x3 kernels and many channels, spectra for very large kernels, shifted
    multiply-adds for one input channel per group (depthwise). While a `torch.func` transform or forward-mode
    differentiation is active, and for complex and integer numbers, it is the definition. An infinite or NaN input
    element spreads to whole tiles of the output (Winograd) or to the whole image (spectra), where the definition and
    torch.nn spread it only to the windows that touch it.

    Args:
        input: one image or a batch.
        weight: a kernel for each output channel.
        bias: one number per output channel.
        stride: step from one window to the next; one number, or one for height and one for width.
        padding: zeros on either side; "same" keeps the size (stride 1 only), "valid" is none.
        dilation: spacing between the elements of a window.
        groups: output group g of the channels sees input group g alone.

    Shape:
        - input: [N, C, H, W] or [C, H, W]; weight: [O, C/groups, kH, kW]; bias: [O]
        - Output: [N, O, P, Q] or [O, P, Q], P = ⌊(H + 2·padding − d·(kH − 1) − 1) / s⌋ + 1, Q likewise

    Images without channels give the empty sum, that is the bias; PyTorch gives an output without channels. An infinite
    number or NaN spoils the outputs that read it; by Winograd's algorithm the others of their tiles too, by spectra
    all of the image, by bands (depthwise, on short lines or in bfloat16) up to 64 outputs of a line, and in bfloat16 by
    classes of windows and stacks of planes the outputs beside them.

    Raises:
        RuntimeError: shapes, dtypes or numbers do not fit together; the message says which.

    Cost: N·O·(C/groups)·kH·kW·P·Q multiply-adds forward, twice that backward; see the algorithm for memory.

    References: LeCun et al. 1989, doi:10.1162/neco.1989.1.4.541.

    See: `minimodels.nn.Conv2d`; conv/definition.py and the files beside it; tests/functional/test_conv.py.

    Example:
        >>> import torch
        >>> image = torch.tensor([[[0.0, 1.0, 1.0], [0.0, 1.0, 1.0]]])  # an edge between two columns
        >>> conv2d(image, torch.tensor([[[[-1.0, 1.0]]]]))
        tensor([[[1., 0.],
                 [1., 0.]]])
    """
    return _convolve(2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, ...] = 1,
    padding: str | int | tuple[int, ...] = 0,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
) -> Tensor:
    """Slide a kernel through volumes, or clips of images, and take an inner product at every place.

        y[n, o, p, q, r] = b[o] + Σ_c Σ_h Σ_i Σ_j w[o, c, h, i, j] · x[n, c, s·p + d·h, s·q + d·i, s·r + d·j]

    As `conv2d`, in three dimensions.

    Args:
        input: one volume or a batch.
        weight: a kernel for each output channel.
        bias: one number per output channel.
        stride: step from one window to the next; one number, or one each for depth, height and width.
        padding: zeros on either side; "same" keeps the size (stride 1 only), "valid" is none.
        dilation: spacing between the elements of a window.
        groups: output group g of the channels sees input group g alone.

    Shape:
        - input: [N, C, D, H, W] or [C, D, H, W]; weight: [O, C/groups, kD, kH, kW]; bias: [O]
        - Output: [N, O, P, Q, R] or [O, P, Q, R], P = ⌊(D + 2·padding − d·(kD − 1) − 1) / s⌋ + 1, Q and R likewise

    Raises:
        RuntimeError: shapes, dtypes or numbers do not fit together; the message says which.

    Cost: N·O·(C/groups)·kD·kH·kW·P·Q·R multiply-adds forward, twice that backward; see the algorithm for memory.

    References: Ji et al. 2013, "3D convolutional neural networks for human action recognition",
        doi:10.1109/TPAMI.2012.59.

    See: `minimodels.nn.Conv3d`; conv/definition.py, conv/im2col.py; tests/functional/test_conv.py.

    Example:
        >>> import torch
        >>> conv3d(torch.ones(1, 1, 4, 5, 6), torch.ones(2, 1, 3, 3, 3), padding="same").shape
        torch.Size([1, 2, 4, 5, 6])
    """
    return _convolve(3, input, weight, bias, stride, padding, dilation, groups)


def _convolve(
    dims: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: int | tuple[int, ...],
    padding: str | int | tuple[int, ...],
    dilation: int | tuple[int, ...],
    groups: int,
) -> Tensor:
    """Convolve in any number of dimensions: check, let choice.py choose, hand on the layout."""
    checks.check_rank(f"conv{dims}d", dims, input)
    if input.ndim == dims + 1:
        return _convolve(dims, input.unsqueeze(0), weight, bias, stride, padding, dilation, groups).squeeze(0)
    input, weight, bias = (
        autocast_to_low_precision(input, input),
        autocast_to_low_precision(input, weight),
        autocast_to_low_precision(input, bias),
    )
    windows = checks.read_windows(f"conv{dims}d", dims, weight, stride, padding, dilation, groups)
    checks.check_operands(input, weight, bias, groups, transposed=False)
    if min(windows.output_size(input.shape[2:])) <= 0:
        raise RuntimeError(
            f"Calculated padded input size per channel: {windows.padded(input.shape[2:])}. "
            f"Kernel size: {windows.kernel}. Kernel size can't be greater than actual input size "
            f"(dilation {windows.dilation})"
        )
    layout = checks.output_layout(input, weight)
    if layout is not torch.contiguous_format:  # turned once before, not a window at a time
        input = input.contiguous(memory_format=layout)
    output = choice.convolve(input, weight, bias, windows)
    return tap("convolution.output", output.contiguous(memory_format=layout))
