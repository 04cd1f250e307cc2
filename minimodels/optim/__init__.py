"""Optimisers and learning-rate schedules: the names, arguments and state of torch.optim, the arithmetic ours.

Each algorithm is written twice, side by side in one file: as its equation for one tensor (`sgd_step`, `adam_step`,
pure functions that autograd can look through) and as the same steps over many tensors at once, which `step()` uses.

Example:
    >>> import torch
    >>> weight = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    >>> optimizer = SGD([weight], lr=0.1)
    >>> (weight**2).sum().backward()
    >>> optimizer.step()
    >>> weight.data
    tensor([ 0.8000, -1.6000])
"""

from minimodels.optim import lr_scheduler
from minimodels.optim.adam import Adam
from minimodels.optim.adam_equation import adam_step
from minimodels.optim.adamw import AdamW
from minimodels.optim.combined import CombinedOptimizer
from minimodels.optim.muon import Muon, muon_step, newton_schulz
from minimodels.optim.schedules import (
    ChainedScheduler,
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    MultiplicativeLR,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
    WarmupCosineLR,
    warmup_cosine,
)
from minimodels.optim.sgd import SGD, sgd_step

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "ChainedScheduler",
    "CombinedOptimizer",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "Muon",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
    "WarmupCosineLR",
    "adam_step",
    "lr_scheduler",
    "muon_step",
    "newton_schulz",
    "sgd_step",
    "warmup_cosine",
]
