"""Arithmetic: tensors in, tensors out, no state. Names and arguments are those of torch.nn.functional.

activations   relu, softmax, log_softmax
affine        linear
conv          conv2d: definition, im2col
losses        cross_entropy
masking       dropout
matmul        the matrix product under all of them
padding       pad
pooling       max_pool2d
"""

from minimodels.functional.activations import log_softmax, relu, softmax
from minimodels.functional.affine import linear
from minimodels.functional.conv import conv2d
from minimodels.functional.losses import cross_entropy
from minimodels.functional.masking import dropout
from minimodels.functional.padding import pad
from minimodels.functional.pooling import max_pool2d

__all__ = [
    "conv2d",
    "cross_entropy",
    "dropout",
    "linear",
    "log_softmax",
    "max_pool2d",
    "pad",
    "relu",
    "softmax",
]
