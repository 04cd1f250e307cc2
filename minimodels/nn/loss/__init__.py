"""Losses as layers, so that their settings are kept in one place.

classification   CrossEntropyLoss, NLLLoss, KLDivLoss
binary           BCELoss, BCEWithLogitsLoss
regression       MSELoss, L1Loss, SmoothL1Loss, HuberLoss
vocabulary       LinearCrossEntropyLoss
base             what all of them share
"""

from minimodels.nn.loss.binary import BCELoss, BCEWithLogitsLoss
from minimodels.nn.loss.classification import CrossEntropyLoss, KLDivLoss, NLLLoss
from minimodels.nn.loss.regression import HuberLoss, L1Loss, MSELoss, SmoothL1Loss
from minimodels.nn.loss.vocabulary import LinearCrossEntropyLoss

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "LinearCrossEntropyLoss",
    "MSELoss",
    "NLLLoss",
    "SmoothL1Loss",
]
