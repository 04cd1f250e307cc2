"""What im2col reads its windows from: a chunk of the batch, with the zeros around it, in memory used over and over.

A chunk is what stays in the processor's cache while its windows are copied and multiplied. The zeros are written once:
every chunk's images are copied into the same frame.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from minimodels.functional import placement
from minimodels.shapes import Windows

CHUNK = 1 << 22
"""Bytes of copied windows at a time on a CPU: what two cores hold in their own caches.

Forward and backward with chunks of 1, 2, 4 and 8 MiB, milliseconds on two threads of an Intel Xeon with 2 MiB a core:
bfloat16, 64x32x13x13 7.9, 6.1, 5.6, 5.8; 8x256x14x14 17.1, 11.9, 10.6, 13.5; 64x64x100 3.9, 3.7, 2.9, 2.8; float32,
64x32x13x13 10.2, 8.7, 8.6, 8.6; 2x16x16x28x28 17.2, 18.9, 17.4, 17.0.
"""

DEVICE_CHUNK = 1 << 29
"""The same on an accelerator, which wants large launches."""


def chunks(x: Tensor, elements: int) -> list[slice]:
    """Cut a batch where what is made of it would outgrow the cache; under a compiler, nowhere.

    Products take an image after the other, and with as many images for every thread none has to wait. Forward, the
    kernel's and the input's gradient of 3x3 kernels in float32 with an odd number of images at a time and with one
    more, milliseconds on two threads of an Intel Xeon, channels-last but for the last two:

        8x64x56x56     1 and 2   8.48 7.71   7.85 7.54   7.89 7.28
        16x64x32x32    1 and 2   5.77 4.91   5.72 4.87   5.76 4.79
        8x64x56x56     1 and 2   8.70 8.10   9.09 8.54   8.29 7.49
        16x128x28x28   3 and 4   17.2 13.6   18.0 14.3   17.2 13.5

    Products of 16 bits take all rows at once, and larger chunks cost them more than that.

    Args:
        x: the batch.
        elements: how many numbers are made of a sample.

    Example:
        >>> chunks(torch.zeros(3, 1, dtype=torch.bfloat16), 1 << 20)  # 2 MiB a sample
        [slice(0, 2, None), slice(2, 3, None)]
    """
    if torch.compiler.is_compiling():
        return [slice(None)]
    step = placement.at_once(x, CHUNK, DEVICE_CHUNK) // max(1, elements * x.dtype.itemsize)
    step = min(max(1, step), max(1, x.shape[0]))
    step = -(-x.shape[0] // max(1, -(-x.shape[0] // step))) or 1  # as many chunks, of about one size
    more = -step % torch.get_num_threads() if x.is_cpu and x.dtype.itemsize >= 4 else 0
    step += more if more <= step else 0
    return [slice(start, min(start + step, x.shape[0])) for start in range(0, x.shape[0], step)]


def framed(x: Tensor, windows: Windows, elements: int, last: bool) -> Iterator[tuple[slice, Tensor]]:
    """Go through a batch: which samples, and they with zeros around them.

    Args:
        x: the input, [N, C, *size].
        windows: what is padded.
        elements: how many numbers are made of a sample.
        last: with the channels last in memory; else in front.

    Returns:
        slices of the batch with [n, *padded, C], or [n, C, *padded]; the next one is written over the one before.

    Example:
        >>> windows = Windows(kernel=(3,), stride=(1,), pads=((1, 1),), dilation=(1,), groups=1)
        >>> [image for _, image in framed(torch.tensor([[[1.0, 2.0]]]), windows, 6, last=False)]
        [tensor([[[0., 1., 2., 0.]]])]
    """
    x = x.movedim(1, -1) if last else x
    if not any(map(any, windows.pads)) and x.is_contiguous():
        for chunk in chunks(x, elements):
            yield chunk, x[chunk]
        return
    size = windows.padded(x.shape[1:-1] if last else x.shape[2:])
    inside = windows.inside(x.shape[1:-1] if last else x.shape[2:])
    places = (slice(None), *inside) if last else (slice(None), slice(None), *inside)
    frame = None
    for chunk in chunks(x, elements):
        part = x[chunk]
        if frame is None:
            frame = x.new_zeros(part.shape[0], *size, x.shape[-1]) if last else x.new_zeros(*part.shape[:2], *size)
        frame[: part.shape[0]][places] = part
        yield chunk, frame[: part.shape[0]]


class Buffer:
    """Memory that is used over and over: fetching it fresh for every chunk would cost more than filling it.

    Args:
        like: a tensor of the same type on the same device.

    Example:
        >>> buffer = Buffer(torch.ones(1))
        >>> buffer.copied(torch.ones(2, 3).t()).is_contiguous()
        True
    """

    def __init__(self, like: Tensor) -> None:
        self.memory = like.new_empty(0)

    def copied(self, view: Tensor) -> Tensor:
        """Copy a view densely; what was copied before is gone. What is dense already stays where it is.

        Args:
            view: what to copy.
        """
        if view.is_contiguous() or torch.compiler.is_compiling():
            return view.contiguous()
        return self.take(*view.shape).copy_(view)

    def take(self, *shape: int) -> Tensor:
        """Give uninitialised memory of a shape; what was there before is gone.

        Args:
            shape: its sizes.
        """
        size = math.prod(shape)
        if self.memory.numel() < size:
            self.memory = self.memory.new_empty(size)
        return self.memory[:size].view(shape)
