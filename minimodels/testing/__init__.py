"""The oracle that proves this library, for your own layers too: strategies, laws, and equivalence to a reference.

cases         valid constructor arguments and inputs for each family of layers, drawn by hypothesis
equivalence   assert_equivalent: outputs, gradients, second derivatives and buffers of two modules or functions
laws          assert_commutes, assert_invariant, assert_linear: what must hold whatever the numbers

Needs hypothesis, which comes with the `dev` extra.

Example:
    >>> import torch
    >>> from minimodels import nn
    >>> assert_equivalent(nn.Linear(3, 2), torch.nn.Linear(3, 2), torch.randn(4, 3))
"""

from minimodels.testing.cases import (
    Case,
    adaptive_pool_cases,
    average_pool_cases,
    batch_norm_cases,
    binary_cases,
    channel_dropout_cases,
    conv_cases,
    conv_transpose_cases,
    cross_entropy_cases,
    ctc_cases,
    difference_cases,
    divergence_cases,
    dropout_cases,
    elementwise_cases,
    embedding_cases,
    flatten_cases,
    glu_cases,
    group_norm_cases,
    instance_norm_cases,
    layer_norm_cases,
    linear_cases,
    linear_cross_entropy_cases,
    nll_cases,
    pad_cases,
    pool_cases,
    prelu_cases,
    recurrent_cases,
    recurrent_cell_cases,
    rms_norm_cases,
    softmax2d_cases,
    softmax_cases,
    tensors,
    threshold_cases,
    unflatten_cases,
)
from minimodels.testing.equivalence import assert_equivalent, assert_same, derivatives
from minimodels.testing.laws import assert_commutes, assert_invariant, assert_linear

__all__ = [
    "Case",
    "adaptive_pool_cases",
    "assert_commutes",
    "assert_equivalent",
    "assert_invariant",
    "assert_linear",
    "assert_same",
    "average_pool_cases",
    "batch_norm_cases",
    "binary_cases",
    "channel_dropout_cases",
    "conv_cases",
    "conv_transpose_cases",
    "cross_entropy_cases",
    "ctc_cases",
    "derivatives",
    "difference_cases",
    "divergence_cases",
    "dropout_cases",
    "elementwise_cases",
    "embedding_cases",
    "flatten_cases",
    "glu_cases",
    "group_norm_cases",
    "instance_norm_cases",
    "layer_norm_cases",
    "linear_cases",
    "linear_cross_entropy_cases",
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
    "unflatten_cases",
]
