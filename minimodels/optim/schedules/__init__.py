"""Learning-rate schedules: how large a step is, as a function of how many were made. torch.optim.lr_scheduler's names.

scheduler  LRScheduler: what they share
decay      StepLR, MultiStepLR, ExponentialLR, PolynomialLR: the rate times a factor
warmup     ConstantLR, LinearLR; WarmupCosineLR, up in a line and down in a cosine
cosine     CosineAnnealingLR, CosineAnnealingWarmRestarts
cyclic     CyclicLR: up and down again and again, momentum the other way
one_cycle  OneCycleLR: up and down once, momentum the other way
plateau    ReduceLROnPlateau: down when nothing gets better
given      LambdaLR, MultiplicativeLR: by a function of one's own
sequence   SequentialLR, ChainedScheduler: several of them

In the equations η is the learning rate of a parameter group, η₀ its initial learning rate, and t the number of steps
made.
"""

from minimodels.optim.schedules.cosine import CosineAnnealingLR, CosineAnnealingWarmRestarts
from minimodels.optim.schedules.cyclic import CyclicLR
from minimodels.optim.schedules.decay import ExponentialLR, MultiStepLR, PolynomialLR, StepLR
from minimodels.optim.schedules.given import LambdaLR, MultiplicativeLR
from minimodels.optim.schedules.one_cycle import OneCycleLR
from minimodels.optim.schedules.plateau import ReduceLROnPlateau
from minimodels.optim.schedules.scheduler import LRScheduler
from minimodels.optim.schedules.sequence import ChainedScheduler, SequentialLR
from minimodels.optim.schedules.warmup import ConstantLR, LinearLR, WarmupCosineLR, warmup_cosine

__all__ = [
    "ChainedScheduler",
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
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
    "WarmupCosineLR",
    "warmup_cosine",
]
