"""A residual network of the small form that its authors trained on 32x32 pictures."""

import itertools

from torch import Tensor

from minimodels import functional as F
from minimodels import nn
from minimodels.nn import init

WIDTHS = (16, 32, 64)


class BasicBlock(nn.Module):
    """Learn what to add to the input: y = relu(x + R(x)), R = norm ∘ conv ∘ relu ∘ norm ∘ conv.

    Where the block halves the picture and doubles the channels, x goes past it as every second pixel, with zeros for
    the new channels: a shortcut without parameters (option A of the paper).

    Args:
        inputs: channels of x.
        outputs: channels of y.
        stride: 2 halves the picture.

    Shape:
        - x: [N, inputs, H, W]
        - Output: [N, outputs, ⌈H/stride⌉, ⌈W/stride⌉]

    See: `ResNet`; tests/models/test_resnet.py.

    Example:
        >>> import torch
        >>> BasicBlock(16, 32, stride=2)(torch.zeros(1, 16, 7, 7)).shape
        torch.Size([1, 32, 4, 4])
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, kernel_size=3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, kernel_size=3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride, self.new_channels = stride, outputs - inputs

    def forward(self, x: Tensor) -> Tensor:
        """Add the residual to the shortcut.

        Args:
            x: feature maps.
        """
        residual = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))  # [N, outputs, H/stride, W/stride]
        return F.relu(residual + self.shortcut(x))

    def shortcut(self, x: Tensor) -> Tensor:
        """Lead the input past the convolutions.

        Args:
            x: feature maps.
        """
        x = x[:, :, :: self.stride, :: self.stride]
        return F.pad(x, (0, 0, 0, 0, 0, self.new_channels)) if self.new_channels else x


class ResNet(nn.Module):
    """Classify pictures with many thin layers: depth = 6n + 2, three stages of n blocks; 269,434 parameters at 20.

    A stack of plain layers gets worse as it gets deeper, already on its training data: it cannot even learn to do
    nothing. Here doing nothing is easy, y = x where the residual's weights are zero, and the gradient reaches every
    block undiminished through the sums:

        x_L = x_l + Σ_{i=l}^{L−1} R_i(x_i)   ⇒   ∂E/∂x_l = ∂E/∂x_L · (1 + ∂/∂x_l Σ R_i)

    (exact where the activation after the sum lets everything pass). The stages work with 16, 32 and 64 channels on the
    whole, the halved and the quartered picture; then each channel is averaged over the picture.

    Args:
        depth: weight layers, 6n + 2: 8, 14, 20, 32, 44, 56 or 110, as in the paper.
        classes: how many classes of pictures there are.
        channels: of the pictures, 1 for grey and 3 for colour.

    Shape:
        - images: [N, channels, H, W]
        - Output: [N, classes], logits

    Attributes:
        conv1, bn1: the first layer, 16 channels.
        layer1, layer2, layer3: the stages.
        fc: the last layer.

    Raises:
        ValueError: depth is not 6n + 2.

    References: He, Zhang, Ren & Sun 2015, "Deep residual learning for image recognition", arXiv:1512.03385, section
        4.2; He et al. 2016, arXiv:1603.05027, equations 4 and 5 (the sums); He et al. 2015, arXiv:1502.01852 (first
        weights).

    See: `minimodels train resnet`; tests/models/test_resnet.py.

    Example:
        >>> import torch
        >>> model = ResNet(20)
        >>> sum(parameter.numel() for parameter in model.parameters())
        269434
        >>> model(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 10])
    """

    def __init__(self, depth: int = 20, classes: int = 10, channels: int = 1) -> None:
        super().__init__()
        blocks, rest = divmod(depth - 2, 6)
        if rest or blocks < 1:
            raise ValueError(f"depth {depth}: a residual network of this form has 6n + 2 layers; give 8, 14, 20, 32, …")
        narrow, middle, wide = WIDTHS
        self.conv1 = nn.Conv2d(channels, narrow, kernel_size=3, padding=1, bias=False)  # [N, 16, H, W]
        self.bn1 = nn.BatchNorm2d(narrow)
        self.layer1 = _stage(blocks, narrow, narrow, stride=1)  # [N, 16, H, W]
        self.layer2 = _stage(blocks, narrow, middle, stride=2)  # [N, 32, H/2, W/2]
        self.layer3 = _stage(blocks, middle, wide, stride=2)  # [N, 64, H/4, W/4]
        self.avgpool = nn.AdaptiveAvgPool2d(1)  # [N, 64, 1, 1]
        self.fc = nn.Linear(wide, classes)  # [N, classes]
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """Score every class.

        Args:
            images: [N, channels, H, W].
        """
        x = F.relu(self.bn1(self.conv1(images)))
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: Tensor = self.fc(self.avgpool(x).flatten(1))
        return logits

    def predict_proba(self, images: Tensor) -> Tensor:
        """Give every class its probability: the softmax of the logits.

        Args:
            images: [N, channels, H, W].
        """
        return F.softmax(self(images), dim=1)  # [N, classes]


def _stage(blocks: int, inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """Some blocks of one width; the first of them may halve the picture."""
    widths = [inputs, *[outputs] * blocks]
    strides = [stride, *[1] * (blocks - 1)]
    return nn.Sequential(
        *(BasicBlock(*width, stride) for width, stride in zip(itertools.pairwise(widths), strides, strict=True))
    )
