"""A convolutional network for 28x28 digits, of the size that every beginner's tutorial trains."""

import torch
from torch import Tensor

from minimodels import functional as F
from minimodels import nn


class ConvNet(nn.Module):
    """Classify handwritten digits: three convolutions, two poolings, two dense layers; 93,322 parameters.

    Each convolution looks at 3x3 neighbours; each pooling halves the image, so that the next convolution sees
    twice as far. What is left, 64 maps of 3x3, goes through a dense layer to one logit per class. The largest of four
    numbers is taken before ReLU and not after it: as ReLU keeps their order, that is the same network, its gradients
    too, and a quarter of the work.

    Args:
        classes: how many classes of pictures there are.

    Shape:
        - images: [N, 1, 28, 28], ink 1 on background 0
        - Output: [N, classes], logits

    Attributes:
        features: the convolutional part, images to [N, 576].
        classifier: the dense part, [N, 576] to logits.

    References: LeCun et al. 1998, "Gradient-based learning applied to document recognition",
        doi:10.1109/5.726791.

    See: `minimodels train cnn`; tests/models/test_convnet.py.

    Example:
        >>> import torch
        >>> model = ConvNet()
        >>> sum(parameter.numel() for parameter in model.parameters())
        93322
        >>> model(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 10])
    """

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 32, kernel_size=3),  # [N, 32, 26, 26]
            nn.MaxPool2d(2),  # [N, 32, 13, 13]
            nn.ReLU(),
            nn.Conv2d(32, 64, kernel_size=3),  # [N, 64, 11, 11]
            nn.MaxPool2d(2),  # [N, 64, 5, 5]
            nn.ReLU(),
            nn.Conv2d(64, 64, kernel_size=3),  # [N, 64, 3, 3]
            nn.ReLU(),
            nn.Flatten(),  # [N, 576]
        )
        self.classifier = nn.Sequential(
            nn.Linear(64 * 3 * 3, 64),  # [N, 64]
            nn.ReLU(),
            nn.Linear(64, classes),  # [N, classes]
        )

    def forward(self, images: Tensor) -> Tensor:
        """Score every class.

        Args:
            images: [N, 1, 28, 28].
        """
        images = images.to(memory_format=torch.channels_last)  # all follow; `contiguous` leaves one channel as it is
        logits: Tensor = self.classifier(self.features(images))
        return logits

    def predict_proba(self, images: Tensor) -> Tensor:
        """Give every class its probability: the softmax of the logits.

        Args:
            images: [N, 1, 28, 28].
        """
        return F.softmax(self(images), dim=1)  # [N, classes]
