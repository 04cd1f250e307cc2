"""Cases: constructor arguments and inputs of a layer, valid by construction, drawn by hypothesis.

case         what a case is, and how its numbers are drawn
conv, ...    the strategies, a file for each family of layers
"""

from minimodels.testing.cases.activation import (
    elementwise_cases,
    glu_cases,
    prelu_cases,
    softmax2d_cases,
    softmax_cases,
    threshold_cases,
)
from minimodels.testing.cases.affine import linear_cases
from minimodels.testing.cases.attention import attention_cases
from minimodels.testing.cases.case import Case, Part, tensors
from minimodels.testing.cases.conv import conv_cases, conv_transpose_cases
from minimodels.testing.cases.ctc import ctc_cases
from minimodels.testing.cases.dropout import channel_dropout_cases, dropout_cases
from minimodels.testing.cases.lookup import embedding_cases
from minimodels.testing.cases.loss import (
    binary_cases,
    cross_entropy_cases,
    difference_cases,
    divergence_cases,
    linear_cross_entropy_cases,
    nll_cases,
)
from minimodels.testing.cases.norm import (
    batch_norm_cases,
    group_norm_cases,
    instance_norm_cases,
    layer_norm_cases,
    rms_norm_cases,
)
from minimodels.testing.cases.padding import pad_cases
from minimodels.testing.cases.pooling import adaptive_pool_cases, average_pool_cases, pool_cases
from minimodels.testing.cases.recurrent import recurrent_cases, recurrent_cell_cases
from minimodels.testing.cases.shape import flatten_cases, unflatten_cases
from minimodels.testing.cases.transformer import (
    decoder_cases,
    decoder_layer_cases,
    encoder_cases,
    encoder_layer_cases,
    multihead_attention_cases,
    transformer_cases,
)

__all__ = [
    "Case",
    "Part",
    "adaptive_pool_cases",
    "attention_cases",
    "average_pool_cases",
    "batch_norm_cases",
    "binary_cases",
    "channel_dropout_cases",
    "conv_cases",
    "conv_transpose_cases",
    "cross_entropy_cases",
    "ctc_cases",
    "decoder_cases",
    "decoder_layer_cases",
    "difference_cases",
    "divergence_cases",
    "dropout_cases",
    "elementwise_cases",
    "embedding_cases",
    "encoder_cases",
    "encoder_layer_cases",
    "flatten_cases",
    "glu_cases",
    "group_norm_cases",
    "instance_norm_cases",
    "layer_norm_cases",
    "linear_cases",
    "linear_cross_entropy_cases",
    "multihead_attention_cases",
    "nll_cases",
    "pad_cases",
    "pool_cases",
    "prelu_cases",
    "recurrent_cases",
    "recurrent_cell_cases",
    "rms_norm_cases",
    "softmax2d_cases",
    "softmax_cases",
    "tensors",
    "threshold_cases",
    "transformer_cases",
    "unflatten_cases",
]
