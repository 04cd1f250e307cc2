"""The digit CNN: train ConvNet on handwritten digits, on MNIST or on Fashion-MNIST."""

from minimodels.models import ConvNet
from minimodels.optim import Adam
from minimodels.recipes import pictures
from minimodels.recipes.pictures import PictureSettings
from minimodels.recipes.settings import setting, settings


@settings
class CNNSettings(PictureSettings):
    """Train a convolutional network to read handwritten digits, or to know pieces of clothing."""

    epochs: int | None = setting(None, "times through the training data (default: 25 for digits, else 5)", at_least=1)
    lr: float = setting(2e-3, "learning rate of Adam at its peak", above=0)


RECIPE = pictures.recipe(
    "cnn",
    CNNSettings,
    build=lambda chosen: ConvNet(),
    optimize=lambda chosen, model: Adam(model.parameters(), lr=chosen.lr),
)
