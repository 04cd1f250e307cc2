"""Pooling over windows: each output is the largest element that its window covers."""

import functools

import torch
from torch import Tensor

from minimodels.functional.layout import image_layout
from minimodels.functional.padding import pad
from minimodels.functional.transforms import plain_autograd
from minimodels.shapes import Windows, effective_kernel_size, ntuple, pool_output_size
from minimodels.tap import listened, tap


def max_pool2d(
    input: Tensor,
    kernel_size: int | tuple[int, ...],
    stride: int | tuple[int, ...] | None = None,
    padding: int | tuple[int, ...] = 0,
    dilation: int | tuple[int, ...] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Take the largest element of each window: y[n, c, p, q] = max_{i, j} x[n, c, s·p + d·i, s·q + d·j].

    x is padded with −∞, so that padding never wins. Among equals the first in reading order wins, and it alone
    receives the gradient; a NaN wins over everything. Hence pooling is an argmax, found without a derivative, and a
    gather, whose derivative of any order is autograd's.

    Args:
        input: one image or a batch.
        kernel_size: the window; one number, or one for height and one for width.
        stride: step from one window to the next; None is the window's size.
        padding: −∞ on either side, at most half the window.
        dilation: spacing between the elements of a window.
        ceil_mode: round the output size up; the last window may then hang over the edge.
        return_indices: give the winners' places too, as i·W + j within each image.

    Shape:
        - input: [N, C, H, W] or [C, H, W]
        - Output: [N, C, P, Q] or [C, P, Q], P = ⌊(H + 2·padding − d·(kH − 1) − 1) / s⌋ + 1 (⌈⌉ with ceil_mode)
        - indices: as the output, int64

    Raises:
        RuntimeError: shapes or numbers do not fit together; the message says which.
        NotImplementedError: the numbers have no order (complex, bool).

    Cost: kH·kW comparisons an output; with a derivative, about four times that, and the winners' places (int64) are
        kept for it.

    References: Weng, Ahuja & Huang 1992 (the cresceptron), doi:10.1109/IJCNN.1992.287150.

    See: `minimodels.nn.MaxPool2d`; tests/functional/test_pooling.py.

    Example:
        >>> x = torch.tensor([[[1.0, 5.0, 2.0, 0.0], [4.0, 3.0, 1.0, 7.0]]])
        >>> max_pool2d(x, 2, return_indices=True)
        (tensor([[[5., 7.]]]), tensor([[[1, 7]]]))
    """
    kernel = _pair("kernel_size", kernel_size)
    steps = kernel if stride is None or stride == () else _pair("stride", stride)
    margins, spacing = _pair("padding", padding), _pair("dilation", dilation)
    counts = _checked_counts(input, kernel, steps, margins, spacing, ceil_mode)
    after = (
        max(
            0, (count - 1) * s + effective_kernel_size(k, d) - size - p
        )  # ceil_mode's last window reads beyond the padding
        for count, s, k, d, size, p in zip(counts, steps, kernel, spacing, input.shape[-2:], margins, strict=True)
    )
    windows = Windows(kernel, steps, tuple(zip(margins, after, strict=True)), spacing, groups=1)
    differentiated = input.requires_grad and torch.is_grad_enabled()
    if not (differentiated or return_indices or listened()) and plain_autograd():
        return _largest(input, windows, counts).contiguous(memory_format=image_layout(input))
    with torch.no_grad():
        winners = _winners(input, windows, counts)  # [N, C, P, Q], places in the image
    winners = tap("pooling.indices", winners.contiguous(memory_format=image_layout(input)))
    output = input.flatten(-2).gather(-1, winners.flatten(-2)).unflatten(-1, counts)
    output = output.contiguous(memory_format=image_layout(input))
    return (output, winners) if return_indices else output


def _largest(x: Tensor, windows: Windows, counts: tuple[int, int]) -> Tensor:
    """Take the maximum alone, where nobody asks who it was."""
    return functools.reduce(torch.maximum, _elements(x, windows, counts))


def _winners(x: Tensor, windows: Windows, counts: tuple[int, int]) -> Tensor:
    """Find each window's winner: go through its elements in reading order and note the last that beat all before it.

    Elements are numbered in that order, so the last to take the lead is the largest number that did: a maximum over
    small integers, which costs less than writing places under a mask.
    """
    best, *others = _elements(x, windows, counts)
    small = torch.uint8 if len(others) < 256 else torch.int32
    winner = _first_inside(x, windows, counts).to(small).expand(best.shape)  # padding never leads
    for number, value in enumerate(others, start=1):
        leads = (value > best) | (value != value)  # NaN beats everything, also an earlier NaN
        winner = torch.maximum(winner, leads.to(small).mul_(number))
        best = torch.maximum(best, value)
    return _places(winner, x.shape[-1], windows, counts)


def _elements(x: Tensor, windows: Windows, counts: tuple[int, int]) -> list[Tensor]:
    """List every window's first element, every window's second, and so on: each a strided view of the padded input."""
    if any(map(any, windows.pads)):
        lowest = -torch.inf if x.is_floating_point() else torch.iinfo(x.dtype).min
        x = pad(x, [size for pads in reversed(windows.pads) for size in pads], value=lowest)
    reads = (windows.met_by(element, counts) for element in windows.elements())
    return [x[..., rows, columns] for rows, columns in reads]


def _first_inside(x: Tensor, windows: Windows, counts: tuple[int, int]) -> Tensor:
    """Number the first element of each window that lies inside of the image: the winner until somebody beats it."""
    rows, columns = (
        (before - stride * torch.arange(count, device=x.device)).clamp(min=0).add(dilation - 1) // dilation
        for (before, _), stride, dilation, count in zip(
            windows.pads, windows.stride, windows.dilation, counts, strict=True
        )
    )
    return rows[:, None] * windows.kernel[1] + columns  # [P, Q]


def _places(winner: Tensor, width: int, windows: Windows, counts: tuple[int, int]) -> Tensor:
    """Translate a window's winner, numbered within the window, into its place in the image, i·W + j."""
    (top, _), (left, _) = windows.pads
    down, across = windows.dilation
    within = [
        torch.arange(k, device=winner.device) * d for k, d in zip(windows.kernel, (down * width, across), strict=True)
    ]
    offsets = (within[0][:, None] + within[1]).flatten()  # from a window's corner to each of its elements
    rows = torch.arange(counts[0], device=winner.device) * windows.stride[0] - top
    columns = torch.arange(counts[1], device=winner.device) * windows.stride[1] - left
    corners = rows[:, None] * width + columns  # [P, Q], where each window begins; negative in the padding
    return offsets.index_select(0, winner.flatten().to(torch.int32)).view(winner.shape) + corners


def _pair(name: str, value: int | tuple[int, ...]) -> tuple[int, int]:
    values = ntuple(value, 2)
    values = values * 2 if len(values) == 1 else values
    if len(values) != 2:
        raise RuntimeError(f"max_pool2d: {name} must either be a single int, or a tuple of two ints")
    return values[0], values[1]


def _checked_counts(
    input: Tensor,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    ceil_mode: bool,
) -> tuple[int, int]:
    """Check everything, in the words that PyTorch's users know, and count the windows down and across."""
    if input.ndim not in (3, 4):
        raise RuntimeError(f"non-empty 3D or 4D (batch mode) tensor expected for input, but got {list(input.shape)}")
    if input.is_complex() or input.dtype is torch.bool:
        raise NotImplementedError(f'"max_pool2d" not implemented for {input.dtype}')
    if 0 in input.shape[-3:]:
        raise RuntimeError(
            "Expected 3D or 4D (batch mode) tensor with optional 0 dim batch size for input, "
            f"but got: {list(input.shape)}"
        )
    for name, values in (("kernel size", kernel), ("stride", stride), ("dilation", dilation)):
        if min(values) <= 0:
            raise RuntimeError(f"max_pool2d: {name} should be greater than zero, but got {list(values)}")
    for p, k, d in zip(padding, kernel, dilation, strict=True):
        if p < 0:
            raise RuntimeError(f"pad must be non-negative, but got pad: {p}")
        if p > k // 2:
            raise RuntimeError(
                "pad should be at most half of effective kernel size, "
                f"but got pad={p}, kernel_size={k} and dilation={d}"
            )
    rows, columns = (
        pool_output_size(size, p, k, d, s, ceil_mode)
        for size, p, k, d, s in zip(input.shape[-2:], padding, kernel, dilation, stride, strict=True)
    )
    if rows < 1 or columns < 1:
        raise RuntimeError(
            f"Given input size: {tuple(input.shape[-3:])}. "
            f"Calculated output size: {(input.shape[-3], rows, columns)}. Output size is too small"
        )
    return rows, columns
