"""Initial weights: names, arguments, random numbers, errors and warnings of torch.nn.init, bit for bit.

plain        uniform_, normal_, constant_, ones_, zeros_: one value or one distribution throughout
truncated    trunc_normal_: a normal distribution with its tails cut off
identity     eye_, dirac_: a layer that hands on what comes in
variance     xavier_uniform_, xavier_normal_, kaiming_uniform_, kaiming_normal_: as large as keeps the signal's size
structured   orthogonal_, sparse_: what the whole matrix should look like
gain         calculate_gain, fans: what the sizes follow from
affine       initialize_affine: what Linear and the convolutions start from
deprecated   uniform, normal, ...: the names without an underscore, each with a warning

All of them fill a tensor in place, without a trace in autograd, and give it back.
"""

from minimodels.nn.init.affine import initialize_affine
from minimodels.nn.init.deprecated import (
    constant,
    dirac,
    eye,
    kaiming_normal,
    kaiming_uniform,
    normal,
    orthogonal,
    sparse,
    uniform,
    xavier_normal,
    xavier_uniform,
)
from minimodels.nn.init.gain import calculate_gain, fans
from minimodels.nn.init.identity import dirac_, eye_
from minimodels.nn.init.plain import constant_, normal_, ones_, uniform_, zeros_
from minimodels.nn.init.structured import orthogonal_, sparse_
from minimodels.nn.init.truncated import trunc_normal_
from minimodels.nn.init.variance import kaiming_normal_, kaiming_uniform_, xavier_normal_, xavier_uniform_

_calculate_fan_in_and_fan_out = fans  # torch's name for it: private, and called by every other layer in the wild

__all__ = [
    "calculate_gain",
    "constant",
    "constant_",
    "dirac",
    "dirac_",
    "eye",
    "eye_",
    "fans",
    "initialize_affine",
    "kaiming_normal",
    "kaiming_normal_",
    "kaiming_uniform",
    "kaiming_uniform_",
    "normal",
    "normal_",
    "ones_",
    "orthogonal",
    "orthogonal_",
    "sparse",
    "sparse_",
    "trunc_normal_",
    "uniform",
    "uniform_",
    "xavier_normal",
    "xavier_normal_",
    "xavier_uniform",
    "xavier_uniform_",
    "zeros_",
]
