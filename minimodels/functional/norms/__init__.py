"""Normalisations: one operation over axes, and every layer a choice of axes.

    x[n, c, s]: sample, channel, place       mean and variance over       γ and β for each
    batch norm                               n, s                         c
    layer norm, RMS norm (without mean)      the last dimensions          element of these
    group norm                               s and a group's channels     c
    instance norm                            s                            c

channels.py     batch norm, instance norm and group norm, whose γ and β belong to channels
features.py     layer norm and RMS norm, whose γ and β belong to the elements of a row
definition.py   the operation in plain tensor algebra; every derivative of every order
few.py          layer norm and RMS norm of a few rows without a gradient
rows.py         layer norm and RMS norm of the rows of a matrix, a few rows at a time, and a hand-derived backward
pieces.py       the others likewise: all passes over a piece within the cache
running.py      running statistics
choice.py       which of them serves whom
checks.py       what is refused

All are public and tested against each other and against torch.nn.functional.
"""

from minimodels.functional.norms import (
    channels,
    checks,
    choice,
    definition,
    features,
    few,
    pieces,
    rows,
    running,
)
from minimodels.functional.norms.channels import batch_norm, group_norm, instance_norm
from minimodels.functional.norms.definition import Axes
from minimodels.functional.norms.features import layer_norm, rms_norm

__all__ = [
    "Axes",
    "batch_norm",
    "channels",
    "checks",
    "choice",
    "definition",
    "features",
    "few",
    "group_norm",
    "instance_norm",
    "layer_norm",
    "pieces",
    "rms_norm",
    "rows",
    "running",
]
