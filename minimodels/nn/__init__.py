"""Layers: parameters, a docstring, and one call into `minimodels.functional`. Names are torch.nn's.

activation        ReLU and its kin, GELU, SiLU, Sigmoid, Tanh, GLU, Softmax ...: a folder, a file for each kind
adaptive_pooling  AdaptiveAvgPool1d to 3d, AdaptiveMaxPool1d to 3d
affine            Linear
attention         MultiheadAttention
batchnorm         BatchNorm1d to 3d
cache             KeyValueCache
conv              Conv1d to 3d
conv_transpose    ConvTranspose1d to 3d
ctc               CTCLoss
dropout           Dropout, Dropout1d to 3d
flatten           Flatten, Unflatten, Identity
gated             SwiGLU
grouped_query     GroupedQueryAttention
gru, lstm, rnn    GRU, LSTM, RNN and their cells
instancenorm      InstanceNorm1d to 3d
lookup            Embedding
loss              CrossEntropyLoss, NLLLoss, BCELoss, MSELoss ...
norm              LayerNorm, RMSNorm, GroupNorm
padding           ConstantPad1d to 3d, ZeroPad, ReflectionPad, ReplicationPad, CircularPad likewise
pooling           MaxPool1d to 3d, AvgPool1d to 3d
position          SinusoidalPositionalEmbedding, LearnedPositionalEmbedding, RotaryEmbedding, ALiBi: a folder
transformer       TransformerEncoderLayer, TransformerEncoder, likewise the decoder's; Transformer
init              initial weights
utils             gradient clipping, parameters as one vector; utils.rnn: ragged batches
functional        the arithmetic under its ecosystem name

`Module`, `Parameter`, `Buffer`, the containers and what spreads a module over devices are PyTorch's own: they keep
books on layers and compute nothing. `modules` is missing on purpose: a layer of torch.nn's is no layer of these.
"""

import sys
from typing import NoReturn

import torch
from torch.nn import (
    Buffer,
    DataParallel,
    Module,
    ModuleDict,
    ModuleList,
    Parameter,
    ParameterDict,
    ParameterList,
    Sequential,
    UninitializedBuffer,
    UninitializedParameter,
    factory_kwargs,
    parallel,
    parameter,
)

from minimodels.errors import absent
from minimodels.nn import functional, init, utils
from minimodels.nn.activation import (
    CELU,
    ELU,
    GELU,
    GLU,
    SELU,
    Hardsigmoid,
    Hardswish,
    Hardtanh,
    LeakyReLU,
    LogSigmoid,
    LogSoftmax,
    Mish,
    PReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Softmax2d,
    Softmin,
    Softplus,
    Softsign,
    Tanh,
    Threshold,
)
from minimodels.nn.adaptive_pooling import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveAvgPool3d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AdaptiveMaxPool3d,
)
from minimodels.nn.affine import Linear
from minimodels.nn.attention import MultiheadAttention
from minimodels.nn.batchnorm import BatchNorm1d, BatchNorm2d, BatchNorm3d
from minimodels.nn.cache import KeyValueCache
from minimodels.nn.conv import Conv1d, Conv2d, Conv3d
from minimodels.nn.conv_transpose import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from minimodels.nn.ctc import CTCLoss
from minimodels.nn.dropout import Dropout, Dropout1d, Dropout2d, Dropout3d
from minimodels.nn.flatten import Flatten, Identity, Unflatten
from minimodels.nn.gated import SwiGLU
from minimodels.nn.grouped_query import GroupedQueryAttention
from minimodels.nn.gru import GRU, GRUCell
from minimodels.nn.instancenorm import InstanceNorm1d, InstanceNorm2d, InstanceNorm3d
from minimodels.nn.lookup import Embedding
from minimodels.nn.loss import (
    BCELoss,
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    HuberLoss,
    KLDivLoss,
    L1Loss,
    LinearCrossEntropyLoss,
    MSELoss,
    NLLLoss,
    SmoothL1Loss,
)
from minimodels.nn.lstm import LSTM, LSTMCell
from minimodels.nn.norm import GroupNorm, LayerNorm, RMSNorm
from minimodels.nn.padding import (
    CircularPad1d,
    CircularPad2d,
    CircularPad3d,
    ConstantPad1d,
    ConstantPad2d,
    ConstantPad3d,
    ReflectionPad1d,
    ReflectionPad2d,
    ReflectionPad3d,
    ReplicationPad1d,
    ReplicationPad2d,
    ReplicationPad3d,
    ZeroPad1d,
    ZeroPad2d,
    ZeroPad3d,
)
from minimodels.nn.pooling import AvgPool1d, AvgPool2d, AvgPool3d, MaxPool1d, MaxPool2d, MaxPool3d
from minimodels.nn.position import (
    ALiBi,
    LearnedPositionalEmbedding,
    RotaryEmbedding,
    SinusoidalPositionalEmbedding,
)
from minimodels.nn.rnn import RNN, RNNCell
from minimodels.nn.transformer import (
    Transformer,
    TransformerDecoder,
    TransformerDecoderLayer,
    TransformerEncoder,
    TransformerEncoderLayer,
)

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "GRU",
    "LSTM",
    "RNN",
    "SELU",
    "ALiBi",
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "BCELoss",
    "BCEWithLogitsLoss",
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "Buffer",
    "CTCLoss",
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "CrossEntropyLoss",
    "DataParallel",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "Embedding",
    "Flatten",
    "GRUCell",
    "GroupNorm",
    "GroupedQueryAttention",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "HuberLoss",
    "Identity",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "KLDivLoss",
    "KeyValueCache",
    "L1Loss",
    "LSTMCell",
    "LayerNorm",
    "LeakyReLU",
    "LearnedPositionalEmbedding",
    "Linear",
    "LinearCrossEntropyLoss",
    "LogSigmoid",
    "LogSoftmax",
    "MSELoss",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "Mish",
    "Module",
    "ModuleDict",
    "ModuleList",
    "MultiheadAttention",
    "NLLLoss",
    "PReLU",
    "Parameter",
    "ParameterDict",
    "ParameterList",
    "RMSNorm",
    "RNNCell",
    "ReLU",
    "ReLU6",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "RotaryEmbedding",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "SinusoidalPositionalEmbedding",
    "SmoothL1Loss",
    "Softmax",
    "Softmax2d",
    "Softmin",
    "Softplus",
    "Softsign",
    "SwiGLU",
    "Tanh",
    "Threshold",
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
    "Unflatten",
    "UninitializedBuffer",
    "UninitializedParameter",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
    "factory_kwargs",
    "functional",
    "init",
    "parallel",
    "parameter",
    "utils",
]


def __getattr__(name: str) -> NoReturn:
    raise absent(name, sys.modules[__name__], torch.nn)
