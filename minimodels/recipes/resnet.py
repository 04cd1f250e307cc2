"""The residual network on handwritten digits, on MNIST or on Fashion-MNIST."""

from typing import ClassVar

from minimodels.errors import InputError
from minimodels.models import ResNet
from minimodels.optim import SGD
from minimodels.recipes import pictures
from minimodels.recipes.pictures import PictureSettings
from minimodels.recipes.settings import setting, settings


@settings
class ResNetSettings(PictureSettings):
    """Train a residual network to read handwritten digits, or to know pieces of clothing."""

    digit_epochs: ClassVar[int] = 15

    depth: int = setting(20, "layers: 8, 14, 20, 32, 44, 56 or 110", at_least=8)
    epochs: int | None = setting(None, "times through the training data (default: 15 for digits, else 5)", at_least=1)
    lr: float = setting(0.1, "learning rate at its peak, of gradient descent with momentum 0.9", above=0)
    weight_decay: float = setting(1e-4, "pull of every weight towards zero", at_least=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.depth - 2) % 6:
            raise InputError(f"--depth {self.depth}: this form has 6n + 2 layers; give 8, 14, 20, 32, 44, 56 or 110.")


RECIPE = pictures.recipe(
    "resnet",
    ResNetSettings,
    build=lambda chosen: ResNet(chosen.depth),
    optimize=lambda chosen, model: SGD(
        model.parameters(), lr=chosen.lr, momentum=0.9, weight_decay=chosen.weight_decay
    ),
)
