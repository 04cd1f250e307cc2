"""What stands around the edge of a signal: zeros, its mirror image, its last value, its other end."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from minimodels.functional.layout import image_layout
from minimodels.functional.precision import autocast_to_float32


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """Lengthen (or, with negative numbers, shorten) the last dimensions of a tensor.

    With n elements and b more in front, output element j reads input element i = j − b where that exists; else

    - constant: `value`;
    - reflect: the mirror image about the edge element, which is not repeated;
    - replicate: the edge element;
    - circular: element i mod n.

    Args:
        input: what to pad.
        pad: (before, after) of the last dimension, then of the one before it, and so on.
        mode: "constant", "reflect", "replicate" or "circular".
        value: what to fill with in constant mode; None is 0.

    Shape:
        - input: [*, n]
        - Output: [*, before + n + after], and so on for earlier dimensions

    Raises:
        RuntimeError: an odd number of sizes, more sizes than dimensions, or more elements wanted than there are.
        NotImplementedError: the mode is not one of the four, or one other than constant is given sizes for other
            dimensions than all but the channels and the batch.

    Cost: one copy of the output; in the other modes, one for each dimension that is padded.

    See: tests/functional/test_padding.py.

    Example:
        >>> pad(torch.tensor([[1, 2, 3]]), (2, 1)), pad(torch.tensor([[1, 2, 3]]), (2, 1), "reflect")
        (tensor([[0, 0, 1, 2, 3, 0]]), tensor([[3, 2, 1, 2, 3, 2]]))
    """
    if len(pad) % 2:
        raise RuntimeError(f"pad needs a (before, after) pair a dimension, but got {len(pad)} sizes")
    if len(pad) // 2 > input.ndim:
        raise RuntimeError(f"pad of {len(pad) // 2} dimensions does not fit an input of {input.ndim} dimensions")
    if mode == "constant":
        return _constant(input, pad, 0 if value is None else value).contiguous(memory_format=image_layout(input))
    if mode not in _SOURCES:
        raise NotImplementedError(f"padding mode must be constant, reflect, replicate or circular, but got {mode!r}")
    if value is not None and value != 0:
        raise RuntimeError(f"padding mode {mode!r} takes no value, but got {value}")
    if len(pad) // 2 not in (input.ndim - 2, input.ndim - 1):
        raise NotImplementedError(
            f"padding mode {mode!r} pads all dimensions but the channels and the batch, "
            f"but got {len(pad)} sizes for an input of {input.ndim} dimensions"
        )
    padded = autocast_to_float32(input, input) if _runs_in_float32(input, mode, len(pad)) else input
    for step, (before, after) in enumerate(zip(pad[::2], pad[1::2], strict=True)):
        dim = input.ndim - 1 - step
        if before or after:
            padded = padded.index_select(dim, _SOURCES[mode](input.shape[dim], before, after, input.device))
    padded = padded.clone() if padded is input else padded  # a layer's output is never its input's memory
    return padded.contiguous() if mode == "circular" else padded.contiguous(memory_format=image_layout(input))


def _runs_in_float32(input: Tensor, mode: str, sizes: int) -> bool:
    """Whether autocast, on a CPU, wants the mode in float32: replication, and reflection of less than volumes."""
    return input.is_cpu and (mode == "replicate" or (mode == "reflect" and sizes < 6))


def _constant(input: Tensor, pad: Sequence[int], value: float) -> Tensor:
    """Cut what negative sizes cut, make room for the rest, fill the margins and copy the input in between."""
    shape, inside = list(input.shape), [slice(None)] * input.ndim
    for step, (before, after) in enumerate(zip(pad[::2], pad[1::2], strict=True)):
        dim = input.ndim - 1 - step
        length = input.shape[dim]
        shape[dim] = length + before + after
        if shape[dim] < 0:
            raise RuntimeError(f"pad ({before}, {after}) cuts more than dimension {dim} of length {length} has")
        first, last = max(-before, 0), length - max(-after, 0)
        input = input.narrow(dim, first, max(last - first, 0)) if before < 0 or after < 0 else input
        inside[dim] = slice(max(before, 0), shape[dim] - max(after, 0))
    last = image_layout(input) is not torch.contiguous_format
    if last:
        input = input.movedim(1, -1)
        shape.append(shape.pop(1))
        inside.append(inside.pop(1))
    padded = input.new_full(shape, value)
    padded[tuple(inside)] = input  # not through a view: a view that was written to refuses the next write
    return padded.movedim(-1, 1) if last else padded


def _reflected(n: int, before: int, after: int, device: torch.device) -> Tensor:
    if max(before, after) >= n:
        raise RuntimeError(f"reflect padding ({before}, {after}) must be smaller than the dimension, which is {n} long")
    i = torch.arange(-before, n + after, device=device).abs()  # the mirror in front
    return (n - 1) - ((n - 1) - i).abs()  # and the one behind


def _replicated(n: int, before: int, after: int, device: torch.device) -> Tensor:
    if n == 0:
        raise RuntimeError("replicate padding needs an element to repeat, but a dimension is empty")
    return torch.arange(-before, n + after, device=device).clamp(0, n - 1)


def _wrapped(n: int, before: int, after: int, device: torch.device) -> Tensor:
    if max(before, after) > n:
        raise RuntimeError(f"circular padding ({before}, {after}) would wrap around a dimension of {n} more than once")
    first, last = max(-before, 0), n - max(-after, 0)  # negative sizes crop first; what is left is wrapped
    before, after = max(before, 0), max(after, 0)
    return torch.arange(-before, last - first + after, device=device) % (last - first) + first


_SOURCES: dict[str, Callable[[int, int, int, torch.device], Tensor]] = {
    "reflect": _reflected,
    "replicate": _replicated,
    "circular": _wrapped,
}
