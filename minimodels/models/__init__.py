"""Models: one short file each, to be read from top to bottom.

convnet   ConvNet, a convolutional network for 28x28 digits
"""

from minimodels.models.convnet import ConvNet

__all__ = ["ConvNet"]
