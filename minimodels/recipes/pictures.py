"""Networks that tell pictures apart: what the digit CNN and the residual network have in common."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import torch

from minimodels import functional as F
from minimodels import nn
from minimodels.data import Batches, ImageSet, RandomShift, load_digits, load_mnist, read_digit
from minimodels.errors import InputError
from minimodels.inspection import report
from minimodels.recipes.fitting import fit, prepare
from minimodels.recipes.measuring import measured, restored
from minimodels.recipes.plan import Plan
from minimodels.recipes.recipe import Recipe
from minimodels.recipes.settings import setting, settings
from minimodels.recipes.training_settings import TrainingSettings
from minimodels.training import Trainer, accuracy
from minimodels.training.progress import say
from minimodels.training.randomness import seed_everything

CLOTHES = ("T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
EVALUATION_BATCH = 256


@settings
class PictureSettings(TrainingSettings):
    """Train a network to read handwritten digits, or to know pieces of clothing."""

    digit_epochs: ClassVar[int] = 25

    data: Literal["digits", "mnist", "fashion-mnist"] = setting("digits", "what to learn; digits needs no download")
    data_dir: Path | None = setting(None, "folder with the IDX files of mnist or fashion-mnist, instead of a download")
    split: Literal["random", "writers"] = setting("random", "of digits: mixed, or tested on writers never seen")
    shift: int | None = setting(
        None,
        "pixels by which pictures are moved at random in training (default: 1 for digits, else 0)",
        at_least=0,
        at_most=14,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.data == "digits" and self.data_dir is not None:
            raise InputError(f"--data-dir {self.data_dir}: digits need no folder; add --data mnist or fashion-mnist.")
        if self.data != "digits" and self.split != "random":
            raise InputError(f"--split {self.split}: {self.data} has one split of its own; leave this flag out.")

    def resolved(self) -> Self:
        """The same with every default that depends on others filled in, as config.json keeps it."""
        return replace(
            self,
            epochs=self.epochs or (self.digit_epochs if self.data == "digits" else 5),
            shift=int(self.data == "digits") if self.shift is None else self.shift,
            data_dir=self.data_dir and self.data_dir.absolute(),
        )

    def for_evaluation(self, **given: Any) -> Self:
        """The same with some others; folder and split of the training data are forgotten when the data are others.

        Args:
            **given: settings that take the place of these.
        """
        if given.get("data", self.data) != self.data:
            given = {"data_dir": None, "split": "random", **given}
        return replace(self, **given)

    @property
    def class_names(self) -> tuple[str, ...]:
        """What the classes are called."""
        return CLOTHES if self.data == "fashion-mnist" else tuple("0123456789")


def load_data(chosen: PictureSettings) -> tuple[ImageSet, ImageSet]:
    """The pictures to train on and to test with.

    Args:
        chosen: data, data_dir and split.
    """
    if chosen.data == "digits":
        return load_digits(chosen.split)
    return load_mnist(chosen.data, chosen.data_dir)


def train(
    recipe: str,
    chosen: PictureSettings,
    build: Callable[[], nn.Module],
    optimize: Callable[[nn.Module], torch.optim.Optimizer],
) -> Path:
    """Train a network on pictures.

    Args:
        recipe: its name.
        chosen: the settings.
        build: makes the network.
        optimize: makes the optimiser over its parameters.

    Returns:
        The run folder.

    Raises:
        InputError: data, device or folder cannot be used, or the loss is no longer a number.

    See: tests/recipes/test_cnn.py
    """
    chosen = chosen.resolved()
    device = prepare(chosen)
    seed_everything(chosen.seed)
    model = build()
    train_set, test_set = load_data(chosen)
    augment = RandomShift(chosen.shift) if chosen.shift else None
    plan = Plan(
        model,
        optimize(model),
        nn.CrossEntropyLoss(),
        Batches(*train_set, batch_size=chosen.batch_size, shuffle=True, seed=chosen.seed, augment=augment),
        Batches(*test_set, batch_size=EVALUATION_BATCH),
        {"accuracy": accuracy},
        {"data": chosen.data},
        lambda trainer, folder: _draw(trainer, test_set, folder, chosen),
        best=chosen.keep == "best",
    )
    return fit(recipe, chosen, device, plan, name=f"{recipe}-{chosen.data}", data=chosen.data)


def evaluate(folder: Path, chosen: PictureSettings, model: nn.Module) -> dict[str, float]:
    """Measure the model of a run on test pictures, and print the result.

    Args:
        folder: of the run.
        chosen: its settings, perhaps with other data.
        model: built as it was for training.

    Returns:
        loss and accuracy.
    """
    trainer = _restored(folder, chosen, model)
    _, test_set = load_data(chosen)
    return measured(trainer, chosen.data, Batches(*test_set, batch_size=EVALUATION_BATCH))


def predict(folder: Path, chosen: PictureSettings, model: nn.Module, inputs: list[str]) -> list[int]:
    """Classify one's own pictures, and print class, probability and runner-up of each.

    Args:
        folder: of the run.
        chosen: its settings.
        model: built as it was for training.
        inputs: picture files.

    Returns:
        The class of each picture.
    """
    trainer = _restored(folder, chosen, model)
    box = 28 if chosen.data == "fashion-mnist" else 20  # clothes fill the picture, digits have a margin
    images = torch.stack([read_digit(path, box=box) for path in inputs])  # [N, 1, 28, 28]
    probabilities = F.softmax(trainer.predict(images, batch_size=EVALUATION_BATCH).float(), dim=1)
    likeliest = probabilities.topk(2, dim=1)
    for path, (first, second), (sure, less) in zip(
        inputs, likeliest.indices.tolist(), likeliest.values.tolist(), strict=True
    ):
        names = chosen.class_names
        say(f"{path}: {names[first]} ({100 * sure:.1f} %), or else {names[second]} ({100 * less:.1f} %)")
    return likeliest.indices[:, 0].tolist()


def _restored(folder: Path, chosen: PictureSettings, model: nn.Module) -> Trainer:
    """The model of a run, ready to look at pictures."""
    return restored(folder, chosen, model, nn.CrossEntropyLoss(), {"accuracy": accuracy})


def _draw(trainer: Trainer, test_set: ImageSet, folder: Path, chosen: PictureSettings) -> None:
    """Put the pictures into the run folder."""
    records = trainer.history.records
    logits = trainer.predict(test_set.images, batch_size=EVALUATION_BATCH)
    kind = type(trainer.model).__name__
    title = f"{kind} on {chosen.data}: {100 * records[-1]['val_accuracy']:.2f} % right after epoch {trainer.epoch}"
    first = next(part for part in trainer.model.modules() if isinstance(part, nn.Conv2d))
    report.curves(records, folder / "curves.png", title)
    report.mistakes(*test_set, F.softmax(logits.float(), dim=1), folder / "mistakes.png", chosen.class_names)
    report.filters(first.weight, folder / "filters.png", "Filters of the first convolution")


def recipe(
    name: str,
    kind: type[PictureSettings],
    build: Callable[[Any], nn.Module],
    optimize: Callable[[Any, nn.Module], torch.optim.Optimizer],
) -> Recipe:
    """The recipe of a network that tells pictures apart.

    Args:
        name: of the recipe.
        kind: the class of its settings.
        build: settings → the network.
        optimize: (settings, network) → the optimiser over its parameters.
    """
    return Recipe(
        settings=kind,
        train=lambda chosen: train(name, chosen, lambda: build(chosen), lambda model: optimize(chosen, model)),
        evaluate=lambda folder, chosen: evaluate(folder, chosen, build(chosen)),
        predict=lambda folder, chosen, inputs: predict(folder, chosen, build(chosen), inputs),
        inputs="a picture of a digit: any size, dark on light or light on dark",
        evaluation_flags=("data", "data_dir", "device", "precision", "threads"),
        prediction_flags=("device", "precision", "threads"),
    )
