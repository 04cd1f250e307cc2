"""Where pooling's windows lie along one dimension, at equal steps or unevenly, and how they are read.

A window in several dimensions is a product of windows in one: its maximum is the maximum of maxima, its sum the sum of
sums. So pooling goes through the dimensions one after the other, and this file knows only one. A 3x3 window costs
two comparisons and two instead of eight.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from minimodels.functional import placement
from minimodels.functional.layout import image_layout
from minimodels.functional.padding import pad

CHUNK = 1 << 20
"""Elements of the input at a time on a CPU: the temporaries stay in the cache, and their memory is used again."""


class Even(NamedTuple):
    """Windows of one size at equal steps: window p reads the elements s·p − padding + d·i for i = 0 … kernel − 1.

    Attributes:
        size: how many elements the dimension has.
        windows: how many windows there are.
        kernel: how many elements a window reads.
        stride: s, step from one window to the next.
        padding: elements that stand in front of the first; behind the last stand as many as are needed.
        dilation: d, spacing between the elements of a window.

    Example:
        >>> Even(size=5, windows=2, kernel=2, stride=2, padding=0, dilation=1).total(torch.arange(5.0), -1)
        tensor([1., 5.])
    """

    size: int
    windows: int
    kernel: int
    stride: int
    padding: int
    dilation: int

    def starts(self, device: torch.device) -> Tensor:
        """Say where each window begins, [windows]; negative in the padding.

        Args:
            device: where the tensor goes.
        """
        return torch.arange(self.windows, device=device) * self.stride - self.padding

    def first(self, device: torch.device) -> int | Tensor:
        """Say how far behind its start each window meets the first element that is no padding: 0, or [windows].

        Args:
            device: where the tensor goes.
        """
        if not self.padding:
            return 0
        outside = (-self.starts(device)).clamp(min=0)
        return (outside + self.dilation - 1) // self.dilation * self.dilation

    def offsets(self, device: torch.device) -> list[int | Tensor]:
        """Say how far behind the start each element of a window lies.

        Args:
            device: of no importance here: the answers are numbers.
        """
        return [i * self.dilation for i in range(self.kernel)]

    def reach(self) -> int:
        """Say how far behind its start a window's last element lies."""
        return (self.kernel - 1) * self.dilation

    def pads(self) -> tuple[int, int]:
        """Say how much padding the windows read in front of the dimension and behind it."""
        last = (self.windows - 1) * self.stride - self.padding
        return self.padding, max(0, last + self.reach() + 1 - self.size)

    def elements(self, x: Tensor, axis: int, dense: bool = False) -> list[Tensor]:
        """List every window's first element, every window's second, and so on: views.

        Args:
            x: what is pooled, padded.
            axis: its dimension, counted from the end.
            dense: copy each phase of a stride along the last dimension first, where elements are read many times.
        """
        places = [divmod(i * self.dilation, self.stride) for i in range(self.kernel)]
        phases = {phase: _every(x, axis, phase, self.stride) for _, phase in places}
        if dense and axis == -1 and self.stride > 1 and x.stride(-1) == 1:  # vector instructions want neighbours
            phases = {phase: part.contiguous() for phase, part in phases.items()}
        return [phases[phase].narrow(axis, place, self.windows) for place, phase in places]

    def total(self, x: Tensor, axis: int) -> Tensor:
        """Add up every window.

        Args:
            x: what is pooled, padded.
            axis: its dimension, counted from the end.
        """
        if self.kernel > 3 and self.tiles():  # one reduction instead of many sums
            tiles: Tensor = x.narrow(axis, 0, self.windows * self.kernel).unflatten(axis, (self.windows, self.kernel))
            return tiles.sum(axis)
        first, *others = self.elements(x, axis)
        for element in others:
            first = first + element
        return first

    def spread(self, gradient: Tensor, axis: int) -> Tensor:
        """Give every element the sum of the gradients of the windows that read it: `total` backwards.

        Args:
            gradient: the windows' gradients.
            axis: the dimension, counted from the end.
        """
        shape = list(gradient.shape)
        shape[axis] = self.size + sum(self.pads())
        layout = image_layout(gradient)
        x = torch.empty(shape, dtype=gradient.dtype, device=gradient.device, memory_format=layout)
        if self.cuts():
            for view in self.elements(x, axis):
                view.copy_(gradient)
        else:
            for view in self.elements(x.zero_(), axis):
                view.add_(gradient)
        return x.narrow(axis, self.padding, self.size) if any(self.pads()) else x

    def lengths(self, device: torch.device, padding_counts: bool) -> int | Tensor:
        """Count the elements of each window: a number if all have as many, else [windows].

        Args:
            device: where the tensor goes.
            padding_counts: the padding that was asked for counts; what a last window reads beyond it never does.
        """
        margin = self.padding if padding_counts else 0
        if max(self.pads()) <= margin:
            return self.kernel
        starts = self.starts(device)
        return (starts + self.kernel).clamp(max=self.size + margin) - starts.clamp(min=-margin)

    def cuts(self) -> bool:
        """Say whether the windows cut the dimension into parts: each of its elements is read once."""
        return self.tiles() and self.size == self.windows * self.kernel

    def tiles(self) -> bool:
        """Say whether the windows stand side by side, without gaps, overlap or padding."""
        return self.stride == self.kernel and self.dilation == 1 and not any(self.pads())


