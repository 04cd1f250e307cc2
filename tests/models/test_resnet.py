"""The residual network: its size, its twin out of torch.nn, and what makes it residual."""

import pytest
import torch

from minimodels.models import ResNet
from minimodels.models.resnet import BasicBlock
from minimodels.testing import assert_equivalent


class TwinBlock(torch.nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        n = torch.nn
        self.conv1, self.bn1 = n.Conv2d(inputs, outputs, 3, stride, 1, bias=False), n.BatchNorm2d(outputs)
        self.conv2, self.bn2 = n.Conv2d(outputs, outputs, 3, 1, 1, bias=False), n.BatchNorm2d(outputs)
        self.stride, self.more = stride, outputs - inputs

    def forward(self, x):
        y = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        x = x[:, :, :: self.stride, :: self.stride]
        zeros = x.new_zeros(x.shape[0], self.more, *x.shape[2:])
        return (y + torch.cat([x, zeros], 1)).relu()


class Twin(torch.nn.Module):
    """The same network out of PyTorch's layers, for depth 8."""

    def __init__(self, channels=1, classes=10):
        super().__init__()
        n = torch.nn
        self.conv1, self.bn1 = n.Conv2d(channels, 16, 3, padding=1, bias=False), n.BatchNorm2d(16)
        self.layer1 = n.Sequential(TwinBlock(16, 16, 1))
        self.layer2 = n.Sequential(TwinBlock(16, 32, 2))
        self.layer3 = n.Sequential(TwinBlock(32, 64, 2))
        self.avgpool, self.fc = n.AdaptiveAvgPool2d(1), n.Linear(64, classes)

    def forward(self, x):
        x = self.bn1(self.conv1(x)).relu()
        return self.fc(self.avgpool(self.layer3(self.layer2(self.layer1(x)))).flatten(1))


def size(model):
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)])
def test_the_sizes_that_the_paper_gives(depth, millions):
    assert size(ResNet(depth, channels=3)) / 1e6 == pytest.approx(millions, abs=0.006 if depth < 110 else 0.05)
    assert sum(isinstance(part, torch.nn.Module) and part.__class__.__name__ in ("Conv2d", "Linear")
               for part in ResNet(depth).modules()) == depth  # fmt: skip


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("pixels", [28, 9])
def test_equals_the_twin_with_gradients_and_buffers(training, pixels):
    torch.manual_seed(0)
    images = torch.rand(3, 1, pixels, pixels, dtype=torch.float64)
    ours, twin = ResNet(8).double().train(training), Twin().double().train(training)
    assert_equivalent(ours, twin, images, order=1)


def test_a_block_whose_last_norm_is_silent_lets_everything_pass():
    block = BasicBlock(4, 4).double()
    torch.nn.init.zeros_(block.bn2.weight)
    x = torch.rand(2, 4, 5, 5, dtype=torch.float64)
    assert torch.equal(block(x), x)
    half = BasicBlock(4, 6, stride=2).double()
    torch.nn.init.zeros_(half.bn2.weight)
    y = half(x)
    assert torch.equal(y[:, :4], x[:, :, ::2, ::2])
    assert not y[:, 4:].any()


@pytest.mark.parametrize("depth", [2, 7, 18, 51])
def test_depths_that_have_no_such_form(depth):
    with pytest.raises(ValueError, match=r"6n \+ 2 layers"):
        ResNet(depth)


def test_probabilities():
    model = ResNet(8, classes=4).eval()
    torch.testing.assert_close(model.predict_proba(torch.rand(5, 1, 28, 28)).sum(1), torch.ones(5))
