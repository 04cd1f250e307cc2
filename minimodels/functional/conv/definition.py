"""Convolution as the textbook writes it, a sum over the kernel's elements of shifted inputs; and its transpose."""

import math

import torch
from torch import Tensor

from minimodels.functional.padding import pad
from minimodels.shapes import Windows


def convolve(x: Tensor, w: Tensor, bias: Tensor | None, windows: Windows) -> Tensor:
    """Correlate the input with the kernel, in any number of spatial dimensions.

        y[n, o, p] = bias[o] + Σ_c Σ_i w[o, c, i] · x[n, c, s·p + d·i]

    where p and i have a component for each spatial dimension, x is padded with zeros, s is the stride and d the
    dilation. With groups, the output channels of group g read the input channels of group g alone.
    (Deep learning says convolution for what signal processing calls cross-correlation: the kernel is not flipped.)

    Args:
        x: the input.
        w: the kernel.
        bias: one number per output channel, or None.
        windows: stride, padding, dilation and groups.

    Shape:
        - x: [N, C, *size]; w: [O, C/groups, *kernel]; bias: [O]
        - Output: [N, O, *counts], counts = ⌊(size + pads − d·(kernel − 1) − 1) / s⌋ + 1

    Cost: N·O·(C/groups)·kernel·counts multiply-adds; each kernel element passes over the whole output once. Beyond
        input and output, a padded copy of the input, a shifted copy of it, and two more outputs; for a backward pass
        the shifted copies of all kernel elements are kept, as many numbers as im2col's rows (depthwise, none are).

    References: LeCun et al. 1989, "Backpropagation applied to handwritten zip code recognition",
        doi:10.1162/neco.1989.1.4.541; Dumoulin & Visin 2016, arXiv:1603.07285 (the size formula).

    See: the fast twin im2col.py; tests/functional/test_conv.py.

    Example:
        >>> windows = Windows(kernel=(2,), stride=(1,), pads=((0, 0),), dilation=(1,), groups=1)
        >>> convolve(torch.tensor([[[1.0, 2.0, 4.0]]]), torch.tensor([[[-1.0, 1.0]]]), None, windows)
        tensor([[[1., 2.]]])
    """
    counts, groups, (outputs, inputs) = windows.output_size(x.shape[2:]), windows.groups, w.shape[:2]
    x = pad(x, [size for pads in reversed(windows.pads) for size in pads])
    x = x.reshape(x.shape[0], groups, inputs, *x.shape[2:])  # [N, G, C/G, *padded]
    w = w.reshape(groups, outputs // groups, inputs, math.prod(windows.kernel))  # [G, O/G, C/G, elements]
    y = x.new_zeros(x.shape[0], groups, outputs // groups, *counts)  # [N, G, O/G, *counts]
    for i, w_i in zip(windows.elements(), w.unbind(3), strict=True):
        x_i = x[(slice(None),) * 3 + windows.met_by(i, counts)]  # [N, G, C/G, *counts], the elements x[s·p + d·i]
        if inputs == 1:  # depthwise: the sum over c has one term
            y = y + x_i * w_i.reshape(groups, outputs // groups, *[1] * len(counts))
        else:
            y = y + torch.einsum("ngc...,goc->ngo...", x_i, w_i)
    y = y.reshape(x.shape[0], outputs, *counts)
    return y if bias is None else y + bias.view(-1, *[1] * len(counts))


def convolve_transposed(x: Tensor, w: Tensor, bias: Tensor | None, size: tuple[int, ...], windows: Windows) -> Tensor:
    """Add up all stamps, one kernel element after another: y[n, o, s·p + d·i − before] += Σ_c w[c, o, i] · x[n, c, p].

    Args:
        x: the input.
        w: the kernels.
        bias: one number per output channel, or None.
        size: the output's spatial size.
        windows: those of the convolution that this is the transpose of; what it pads, this cuts away.

    Shape:
        - x: [N, C, *counts]; w: [C, O/groups, *kernel]; bias: [O]
        - Output: [N, O, *size]

    Cost: N·C·(O/groups)·kernel·counts multiply-adds; each kernel element passes over the whole output once.

    References: Zeiler et al. 2010, "Deconvolutional networks", doi:10.1109/CVPR.2010.5539957.

    See: the fast twin, im2col.py's `input_gradient`; transposed.py; tests/functional/test_conv_transposed.py.

    Example:
        >>> windows = Windows(kernel=(2,), stride=(1,), pads=((0, 0),), dilation=(1,), groups=1)
        >>> convolve_transposed(torch.tensor([[[1.0, 2.0]]]), torch.tensor([[[1.0, 10.0]]]), None, (3,), windows)
        tensor([[[ 1., 12., 20.]]])
    """
    counts, groups, (inputs, outputs) = x.shape[2:], windows.groups, w.shape[:2]
    padded = windows.padded(size)
    places = torch.arange(math.prod(padded), device=x.device).view(padded)
    x = x.reshape(x.shape[0], groups, inputs // groups, math.prod(counts))  # [N, G, C/G, counts]
    w = w.reshape(groups, inputs // groups, outputs, math.prod(windows.kernel))  # [G, C/G, O/G, elements]
    y = x.new_zeros(x.shape[0], groups, outputs, math.prod(padded))  # [N, G, O/G, padded]
    for i, w_i in zip(windows.elements(), w.unbind(3), strict=True):
        stamped = places[windows.met_by(i, counts)].flatten()  # [counts], the places s·p + d·i
        y = y.index_add(3, stamped, w_i.mT @ x)  # [N, G, O/G, counts], the sums Σ_c w[c, o, i] · x[n, c, p]
    y = y.reshape(x.shape[0], groups * outputs, *padded)[(slice(None), slice(None), *windows.inside(size))]
    return y if bias is None else y + bias.view(-1, *[1] * len(counts))
