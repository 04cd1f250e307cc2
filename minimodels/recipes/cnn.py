"""The digit CNN: train ConvNet on handwritten digits, on MNIST or on Fashion-MNIST."""

from pathlib import Path

from minimodels.models import ConvNet
from minimodels.optim import Adam
from minimodels.recipes import pictures
from minimodels.recipes.pictures import PictureSettings
from minimodels.recipes.recipe import Recipe
from minimodels.recipes.settings import setting, settings


@settings
class CNNSettings(PictureSettings):
    """Train a convolutional network to read handwritten digits, or to know pieces of clothing."""

    epochs: int | None = setting(None, "times through the training data (default: 25 for digits, else 5)", at_least=1)
    lr: float = setting(2e-3, "learning rate of Adam at its peak", above=0)


def train(chosen: CNNSettings) -> Path:
    """Train, test after every epoch, and leave everything in a run folder.

    Args:
        chosen: the settings.

    Returns:
        The run folder.
    """
    return pictures.train("cnn", chosen, ConvNet, lambda model: Adam(model.parameters(), lr=chosen.lr))


def evaluate(folder: Path, chosen: CNNSettings) -> dict[str, float]:
    """Measure the model of a run on test pictures, and print the result.

    Args:
        folder: of the run.
        chosen: its settings, perhaps with other data.

    Returns:
        loss and accuracy.
    """
    return pictures.evaluate(folder, chosen, ConvNet())


def predict(folder: Path, chosen: CNNSettings, inputs: list[str]) -> list[int]:
    """Classify one's own pictures, and print class, probability and runner-up of each.

    Args:
        folder: of the run.
        chosen: its settings.
        inputs: picture files.

    Returns:
        The class of each picture.
    """
    return pictures.predict(folder, chosen, ConvNet(), inputs)


RECIPE = Recipe(
    settings=CNNSettings,
    train=train,
    evaluate=evaluate,
    predict=predict,
    inputs=pictures.INPUTS,
    evaluation_flags=pictures.EVALUATION_FLAGS,
    prediction_flags=pictures.PREDICTION_FLAGS,
)