class Uneven(NamedTuple):
    """Windows that share a dimension out: window p of m reads the elements ⌊p·n/m⌋ … ⌈(p + 1)·n/m⌉ − 1 of n.

    Attributes:
        size: n, how many elements the dimension has.
        windows: m, how many windows there are.

    Example:
        >>> Uneven(size=5, windows=2).total(torch.arange(5.0), -1)  # 0 + 1 + 2 and 2 + 3 + 4
        tensor([3., 9.])
    """

    size: int
    windows: int

    def starts(self, device: torch.device) -> Tensor:
        """Say where each window begins, [windows].

        Args:
            device: where the tensor goes.
        """
        return torch.arange(self.windows, device=device) * self.size // max(1, self.windows)

    def first(self, device: torch.device) -> int | Tensor:
        """Say how far behind its start each window meets its first element: at once.

        Args:
            device: of no importance here.
        """
        return 0

    def offsets(self, device: torch.device) -> list[int | Tensor]:
        """Say how far behind the start each element of a window lies; a short window repeats its last.

        Args:
            device: where the tensors go.
        """
        lengths = self._lengths(device)
        return [(lengths - 1).clamp(max=i) for i in range(self._longest())]

    def reach(self) -> int:
        """Say how far behind its start the longest window's last element lies."""
        return self._longest() - 1

    def pads(self) -> tuple[int, int]:
        """Say how much padding the windows read: none."""
        return 0, 0

    def elements(self, x: Tensor, axis: int, dense: bool = False) -> list[Tensor]:
        """List every window's first element, every window's second, and so on; a short window repeats its last.

        Args:
            x: what is pooled.
            axis: its dimension, counted from the end.
            dense: of no importance here: these are copies.
        """
        starts = self.starts(x.device)
        return [x.index_select(axis, starts + offset) for offset in self.offsets(x.device)]

    def total(self, x: Tensor, axis: int) -> Tensor:
        """Add up every window.

        Args:
            x: what is pooled.
            axis: its dimension, counted from the end.
        """
        lengths = self._lengths(x.device).view(-1, *[1] * (-axis - 1))
        first, *others = self.elements(x, axis)
        for i, element in enumerate(others, start=1):
            first = first + element.where(lengths > i, 0)  # a repeated element counts once; a product would spread NaN
        return first

    def spread(self, gradient: Tensor, axis: int) -> Tensor:
        """Give every element the sum of the gradients of the windows that read it: `total` backwards.

        Element t is read by the windows ⌊t·m/n⌋ … ⌈(t + 1)·m/n⌉ − 1: the same rule with n and m exchanged.

        Args:
            gradient: the windows' gradients.
            axis: the dimension, counted from the end.
        """
        if not self.windows:  # nobody reads anything
            shape = [*gradient.shape]
            shape[axis] = self.size
            return gradient.new_zeros(shape)
        return Uneven(self.windows, self.size).total(gradient, axis)

    def lengths(self, device: torch.device, padding_counts: bool) -> int | Tensor:
        """Count the elements of each window, [windows].

        Args:
            device: where the tensor goes.
            padding_counts: of no importance here: there is no padding.
        """
        return self._lengths(device)

    def _lengths(self, device: torch.device) -> Tensor:
        windows = max(1, self.windows)
        ends = -((torch.arange(self.windows, device=device) + 1) * -self.size // windows)
        return ends - self.starts(device)

    def _longest(self) -> int:
        """The length of the longest window."""
        n, m = self.size, self.windows
        return max([1, *[-((p + 1) * -n // m) - p * n // m for p in range(m)]])


Spans = tuple[Even | Uneven, ...]
"""The windows along each spatial dimension, the first dimension first."""


def padded(x: Tensor, spans: Spans, value: float) -> Tensor:
    """Lay around the last dimensions what their windows read beyond the edges.

    Args:
        x: what is pooled.
        spans: the windows along each of its last dimensions.
        value: what the padding is.

    Example:
        >>> padded(torch.ones(1, 2), (Even(size=2, windows=2, kernel=2, stride=2, padding=1, dilation=1),), 0)
        tensor([[0., 1., 1., 0.]])
    """
    sizes = [size for span in reversed(spans) for size in span.pads()]
    return pad(x, sizes, value=value) if any(sizes) else x


def in_chunks(function: Callable[[Tensor], tuple[Tensor, ...]], x: Tensor) -> list[Tensor]:
    """Apply a function to a part of the batch at a time; under a compiler, which plans its memory itself, to all.

    Took the winners of 8 images of 64x112x112, 3x3 windows, from 62 to 52 ms on one thread, the sums from 19 to 14.

    Args:
        function: gives tensors for a tensor, sample by sample.
        x: the batch.

    Example:
        >>> in_chunks(lambda part: (part + 1, part - 1), torch.ones(2))
        [tensor([2., 2.]), tensor([0., 0.])]
    """
    whole = torch.compiler.is_compiling() or placement.launches(x) or x.numel() <= CHUNK
    parts = [x] if whole else x.split(max(1, CHUNK * x.shape[0] // x.numel()))
    results = [function(part) for part in parts]
    return list(results[0]) if len(results) == 1 else [torch.cat(pieces) for pieces in zip(*results, strict=True)]


def _every(x: Tensor, axis: int, first: int, step: int) -> Tensor:
    """Take every so-manieth element along a dimension: a view."""
    everything: list[slice] = [slice(None)] * x.ndim
    everything[axis] = slice(first, None, step)
    return x if step == 1 else x[tuple(everything)]
