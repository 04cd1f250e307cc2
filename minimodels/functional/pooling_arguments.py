"""What a caller of pooling may say, brought into one form and checked in the words that PyTorch's users know."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from minimodels.functional.arguments import spread, whole
from minimodels.functional.pooling_spans import Even, Spans, Uneven
from minimodels.functional.precision import autocast_to_float32
from minimodels.shapes import ntuple, pool_output_size

Numbers = Literal["ordered", "averaged", "real"]
"""Which numbers an operation takes: those with an order; real ones and int64; real ones alone."""


def as_volume(input: Tensor, keeps_layout: bool = False) -> Tensor:
    """Give a volume in the precision and the layout in which PyTorch pools it.

    On a CPU, autocast has volumes pooled in float32; and only `max_pool3d` hands a channels-last layout on.

    Args:
        input: what is pooled.
        keeps_layout: whether it stays laid out as it is.
    """
    input = autocast_to_float32(input, input) if input.is_cpu else input
    return input if keeps_layout else input.contiguous()


def even_spans(
    name: str,
    input: Tensor,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None,
    padding: int | Sequence[int],
    dilation: int | Sequence[int],
    ceil_mode: bool,
    numbers: Numbers,
) -> Spans:
    """Check the arguments of pooling over windows of a given size, and lay the windows out.

    Args:
        name: the caller's, "max_pool2d"; the digit says how many spatial dimensions there are.
        input: what is pooled.
        kernel_size: the window.
        stride: step from one window to the next; None, or nothing, is the window's size.
        padding: elements on either side.
        dilation: spacing between the elements of a window.
        ceil_mode: round the output size up.
        numbers: which numbers the operation takes.

    Raises:
        RuntimeError: shapes or numbers do not fit together; the message says which.
        NotImplementedError: the input's numbers are not such.
        TypeError: what should be whole numbers is something else.
    """
    dims = int(name[-2])
    _check_dimensions(name, input, dims)
    kernel = spread(kernel_size, dims, f"{name}: kernel_size")
    steps = kernel if stride is None or stride in ((), []) else spread(stride, dims, f"{name}: stride")
    margins, spacing = spread(padding, dims, f"{name}: padding"), spread(dilation, dims, f"{name}: dilation")
    _check_sizes(name, input, dims, kernel, steps, margins, spacing)
    size = tuple(map(whole, input.shape[-dims:]))
    if name == "avg_pool3d" and any(k > n for k, n in zip(kernel, size, strict=True)):  # PyTorch's, here alone
        raise RuntimeError(f"{name}: input size {size} is smaller than kernel size {kernel}")
    counts = tuple(
        pool_output_size(n, p, k, d, s, ceil_mode)
        for n, p, k, d, s in zip(size, margins, kernel, spacing, steps, strict=True)
    )
    if min(counts) < 1:
        raise RuntimeError(
            f"Given input size: {tuple(input.shape[-dims - 1 :])}. "
            f"Calculated output size: {(input.shape[-dims - 1], *counts)}. Output size is too small"
        )
    _check_numbers(name, input, numbers)
    return tuple(map(Even, size, counts, kernel, steps, margins, spacing))


def shared_spans(
    name: str, input: Tensor, output_size: int | Sequence[int | None] | None, numbers: Numbers, channels: bool
) -> Spans:
    """Check the arguments of adaptive pooling, and share each dimension out among its windows.

    Args:
        name: the caller's, "adaptive_avg_pool2d"; the digit says how many spatial dimensions there are.
        input: what is pooled.
        output_size: how many windows; None keeps a dimension as it is.
        numbers: which numbers the operation takes.
        channels: a batch has to have channels.

    Raises:
        RuntimeError: shapes or numbers do not fit together; the message says which.
        ValueError: more output sizes than the input has dimensions.
        NotImplementedError: the input's numbers are not such.
        TypeError: what should be whole numbers is something else.
    """
    dims = int(name[-2])
    if input.ndim not in (dims + 1, dims + 2):
        raise RuntimeError(f"{name}(): Expected {dims + 1}D or {dims + 2}D tensor, but got {list(input.shape)}")
    if 0 in input.shape[1 if channels else -dims :]:
        raise RuntimeError(
            f"{name}(): Expected input to have non-zero size for non-batch dimensions, "
            f"but input has sizes {list(input.shape)}"
        )
    counts = _counts(name, input, output_size, dims)
    if any(count < 0 for count in counts):
        raise RuntimeError(f"{name}: elements of output_size must be greater than or equal to 0, but got {counts}")
    _check_numbers(name, input, numbers)
    return tuple(map(_shared, map(whole, input.shape[-dims:]), counts))


def _shared(size: int, count: int) -> Even | Uneven:
    """Share a dimension out; with a remainder of none or one the windows are all alike and stand at equal steps."""
    step, remainder = divmod(size, max(1, count))
    return Even(size, count, step + remainder, step, 0, 1) if count and step and remainder < 2 else Uneven(size, count)


def _counts(name: str, input: Tensor, output_size: int | Sequence[int | None] | None, dims: int) -> tuple[int, ...]:
    """Give each spatial dimension its number of windows."""
    values: tuple[Any, ...] = ntuple(output_size, dims)  # type: ignore[arg-type]
    if dims > 1 and len(values) >= input.ndim:
        raise ValueError(f"{name}: an input of {input.ndim} dimensions has no {len(values)} output sizes")
    if len(values) != dims:
        raise RuntimeError(f"{name}: output_size must be one int or {dims}, but got {output_size}")
    if dims > 1 and output_size is not None:
        values = tuple(n if v is None else v for v, n in zip(values, input.shape[-dims:], strict=True))
    return tuple(map(whole, values))


def _check_dimensions(name: str, input: Tensor, dims: int) -> None:
    if input.ndim not in (dims + 1, dims + 2):
        # PyTorch asks for the channels first there, and misses them as an index
        error = IndexError if name == "avg_pool2d" and input.ndim <= dims else RuntimeError
        raise error(
            f"{name}: non-empty {dims + 1}D or {dims + 2}D (batch mode) tensor expected for input, "
            f"but got {list(input.shape)}"
        )


def _check_sizes(
    name: str,
    input: Tensor,
    dims: int,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
) -> None:
    if 0 in input.shape[-dims - 1 :]:
        raise RuntimeError(
            f"{name}: Expected {dims + 1}D or {dims + 2}D (batch mode) tensor with optional 0 dim batch size for "
            f"input, but got: {list(input.shape)}"
        )
    for argument, values in (("kernel size", kernel), ("stride", stride), ("dilation", dilation)):
        if min(values) <= 0:
            raise RuntimeError(f"{name}: {argument} should be greater than zero, but got {list(values)}")
    for p, k, d in zip(padding, kernel, dilation, strict=True):
        if p < 0:
            raise RuntimeError(f"pad must be non-negative, but got pad: {p}")
        if p > k // 2:
            raise RuntimeError(
                "pad should be at most half of effective kernel size, "
                f"but got pad={p}, kernel_size={k} and dilation={d}"
            )


def _check_numbers(name: str, input: Tensor, numbers: Numbers) -> None:
    integers = not input.is_floating_point() and not input.is_complex() and input.dtype is not torch.bool
    fit = {"ordered": integers, "averaged": input.dtype is torch.int64, "real": False}[numbers]
    if not (input.is_floating_point() or fit):
        raise NotImplementedError(f'"{name}" not implemented for {input.dtype}')
