"""Pooling over windows of a given size as layers: no parameters, only windows.

largest.py   the largest element of each
mean.py      the mean of each
"""

from minimodels.nn.pooling.largest import MaxPool1d, MaxPool2d, MaxPool3d
from minimodels.nn.pooling.mean import AvgPool1d, AvgPool2d, AvgPool3d

__all__ = ["AvgPool1d", "AvgPool2d", "AvgPool3d", "MaxPool1d", "MaxPool2d", "MaxPool3d"]
