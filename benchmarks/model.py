"""The digit CNN as a whole against the same network out of torch.nn: a training step, and inference."""

from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.cases import Case, Outputs, Pair, Setting
from minimodels import nn
from minimodels.models import ConvNet


class Reference(torch.nn.Module):
    """ConvNet with every layer from torch.nn; the names of its parameters are the same."""

    def __init__(self) -> None:
        super().__init__()
        self.features = torch.nn.Sequential(
            torch.nn.Conv2d(1, 32, 3),
            torch.nn.ReLU(),
            torch.nn.MaxPool2d(2),
            torch.nn.Conv2d(32, 64, 3),
            torch.nn.ReLU(),
            torch.nn.MaxPool2d(2),
            torch.nn.Conv2d(64, 64, 3),
            torch.nn.ReLU(),
            torch.nn.Flatten(),
        )
        self.classifier = torch.nn.Sequential(torch.nn.Linear(576, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))

    def forward(self, images: Tensor) -> Tensor:
        """The logits of a batch."""
        return self.classifier(self.features(images))


PRODUCTS = [2.0 * n for n in (26**2 * 32 * 9, 11**2 * 64 * 32 * 9, 3**2 * 64 * 64 * 9, 576 * 64, 64 * 10)]
"""Floating-point operations of each layer for a picture."""


def model_case(mode: str, work: Callable[[torch.nn.Module, torch.nn.Module, Tensor, Tensor], Outputs]) -> Case:
    """A case of the whole network; `work` takes model, loss, images and labels."""

    def make(setting: Setting) -> Pair:
        batch = 2 if setting.tiny else 64 * setting.larger
        images = setting.noise(batch, 1, 28, 28)
        labels = torch.randint(10, (batch,), device=setting.device)
        networks = [setting.built(network) for network in (ConvNet, Reference)]
        networks[0].load_state_dict(networks[1].state_dict())
        ours, reference = setting.ready(*networks)
        training = work is training_step
        return Pair(
            lambda: work(ours, nn.CrossEntropyLoss(), images, labels),
            lambda: work(reference, torch.nn.CrossEntropyLoss(), images, labels),
            lambda side: side(),
            operands=[images, labels, *networks[1].parameters()],
            flops=batch * (3 * sum(PRODUCTS) - PRODUCTS[0] if training else sum(PRODUCTS)),
        )

    return Case("model", "ConvNet, 64 pictures", mode, make, larger=16)


def training_step(model: torch.nn.Module, loss: torch.nn.Module, images: Tensor, labels: Tensor) -> Outputs:
    """The loss and its gradients; what comes after them is the optimiser's."""
    value = loss(model(images), labels)
    return (value.detach(), *torch.autograd.grad(value, list(model.parameters())))


def inference(model: torch.nn.Module, loss: torch.nn.Module, images: Tensor, labels: Tensor) -> Outputs:
    """The logits."""
    with torch.no_grad():
        return (model(images),)


CASES = [model_case("training step", training_step), model_case("inference", inference)]
