"""Losses: how wrong a prediction was, as one number to descend on.

classification   cross_entropy, nll_loss: one of many classes
binary           binary_cross_entropy, binary_cross_entropy_with_logits: yes or no
divergence       kl_div: from one distribution to another
regression       mse_loss, l1_loss, smooth_l1_loss, huber_loss: numbers
vocabulary       linear_cross_entropy: the last layer and its loss in one, whose scores are never whole

What they share: `reduction` brings the losses of all places together, `elementwise` treats large tensors piece by
piece, `difference` holds the functions of x − t, `truth` says what the right answers are, `likelihood` is the
definition of a loss over classes, `surprise` the cross-entropy of large scores with its derivative, a few rows at a
time, `chunked` that of scores which a layer makes in the same place, and `few` that of few scores, at a stroke.
"""

from minimodels.functional.losses.binary import binary_cross_entropy, binary_cross_entropy_with_logits
from minimodels.functional.losses.classification import cross_entropy, nll_loss
from minimodels.functional.losses.divergence import kl_div
from minimodels.functional.losses.reduction import legacy_reduction
from minimodels.functional.losses.regression import huber_loss, l1_loss, mse_loss, smooth_l1_loss
from minimodels.functional.losses.vocabulary import linear_cross_entropy

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "legacy_reduction",
    "linear_cross_entropy",
    "mse_loss",
    "nll_loss",
    "smooth_l1_loss",
]
