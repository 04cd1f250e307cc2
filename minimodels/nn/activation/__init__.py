"""Activations as layers, in the files of `minimodels.functional.activations`.

base            what they share
rectifiers      ReLU, LeakyReLU, PReLU, Threshold
clipped         Hardtanh, ReLU6, Hardsigmoid, Hardswish
exponentials    ELU, CELU, SELU
sigmoids        Sigmoid, Tanh, Softsign, Softplus, LogSigmoid
smooth          GELU, SiLU, Mish
gates           GLU
probabilities   Softmax, LogSoftmax, Softmin, Softmax2d
"""

from minimodels.nn.activation.clipped import Hardsigmoid, Hardswish, Hardtanh, ReLU6
from minimodels.nn.activation.exponentials import CELU, ELU, SELU
from minimodels.nn.activation.gates import GLU
from minimodels.nn.activation.probabilities import LogSoftmax, Softmax, Softmax2d, Softmin
from minimodels.nn.activation.rectifiers import LeakyReLU, PReLU, ReLU, Threshold
from minimodels.nn.activation.sigmoids import LogSigmoid, Sigmoid, Softplus, Softsign, Tanh
from minimodels.nn.activation.smooth import GELU, Mish, SiLU

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "SELU",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "PReLU",
    "ReLU",
    "ReLU6",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softmax2d",
    "Softmin",
    "Softplus",
    "Softsign",
    "Tanh",
    "Threshold",
]
