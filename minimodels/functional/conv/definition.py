"""Convolution as the textbook writes it: a sum over the kernel's elements of shifted, weighted inputs."""

import math

import torch
from torch import Tensor

from minimodels.functional.padding import pad
from minimodels.shapes import Windows


def convolve(x: Tensor, w: Tensor, bias: Tensor | None, windows: Windows) -> Tensor:
    """Correlate the input with the kernel, in any number of spatial dimensions.

        y[n, o, p] = bias[o] + Σ_c Σ_i w[o, c, i] · x[n, c, s·p + d·i]

    where p and i have a component for each spatial dimension, x is padded with zeros, s is the stride and d the
    dilation. With groups, output channels of group g read the input channels of group g alone.
    (Deep learning says convolution for what signal processing calls cross-correlation: the kernel is not flipped.)

    Args:
        x: the input.
        w: the kernel.
        bias: one number an output channel, or None.
        windows: stride, padding, dilation and groups.

    Shape:
        - x: [N, C, *size]; w: [O, C/groups, *kernel]; bias: [O]
        - Output: [N, O, *counts], counts = ⌊(size + pads − d·(kernel − 1) − 1) / s⌋ + 1

    Cost: N·O·(C/groups)·kernel·counts multiply-adds; each kernel element passes over the whole output once. Beyond
        input and output, a padded copy of the input and one more output; a backward pass keeps the padded input.

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
