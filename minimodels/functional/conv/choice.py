"""Which algorithm of convolution serves which shapes."""

from torch import Tensor

from minimodels.functional.conv import definition, im2col
from minimodels.functional.precision import accumulator
from minimodels.functional.transforms import steps_aside
from minimodels.shapes import Windows


def convolve(x: Tensor, w: Tensor, bias: Tensor | None, windows: Windows) -> Tensor:
    """Correlate the input with the kernel by the algorithm that is the fastest for these shapes.

    Args:
        x: the input.
        w: the kernel.
        bias: one number an output channel, or None.
        windows: stride, padding, dilation and groups.

    Shape:
        - x: [N, C, *size]; w: [O, C/groups, *kernel]; bias: [O]
        - Output: [N, O, *counts]

    See: definition.py, im2col.py; tests/functional/test_conv.py.

    Example:
        >>> import torch
        >>> windows = Windows(kernel=(2,), stride=(1,), pads=((0, 0),), dilation=(1,), groups=1)
        >>> convolve(torch.tensor([[[1.0, 2.0, 4.0]]]), torch.tensor([[[-1.0, 1.0]]]), None, windows)
        tensor([[[1., 2.]]])
    """
    if _product_pays(x, w, windows):
        return im2col.convolve(x, w, bias, windows)
    wide = accumulator(x.dtype)  # a sum over kernel elements: form that of 16-bit numbers in float32, as a product does
    wide_bias = None if bias is None else bias.to(wide)
    return definition.convolve(x.to(wide), w.to(wide), wide_bias, windows).to(x.dtype)


def _product_pays(x: Tensor, w: Tensor, windows: Windows) -> bool:
    """Say whether im2col is the algorithm: wherever it is defined, but for one input channel a group, or none."""
    one = w.shape[1] == 0 or (windows.groups > 1 and w.shape[1] == 1)
    return x.is_floating_point() and not one and not steps_aside(x, w)
