"""Layers: parameters, a docstring, and one call into `minimodels.functional`. Names are torch.nn's.

activation   ReLU, Softmax, LogSoftmax
affine       Linear
conv         Conv2d
dropout      Dropout
flatten      Flatten
loss         CrossEntropyLoss
pooling      MaxPool2d
init         first weights
functional   the arithmetic under its ecosystem name

`Module`, `Parameter` and the containers are PyTorch's own.
"""

from torch.nn import Module, ModuleDict, ModuleList, Parameter, ParameterDict, ParameterList, Sequential

from minimodels.nn import functional, init
from minimodels.nn.activation import LogSoftmax, ReLU, Softmax
from minimodels.nn.affine import Linear
from minimodels.nn.conv import Conv2d
from minimodels.nn.dropout import Dropout
from minimodels.nn.flatten import Flatten
from minimodels.nn.loss import CrossEntropyLoss
from minimodels.nn.pooling import MaxPool2d

__all__ = [
    "Conv2d",
    "CrossEntropyLoss",
    "Dropout",
    "Flatten",
    "Linear",
    "LogSoftmax",
    "MaxPool2d",
    "Module",
    "ModuleDict",
    "ModuleList",
    "Parameter",
    "ParameterDict",
    "ParameterList",
    "ReLU",
    "Sequential",
    "Softmax",
    "functional",
    "init",
]
