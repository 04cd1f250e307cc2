"""The digit network: its size, its twin made of torch.nn, and that it can learn."""

import torch

from minimodels import nn
from minimodels.functional.layout import image_layout
from minimodels.models import ConvNet
from minimodels.testing import assert_equivalent


class Twin(torch.nn.Module):
    """The same network out of PyTorch's layers."""

    def __init__(self) -> None:
        super().__init__()
        n = torch.nn
        self.features = n.Sequential(
            n.Conv2d(1, 32, 3), n.ReLU(), n.MaxPool2d(2),
            n.Conv2d(32, 64, 3), n.ReLU(), n.MaxPool2d(2),
            n.Conv2d(64, 64, 3), n.ReLU(), n.Flatten(),
        )  # fmt: skip
        self.classifier = n.Sequential(n.Linear(576, 64), n.ReLU(), n.Linear(64, 10))

    def forward(self, images):
        return self.classifier(self.features(images))


def test_93322_parameters():
    assert sum(p.numel() for p in ConvNet().parameters()) == 93_322


def test_the_same_seed_gives_the_weights_of_the_twin():
    torch.manual_seed(3)
    ours = ConvNet().state_dict()
    torch.manual_seed(3)
    theirs = Twin().state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_equals_the_twin_with_gradients():
    images = torch.rand(3, 1, 28, 28, dtype=torch.float64)
    assert_equivalent(ConvNet().double(), Twin().double(), images, order=1)


def test_every_layer_gets_its_images_channels_last():
    """Also the first, whose one channel `Tensor.contiguous` would take for channels-last as it stands."""
    layouts, model = [], ConvNet()
    for layer in model.features[:-1]:
        layer.register_forward_pre_hook(lambda _, inputs: layouts.append(image_layout(*inputs)))
    model(torch.zeros(2, 1, 28, 28))
    assert layouts == [torch.channels_last] * 8


def test_trains_like_the_twin():
    """Twenty steps of plain gradient descent from the same weights end at the same weights."""
    torch.manual_seed(0)
    ours, twin = ConvNet().double(), Twin().double()
    twin.load_state_dict(ours.state_dict())
    images, labels = torch.rand(8, 1, 28, 28, dtype=torch.float64), torch.arange(8)
    for model, loss in ((ours, nn.CrossEntropyLoss()), (twin, torch.nn.CrossEntropyLoss())):
        for _ in range(20):
            model.zero_grad()
            loss(model(images), labels).backward()
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter -= 0.1 * parameter.grad
    for name, value in twin.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, rtol=1e-8, atol=1e-10)


def test_learns_a_handful_of_pictures_by_heart():
    torch.manual_seed(0)
    model, images, labels = ConvNet(), torch.rand(16, 1, 28, 28), torch.arange(16) % 10
    optimizer, loss = torch.optim.Adam(model.parameters(), lr=3e-3), nn.CrossEntropyLoss()
    for _ in range(60):
        optimizer.zero_grad()
        loss(model(images), labels).backward()
        optimizer.step()
    assert (model(images).argmax(1) == labels).all()


def test_probabilities():
    model, images = ConvNet(classes=4), torch.rand(5, 1, 28, 28)
    probabilities = model.predict_proba(images)
    assert probabilities.shape == (5, 4)
    torch.testing.assert_close(probabilities.sum(1), torch.ones(5))
    assert torch.equal(probabilities.argmax(1), model(images).argmax(1))


def test_one_picture_more_changes_nothing_for_the_others():
    model, images = ConvNet().double(), torch.rand(4, 1, 28, 28, dtype=torch.float64)
    torch.testing.assert_close(model(images)[:3], model(images[:3]))
