"""Activations: the non-linearities between layers, and the softmax that turns scores into probabilities.

curves          what all element-wise functions share: chunks, precision, derivatives, writing in place
rectifiers      relu, leaky_relu, prelu, threshold
clipped         hardtanh, relu6, hardsigmoid, hardswish
exponentials    elu, celu, selu
sigmoids        sigmoid, tanh, softsign, softplus, logsigmoid
smooth          gelu, silu, mish
gates           glu, swiglu
probabilities   softmax, log_softmax, softmin
"""

from minimodels.functional.activations.clipped import hardsigmoid, hardswish, hardtanh, relu6
from minimodels.functional.activations.exponentials import celu, elu, selu
from minimodels.functional.activations.gates import glu, swiglu
from minimodels.functional.activations.probabilities import log_softmax, softmax, softmin
from minimodels.functional.activations.rectifiers import leaky_relu, prelu, relu, threshold
from minimodels.functional.activations.sigmoids import logsigmoid, sigmoid, softplus, softsign, tanh
from minimodels.functional.activations.smooth import gelu, mish, silu

__all__ = [
    "celu",
    "elu",
    "gelu",
    "glu",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "leaky_relu",
    "log_softmax",
    "logsigmoid",
    "mish",
    "prelu",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softmin",
    "softplus",
    "softsign",
    "swiglu",
    "tanh",
    "threshold",
]
