"""The digit CNN: train ConvNet on handwritten digits, on MNIST or on Fashion-MNIST."""

import math
import platform
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self

import torch

from minimodels import __version__, nn
from minimodels import functional as F
from minimodels.checkpoint import load_model
from minimodels.data import Batches, ImageSet, RandomShift, load_digits, load_mnist, read_digit
from minimodels.errors import InputError
from minimodels.files import write_json
from minimodels.inspection import report
from minimodels.models import ConvNet
from minimodels.optim import Adam, WarmupCosineLR
from minimodels.recipes.recipe import Recipe
from minimodels.recipes.runs import MODEL, guarded, new_run
from minimodels.recipes.settings import Settings, setting, settings
from minimodels.training import CSVLogger, ModelCheckpoint, ProgressBar, Trainer, accuracy, find_device
from minimodels.training.progress import say

CLOTHES = ("T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
EVALUATION_BATCH = 256


@settings
class CNNSettings(Settings):
    """Train a convolutional network to read handwritten digits, or to know pieces of clothing."""

    data: Literal["digits", "mnist", "fashion-mnist"] = setting("digits", "what to learn; digits needs no download")
    data_dir: Path | None = setting(None, "folder with the IDX files of mnist or fashion-mnist, instead of a download")
    split: Literal["random", "writers"] = setting("random", "of digits: mixed, or tested on writers never seen")
    epochs: int | None = setting(None, "times through the training data (default: 25 for digits, else 5)", at_least=1)
    batch_size: int = setting(64, "pictures in one step", at_least=1)
    accumulate: int = setting(1, "batches in one step, as if they were one big batch", at_least=1)
    lr: float = setting(2e-3, "learning rate of Adam at its peak", above=0)
    warmup: float = setting(0.1, "part of all steps in which the rate rises, before it falls", at_least=0, at_most=1)
    clip_norm: float | None = setting(None, "greatest norm of the gradient (default: not clipped)", above=0)
    shift: int | None = setting(
        None,
        "pixels by which pictures are moved at random in training (default: 1 for digits, else 0)",
        at_least=0,
        at_most=14,
    )
    seed: int = setting(0, "fixes weights and order of the data", at_least=0)
    device: str = setting("auto", "where to compute: auto, cpu, cuda, cuda:1, mps")
    precision: Literal["float32", "bfloat16", "float16"] = setting("float32", "of matrix products")
    threads: int | None = setting(None, "CPU threads (default: PyTorch's choice)", at_least=1, at_most=1024)
    out: Path | None = setting(None, "run folder (default: runs/cnn-DATA); a number is added if it exists")

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
            epochs=self.epochs or (25 if self.data == "digits" else 5),
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


def load_data(chosen: CNNSettings) -> tuple[ImageSet, ImageSet]:
    """The pictures to train on and to test with.

    Args:
        chosen: data, data_dir and split.
    """
    if chosen.data == "digits":
        return load_digits(chosen.split)
    return load_mnist(chosen.data, chosen.data_dir)


def train(chosen: CNNSettings) -> Path:
    """Train, test after every epoch, and leave everything in a run folder.

    The test set chooses no epoch: what counts is the model after the last one.

    Args:
        chosen: the settings.

    Returns:
        The run folder.

    Raises:
        InputError: data, device or folder cannot be used, or the loss is no longer a number.

    See: tests/recipes/test_cnn.py
    """
    chosen = chosen.resolved()
    assert chosen.epochs is not None, "resolved() has filled it in"
    device = _prepare(chosen)
    torch.manual_seed(chosen.seed)
    model = ConvNet()
    train_set, test_set = load_data(chosen)
    folder = new_run(chosen.out or Path("runs", f"cnn-{chosen.data}"), "cnn", chosen)
    with guarded(folder):
        augment = RandomShift(chosen.shift) if chosen.shift else None
        batches = Batches(*train_set, batch_size=chosen.batch_size, shuffle=True, seed=chosen.seed, augment=augment)
        steps = chosen.epochs * -(-len(batches) // chosen.accumulate)
        trainer = _trainer(chosen, model, device, folder, steps)
        say(f"ConvNet with {_size(model):,} parameters, on {device}; the run folder is {folder}")
        say(f"{chosen.data}: {batches.samples:,} pictures to train on, {len(test_set.labels):,} to test with")
        start = time.perf_counter()
        trainer.fit(batches, chosen.epochs, Batches(*test_set, batch_size=EVALUATION_BATCH))
        seconds = time.perf_counter() - start
        line = _summarise(trainer, seconds, folder)  # first, so that nothing that goes wrong later loses the result
        _draw(trainer, test_set, folder, chosen)
        say(line)
    return folder


def evaluate(folder: Path, chosen: CNNSettings) -> dict[str, float]:
    """Measure the model of a run on test pictures, and print the result.

    Args:
        folder: of the run.
        chosen: its settings, perhaps with other data.

    Returns:
        loss and accuracy.
    """
    trainer = _restored(folder, chosen)
    _, test_set = load_data(chosen)
    start = time.perf_counter()
    results = trainer.evaluate(Batches(*test_set, batch_size=EVALUATION_BATCH))
    seconds, count = time.perf_counter() - start, len(test_set.labels)
    say(
        f"{chosen.data}: test accuracy {100 * results['accuracy']:.2f} % "
        f"({round(results['accuracy'] * count):,} of {count:,}), loss {results['loss']:.4f}, "
        f"{seconds:.1f} s, {count / seconds:,.0f} samples/s"
    )
    return results


def predict(folder: Path, chosen: CNNSettings, inputs: list[str]) -> list[int]:
    """Classify one's own pictures, and print class, probability and runner-up of each.

    Args:
        folder: of the run.
        chosen: its settings.
        inputs: picture files.

    Returns:
        The class of each picture.
    """
    trainer = _restored(folder, chosen)
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


def _prepare(chosen: CNNSettings) -> torch.device:
    """Set the number of threads, find the device."""
    if chosen.threads is not None:
        torch.set_num_threads(chosen.threads)
    return find_device(chosen.device, "--device")


def _trainer(chosen: CNNSettings, model: ConvNet, device: torch.device, folder: Path, steps: int) -> Trainer:
    """Adam with warm-up and a cosine to zero, and the callbacks that fill the run folder."""
    optimizer = Adam(model.parameters(), lr=chosen.lr)
    rising = round(chosen.warmup * steps)
    return Trainer(
        model,
        nn.CrossEntropyLoss(),
        optimizer,
        schedule=WarmupCosineLR(optimizer, rising, steps, start_lr_ratio=1 / (rising + 1)),
        metrics={"accuracy": accuracy},
        device=device,
        precision=chosen.precision,
        accumulate=chosen.accumulate,
        clip_norm=chosen.clip_norm,
        callbacks=[ModelCheckpoint(folder / MODEL, {"data": chosen.data}), CSVLogger(folder), ProgressBar()],
    )


def _restored(folder: Path, chosen: CNNSettings) -> Trainer:
    """The model of a run, ready to be evaluated."""
    device = _prepare(chosen)
    model = ConvNet()
    load_model(folder / MODEL, model)
    loss = nn.CrossEntropyLoss()
    return Trainer(model, loss, metrics={"accuracy": accuracy}, device=device, precision=chosen.precision)


def _draw(trainer: Trainer, test_set: ImageSet, folder: Path, chosen: CNNSettings) -> None:
    """Put the pictures into the run folder, or say how to get them."""
    if not report.can_draw():
        say(report.HINT)
        return
    records = trainer.history.records
    logits = trainer.predict(test_set.images, batch_size=EVALUATION_BATCH)
    title = f"ConvNet on {chosen.data}: {100 * records[-1]['val_accuracy']:.2f} % right after epoch {trainer.epoch}"
    first = next(part for part in trainer.model.modules() if isinstance(part, nn.Conv2d))
    report.curves(records, folder / "curves.png", title)
    report.mistakes(*test_set, F.softmax(logits.float(), dim=1), folder / "mistakes.png", chosen.class_names)
    report.filters(first.weight, folder / "filters.png", "Filters of the first convolution")


def _summarise(trainer: Trainer, seconds: float, folder: Path) -> str:
    """Write summary.json, and give the last line of the run."""
    last, history = trainer.history.records[-1], trainer.history
    speed = history.total("samples") / history.total("seconds")
    summary = {
        "test_accuracy": last["val_accuracy"],
        "test_loss": last["val_loss"] if math.isfinite(last["val_loss"]) else None,
        "epochs": trainer.epoch,
        "seconds": round(seconds, 3),
        "samples_per_second": round(speed, 1),
        "parameters": _size(trainer.model),
        "device": str(trainer.device),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "minimodels": __version__,
    }
    write_json(folder / "summary.json", summary)
    epochs = f"{trainer.epoch} epoch{'s' if trainer.epoch > 1 else ''}"
    return f"test accuracy {100 * last['val_accuracy']:.2f} % after {epochs}, {seconds:.1f} s, {speed:,.0f} samples/s"


def _size(model: torch.nn.Module) -> int:
    """How many parameters a model has."""
    return sum(parameter.numel() for parameter in model.parameters())


RECIPE = Recipe(
    settings=CNNSettings,
    train=train,
    evaluate=evaluate,
    predict=predict,
    inputs="a picture of a digit: any size, dark on light or light on dark",
    evaluation_flags=("data", "data_dir", "device", "precision", "threads"),
    prediction_flags=("device", "precision", "threads"),
)
