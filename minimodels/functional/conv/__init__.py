"""Convolution: one operation, several classical algorithms. This file checks what goes in; choice.py chooses.

definition.py   the equation, a sum of shifted inputs; every derivative of every order, every dtype
im2col.py       one matrix product over all windows, with a hand-derived backward
choice.py       which of them serves which shapes

All are public and tested against each other and against torch.nn.functional.
"""

import operator
from typing import Any

import torch
from torch import Tensor

from minimodels.functional.conv import choice, definition, im2col
from minimodels.functional.layout import image_layout
from minimodels.functional.precision import autocast_to_low_precision
from minimodels.shapes import Windows, ntuple, same_pads
from minimodels.tap import tap

__all__ = ["choice", "conv2d", "definition", "im2col"]


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

    with stride s, dilation d and x padded with zeros. The algorithm is im2col with one matrix product; while a
    `torch.func` transform or forward-mode differentiation is active, and for complex and integer numbers, it is the
    definition. So it is for one input channel a group (depthwise): there the product has a single column, and
    shifted multiply-adds are cheaper than copying windows.

    Args:
        input: one image or a batch.
        weight: a kernel for each output channel.
        bias: one number an output channel.
        stride: step from one window to the next; one number, or one for height and one for width.
        padding: zeros on either side; "same" keeps the size (stride 1 only), "valid" is none.
        dilation: spacing between the elements of a window.
        groups: output group g of the channels sees input group g alone.

    Shape:
        - input: [N, C, H, W] or [C, H, W]; weight: [O, C/groups, kH, kW]; bias: [O]
        - Output: [N, O, P, Q] or [O, P, Q], P = ⌊(H + 2·padding − d·(kH − 1) − 1) / s⌋ + 1, Q likewise

    Images without channels give the empty sum, that is the bias; PyTorch gives an output without channels.

    Raises:
        RuntimeError: shapes, dtypes or numbers do not fit together; the message says which.

    Cost: N·O·(C/groups)·kH·kW·P·Q multiply-adds forward, twice that backward; see the algorithm for memory.

    References: LeCun et al. 1989, doi:10.1162/neco.1989.1.4.541.

    See: `minimodels.nn.Conv2d`; conv/definition.py, conv/im2col.py; tests/functional/test_conv.py.

    Example:
        >>> image = torch.tensor([[[0.0, 1.0, 1.0], [0.0, 1.0, 1.0]]])  # an edge between two columns
        >>> conv2d(image, torch.tensor([[[[-1.0, 1.0]]]]))
        tensor([[[1., 0.],
                 [1., 0.]]])
    """
    if input.ndim not in (3, 4):
        raise RuntimeError(
            f"Expected 3D (unbatched) or 4D (batched) input to conv2d, but got input of size: {list(input.shape)}"
        )
    input, weight, bias = (
        autocast_to_low_precision(input, input),
        autocast_to_low_precision(input, weight),
        autocast_to_low_precision(input, bias),
    )
    if input.ndim == 3:
        return conv2d(input.unsqueeze(0), weight, bias, stride, padding, dilation, groups).squeeze(0)
    windows = _windows(2, weight, stride, padding, dilation, groups)
    _check(input, weight, bias, windows)
    output = choice.convolve(input, weight, bias, windows)
    return tap("convolution.output", output.contiguous(memory_format=image_layout(input, weight)))


def _windows(
    dims: int,
    weight: Tensor,
    stride: int | tuple[int, ...],
    padding: str | int | tuple[int, ...],
    dilation: int | tuple[int, ...],
    groups: int,
) -> Windows:
    """Bring every way to say stride, padding and dilation into one form, and check the numbers by themselves."""
    if weight.ndim != dims + 2:
        raise RuntimeError(
            f"Expected a {dims + 2}D weight for conv{dims}d, but got weight of size: {list(weight.shape)}"
        )
    if groups <= 0:
        raise RuntimeError("non-positive groups is not supported")
    kernel, stride_, dilation_ = (
        tuple(weight.shape[2:]),
        _spread(stride, dims, "stride"),
        _spread(dilation, dims, "dilation"),
    )
    if any(s <= 0 for s in stride_):
        raise RuntimeError("non-positive stride is not supported")
    if any(d <= 0 for d in dilation_):
        raise RuntimeError(f"dilation should be greater than zero, but got {list(dilation_)}")
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise RuntimeError(f"Invalid padding string: {padding!r}; should be 'same' or 'valid'")
        if padding == "same" and any(s != 1 for s in stride_):
            raise RuntimeError("padding='same' is not supported for strided convolutions")
        pads = same_pads(kernel, dilation_) if padding == "same" else ((0, 0),) * dims
    else:
        pads = tuple((p, p) for p in _spread(padding, dims, "padding"))
        if any(p < 0 for p, _ in pads):
            raise RuntimeError("negative padding is not supported")
    return Windows(kernel, stride_, pads, dilation_, groups)


def _spread(value: int | tuple[int, ...], dims: int, name: str) -> tuple[int, ...]:
    """Give each spatial dimension its number; a single one serves all."""
    values: tuple[Any, ...] = ntuple(value, dims)
    values = values * dims if len(values) == 1 else values
    if len(values) != dims:
        raise RuntimeError(f"expected {name} to be a single integer or {dims} of them, but got {name}={list(values)}")
    return tuple(map(_whole, values))


def _whole(number: Any) -> Any:
    """Take whole numbers of any make, NumPy's and a compiler's symbols too; a fraction is a TypeError."""
    return number if isinstance(number, torch.SymInt) else operator.index(number)


def _check(input: Tensor, weight: Tensor, bias: Tensor | None, windows: Windows) -> None:
    """Check the tensors against each other, in the order and the words that PyTorch's users know."""
    outputs, inputs, *kernel = weight.shape
    groups = windows.groups
    if outputs < groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be at least {groups} at dimension 0, "
            f"but got weight of size {list(weight.shape)} instead"
        )
    if outputs % groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be divisible by {groups} at dimension 0, "
            f"but got weight of size {list(weight.shape)} instead"
        )
    if input.shape[1] != inputs * groups:
        raise RuntimeError(
            f"Given groups={groups}, weight of size {list(weight.shape)}, expected input{list(input.shape)} "
            f"to have {inputs * groups} channels, but got {input.shape[1]} channels instead"
        )
    if bias is not None and bias.shape != (outputs,):
        raise RuntimeError(
            f"Given weight of size {list(weight.shape)}, expected bias to be 1-dimensional with {outputs} elements, "
            f"but got bias of size {list(bias.shape)} instead"
        )
    if min(kernel) <= 0:
        raise RuntimeError(f"kernel size should be greater than zero, but got {tuple(kernel)}")
    if min(windows.output_size(input.shape[2:])) <= 0:
        padded = " x ".join(str(size + sum(pads)) for size, pads in zip(input.shape[2:], windows.pads, strict=True))
        raise RuntimeError(
            f"Calculated padded input size per channel: ({padded}). Kernel size: ({' x '.join(map(str, kernel))}). "
            f"Kernel size can't be greater than actual input size (dilation {list(windows.dilation)})"
        )
    dtypes = {"weight": weight.dtype} if bias is None else {"weight": weight.dtype, "bias": bias.dtype}
    for name, dtype in dtypes.items():
        if dtype != input.dtype:
            raise RuntimeError(f"Input type ({input.dtype}) and {name} type ({dtype}) should be the same")
