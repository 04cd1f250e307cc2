"""Arithmetic: tensors in, tensors out, no state. Names and arguments are those of torch.nn.functional.

activations       relu and its kin, gelu, silu, sigmoid, tanh, glu, softmax ...: a folder, a file for each kind
adaptive_pooling  adaptive_avg_pool1d to 3d, adaptive_max_pool1d to 3d
affine            linear
attention         scaled_dot_product_attention, causal_attention, causal_mask, multi_head_attention_forward: a folder
conv              conv1d to 3d, conv_transpose1d to 3d: a folder, a file for each algorithm
ctc               ctc_loss
decoding          ctc_greedy_decode, ctc_beam_decode
gru, lstm, rnn    gru_cell, lstm_cell, rnn_tanh_cell, rnn_relu_cell, and the fast sequences
losses            cross_entropy, nll_loss, binary_cross_entropy, mse_loss ...
lookup            embedding
masking           dropout, dropout1d to 3d
matmul            the matrix product under all of them; `few_rows`, `onednn` and `libraries` are what it chooses by
norms             batch_norm, layer_norm, group_norm, instance_norm, rms_norm
padding           pad
pooling           max_pool1d to 3d, avg_pool1d to 3d
positions         sinusoidal_encoding, rotary_embedding, alibi_bias ...: a folder, a file for each kind
unwatched         whether an operation may take the shortest road, for a few numbers that nobody differentiates
"""

from minimodels.functional.activations import (
    celu,
    elu,
    gelu,
    glu,
    hardsigmoid,
    hardswish,
    hardtanh,
    leaky_relu,
    log_softmax,
    logsigmoid,
    mish,
    prelu,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softmax,
    softmin,
    softplus,
    softsign,
    swiglu,
    tanh,
    threshold,
)
from minimodels.functional.adaptive_pooling import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
)
from minimodels.functional.affine import linear
from minimodels.functional.attention import (
    attention_and_weights,
    causal_attention,
    causal_mask,
    combine_masks,
    scaled_dot_product_attention,
)
from minimodels.functional.attention.multihead import multi_head_attention_forward
from minimodels.functional.conv import conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d
from minimodels.functional.ctc import ctc_loss
from minimodels.functional.decoding import ctc_beam_decode, ctc_greedy_decode
from minimodels.functional.gru import gru_cell
from minimodels.functional.lookup import embedding
from minimodels.functional.losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    huber_loss,
    kl_div,
    l1_loss,
    linear_cross_entropy,
    mse_loss,
    nll_loss,
    smooth_l1_loss,
)
from minimodels.functional.lstm import lstm_cell
from minimodels.functional.masking import dropout, dropout1d, dropout2d, dropout3d
from minimodels.functional.norms import batch_norm, group_norm, instance_norm, layer_norm, rms_norm
from minimodels.functional.padding import pad
from minimodels.functional.pooling import avg_pool1d, avg_pool2d, avg_pool3d, max_pool1d, max_pool2d, max_pool3d
from minimodels.functional.positions import (
    alibi_bias,
    alibi_slopes,
    rotary_angles,
    rotary_embedding,
    rotary_frequencies,
    sinusoidal_encoding,
)
from minimodels.functional.rnn import rnn_relu_cell, rnn_tanh_cell

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "alibi_bias",
    "alibi_slopes",
    "attention_and_weights",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "batch_norm",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "causal_attention",
    "causal_mask",
    "celu",
    "combine_masks",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "cross_entropy",
    "ctc_beam_decode",
    "ctc_greedy_decode",
    "ctc_loss",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "elu",
    "embedding",
    "gelu",
    "glu",
    "group_norm",
    "gru_cell",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "huber_loss",
    "instance_norm",
    "kl_div",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "linear",
    "linear_cross_entropy",
    "log_softmax",
    "logsigmoid",
    "lstm_cell",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "mish",
    "mse_loss",
    "multi_head_attention_forward",
    "nll_loss",
    "pad",
    "prelu",
    "relu",
    "relu6",
    "rms_norm",
    "rnn_relu_cell",
    "rnn_tanh_cell",
    "rotary_angles",
    "rotary_embedding",
    "rotary_frequencies",
    "scaled_dot_product_attention",
    "selu",
    "sigmoid",
    "silu",
    "sinusoidal_encoding",
    "smooth_l1_loss",
    "softmax",
    "softmin",
    "softplus",
    "softsign",
    "swiglu",
    "tanh",
    "threshold",
]
