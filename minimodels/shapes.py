"""Integer arithmetic of layers: how many numbers go where. No tensor is seen on this floor.

Three names are used throughout: `kernel` (how many elements a window reads), `dilation` (the spacing
between them) and the effective kernel size, dilation·(kernel − 1) + 1 (how many elements the window spans).
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

Pads = tuple[tuple[int, int], ...]  # (before, after) of each spatial dimension, first dimension first


def ntuple(value: int | Iterable[int], n: int) -> tuple[int, ...]:
    """Repeat a single number n times; take a sequence as it is.

    Args:
        value: one number for all dimensions, or one number a dimension.
        n: the number of dimensions.

    Example:
        >>> ntuple(3, 2), ntuple((1, 2), 2)
        ((3, 3), (1, 2))
    """
    return tuple(value) if isinstance(value, Iterable) else (value,) * n


def effective_kernel_size(kernel: int, dilation: int) -> int:
    """Count the elements that a window spans, holes included: dilation·(kernel − 1) + 1.

    Args:
        kernel: elements read by the window.
        dilation: spacing between them.

    Example:
        >>> effective_kernel_size(3, 1), effective_kernel_size(3, 2)
        (3, 5)
    """
    return dilation * (kernel - 1) + 1


def output_size(size: int, pads: tuple[int, int], kernel: int, dilation: int, stride: int) -> int:
    """Count the places at which a window fits: ⌊(size + pads − effective kernel size) / stride⌋ + 1.

    Args:
        size: length of the dimension.
        pads: elements added before and after it.
        kernel: elements read by the window.
        dilation: spacing between them.
        stride: step from one window to the next.

    Example:
        >>> output_size(28, (0, 0), 3, 1, 1)  # the first convolution of the digit network
        26
        >>> output_size(224, (3, 3), 7, 1, 2)  # the first convolution of ResNet
        112
    """
    return (size + sum(pads) - effective_kernel_size(kernel, dilation)) // stride + 1


def pool_output_size(size: int, padding: int, kernel: int, dilation: int, stride: int, ceil_mode: bool) -> int:
    """Count pooling windows; with `ceil_mode` the last one may hang over the end, if it starts before it.

    Args:
        size: length of the dimension.
        padding: elements added on either side.
        kernel: elements read by the window.
        dilation: spacing between them.
        stride: step from one window to the next.
        ceil_mode: round up instead of down; a window that would start in the right padding is dropped.

    Example:
        >>> pool_output_size(5, 0, 2, 1, 2, ceil_mode=False), pool_output_size(5, 0, 2, 1, 2, ceil_mode=True)
        (2, 3)
    """
    if not ceil_mode:
        return output_size(size, (padding, padding), kernel, dilation, stride)
    count = -((effective_kernel_size(kernel, dilation) - size - 2 * padding) // stride) + 1
    return count - 1 if (count - 1) * stride >= size + padding else count


def same_pads(kernel: Sequence[int], dilation: Sequence[int]) -> Pads:
    """Pad so that stride 1 keeps the size: effective kernel size − 1 elements, the odd one after.

    Args:
        kernel: kernel size of each dimension.
        dilation: dilation of each dimension.

    Example:
        >>> same_pads((3, 4), (1, 1))
        ((1, 1), (1, 2))
    """
    totals = [effective_kernel_size(k, d) - 1 for k, d in zip(kernel, dilation, strict=True)]
    return tuple((total // 2, total - total // 2) for total in totals)


class Windows(NamedTuple):
    """How a convolution's windows lie over its input: everything about it but the numbers.

    Attributes:
        kernel: elements a window reads, per spatial dimension.
        stride: step from one window to the next.
        pads: zeros (before, after) each dimension.
        dilation: spacing between the elements of a window.
        groups: into how many independent blocks the channels fall.

    Example:
        >>> windows = Windows(kernel=(3, 3), stride=(2, 2), pads=((1, 1), (1, 1)), dilation=(1, 1), groups=1)
        >>> windows.output_size((8, 9))
        (4, 5)
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    pads: Pads
    dilation: tuple[int, ...]
    groups: int

    def output_size(self, size: Sequence[int]) -> tuple[int, ...]:
        """Give the output size for an input size.

        Args:
            size: spatial size of the input.
        """
        return tuple(map(output_size, size, self.pads, self.kernel, self.dilation, self.stride))

    def elements(self) -> Iterator[tuple[int, ...]]:
        """Go through the kernel's elements in reading order, the last dimension fastest.

        Example:
            >>> list(Windows((1, 2), (1, 1), ((0, 0), (0, 0)), (1, 1), 1).elements())
            [(0, 0), (0, 1)]
        """
        return itertools.product(*map(range, self.kernel))

    def met_by(self, element: tuple[int, ...], counts: Sequence[int]) -> tuple[slice, ...]:
        """Slice out the padded input's elements that one kernel element meets: s·p + d·i for p = 0 … counts − 1.

        Args:
            element: i, a position in the kernel.
            counts: the output size.
        """
        starts = [i * d for i, d in zip(element, self.dilation, strict=True)]
        steps = zip(starts, counts, self.stride, strict=True)
        return tuple(
            slice(start, start + effective_kernel_size(count, stride), stride) for start, count, stride in steps
        )

    def shared_by(
        self, element: tuple[int, ...], size: Sequence[int], counts: Sequence[int]
    ) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
        """Slice out the input's elements that one kernel element meets, and the outputs to which they belong.

        Element i of output p meets input s·p + d·i − before; here are the p for which that is no padding.

        Args:
            element: i, a position in the kernel.
            size: the input's spatial size.
            counts: the output size.

        Example:
            >>> Windows((3,), (1,), ((1, 1),), (1,), 1).shared_by((2,), (5,), (5,))  # outputs 0 to 3 meet inputs 1 to 4
            ((slice(1, 5, 1),), (slice(0, 4, None),))
        """
        read, written = [], []
        axes = zip(element, self.stride, self.pads, self.dilation, size, counts, strict=True)
        for i, s, (before, _), d, length, count in axes:
            offset = d * i - before
            first = max(0, -(offset // s))  # the least p with s·p + offset ≥ 0
            last = max(
                first, min(count, (length - 1 - offset) // s + 1)
            )  # behind the largest with s·p + offset < length
            written.append(slice(first, last))
            read.append(slice(s * first + offset, max(s * first + offset, s * (last - 1) + offset + 1), s))
        return tuple(read), tuple(written)

    def inside(self, size: Sequence[int]) -> tuple[slice, ...]:
        """Slice the input out of the padded input.

        Args:
            size: the input's spatial size.
        """
        return tuple(slice(before, before + length) for length, (before, _) in zip(size, self.pads, strict=True))

    def padded(self, size: Sequence[int]) -> tuple[int, ...]:
        """Give the size with the padding.

        Args:
            size: the input's spatial size.
        """
        return tuple(length + sum(pads) for length, pads in zip(size, self.pads, strict=True))

    def mirrored(self) -> "Windows":
        """Give the windows through which a gradient flows back over a stride of 1.

        Input element x was read by output x + before − d·i for each kernel element i. Read backwards, that is a
        correlation with the flipped kernel, padded by e − 1 − before and e − 1 − after, where e is the effective
        kernel size (a negative number crops).
        """
        spans = [effective_kernel_size(k, d) - 1 for k, d in zip(self.kernel, self.dilation, strict=True)]
        pads = tuple((span - before, span - after) for span, (before, after) in zip(spans, self.pads, strict=True))
        return self._replace(pads=pads)
