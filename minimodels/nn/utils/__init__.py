"""What stands around layers: names, arguments, results and errors of torch.nn.utils.

clipping      clip_grad_norm_, clip_grad_value_, get_total_norm, clip_grads_with_norm_: gradients kept short
rnn           packing and padding: batches of sequences that are not equally long
vectors       parameters_to_vector, vector_to_parameters: all parameters as one vector, and back
parametrize, skip_init
              PyTorch's own book-keeping, which works on any module: weights that are computed from others, and
              modules built without initial weights
"""

import sys
from typing import NoReturn

import torch
from torch.nn.utils import parametrize, skip_init  # noqa: TID251  (they keep books on modules and compute nothing)

from minimodels.errors import absent
from minimodels.nn.utils import rnn
from minimodels.nn.utils.clipping import (
    clip_grad_norm,
    clip_grad_norm_,
    clip_grad_value_,
    clip_grads_with_norm_,
    get_total_norm,
)
from minimodels.nn.utils.vectors import parameters_to_vector, vector_to_parameters

__all__ = [
    "clip_grad_norm",
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_grads_with_norm_",
    "get_total_norm",
    "parameters_to_vector",
    "parametrize",
    "rnn",
    "skip_init",
    "vector_to_parameters",
]


def __getattr__(name: str) -> NoReturn:
    raise absent(name, sys.modules[__name__], torch.nn.utils)  # noqa: TID251  (asked for its names alone)
