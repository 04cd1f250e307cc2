"""What every loader of pictures gives: images and their labels, side by side."""

from typing import NamedTuple

from torch import Tensor

SIZE = 28
"""Height and width of every digit picture, MNIST's."""


class ImageSet(NamedTuple):
    """Labelled pictures, ready for `Batches(*images)` or `model(images.images)`.

    Attributes:
        images: float32 from 0 (paper) to 1 (ink), shape [N, 1, 28, 28].
        labels: int64 class of each image, shape [N].

    Example:
        >>> from minimodels.data import load_digits
        >>> train, test = load_digits()
        >>> train.images.shape, test.labels.shape
        (torch.Size([1437, 1, 28, 28]), torch.Size([360]))
    """

    images: Tensor
    labels: Tensor
