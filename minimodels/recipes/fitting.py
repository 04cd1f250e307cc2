"""What all recipes share: the settings of training, the device, the loop with its run folder, and the summary."""

import math
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.optim import Optimizer

from minimodels import __version__
from minimodels.checkpoint import load_model
from minimodels.files import write_json
from minimodels.inspection import report
from minimodels.optim import WarmupCosineLR
from minimodels.recipes.runs import MODEL, guarded, new_run
from minimodels.recipes.settings import Settings, setting, settings
from minimodels.training import (
    EPOCHS,
    STEPS,
    CSVLogger,
    Keeper,
    Metric,
    ModelCheckpoint,
    ProgressBar,
    Trainer,
    Units,
    find_device,
)
from minimodels.training.logging import Record
from minimodels.training.progress import say


@settings
class TrainingSettings(Settings):
    """The settings that every recipe has."""

    epochs: int | None = setting(None, "times through the training data", at_least=1)
    batch_size: int = setting(64, "samples in one step", at_least=1)
    accumulate: int = setting(1, "batches in one step, as if they were one big batch", at_least=1)
    lr: float | None = setting(None, "learning rate at its peak", above=0)
    warmup: float = setting(0.1, "part of all steps in which the rate rises, before it falls", at_least=0, at_most=1)
    clip_norm: float | None = setting(None, "greatest norm of the gradient (default: not clipped)", above=0)
    seed: int = setting(0, "fixes weights, order of the data and dropout", at_least=0)
    device: str = setting("auto", "where to compute: auto, cpu, cuda, cuda:1, mps")
    precision: Literal["float32", "bfloat16", "float16"] = setting("float32", "of matrix products")
    threads: int | None = setting(None, "CPU threads (default: PyTorch's choice)", at_least=1, at_most=1024)
    out: Path | None = setting(None, "run folder (default: runs/NAME-DATA); a number is added if it exists")


@dataclass(frozen=True)
class Plan:
    """What a recipe puts into the loop.

    Args:
        model: what to train.
        optimizer: over its parameters.
        loss: (outputs, targets) → mean loss.
        train: batches to train on; `samples` says how many there are.
        test: batches to test with, after every epoch.
        metrics: name → function of (outputs, targets); the first is the result that a run is known by.
        metadata: kept in the model's file.
        draw: (trainer, folder) → pictures of the run, where matplotlib is installed.
        files: what else the model needs, such as its vocabulary, as JSON files of these names in the run folder.
        results: what was measured beforehand, such as a baseline, for the summary.
        count: targets → number of terms that the loss averages over.
        kind: what the model is called, where it is trained inside of another module.
        steps: of the optimiser in all, for a run that is counted in them: `train` then gives those up to the next test.
        floor: the learning rate at the end, as a part of its peak.
        save: writes the model into the run folder; None: as one safetensors file.
        best: whether only the model of the lowest test loss so far is saved; otherwise the latest one is.
    """

    model: torch.nn.Module
    optimizer: Optimizer
    loss: Callable[[Any, Tensor], Tensor]
    train: Any
    test: Any
    metrics: Mapping[str, Metric]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    draw: Callable[[Trainer, Path], None] | None = None
    files: Mapping[str, Any] = field(default_factory=dict)
    results: Mapping[str, Any] = field(default_factory=dict)
    count: Callable[[Tensor], Any] = len
    kind: str = ""
    steps: int | None = None
    floor: float = 0.0
    save: Callable[[Path], None] | None = None
    best: bool = False

    @property
    def units(self) -> Units:
        """What the run is counted in."""
        return EPOCHS if self.steps is None else STEPS

    def kept(self, records: Sequence[Record]) -> Record:
        """What was measured of the model that is in the run folder.

        Args:
            records: of the run.
        """
        return min(records, key=lambda record: record["val_loss"]) if self.best else records[-1]


def prepare(chosen: TrainingSettings) -> torch.device:
    """Set the number of threads, find the device.

    Args:
        chosen: threads and device.

    Raises:
        InputError: there is no such device.
    """
    if chosen.threads is not None:
        torch.set_num_threads(chosen.threads)
    return find_device(chosen.device, "--device")


def fit(recipe: str, chosen: TrainingSettings, device: torch.device, plan: Plan, *, name: str, data: str) -> Path:
    """Train as planned, test after every epoch, and leave everything in a run folder.

    What counts is the model after the last epoch: the test set chooses none, unless the plan says so.

    Args:
        recipe: its name.
        chosen: the settings, with their defaults filled in.
        device: where to compute.
        plan: what to train on what.
        name: of the run folder, unless the settings name one.
        data: what the data are, for people.

    Returns:
        The run folder.

    Raises:
        InputError: the folder cannot be used, or the loss is no longer a number.

    See: tests/recipes/test_cnn.py
    """
    folder = new_run(chosen.out or Path("runs", name), recipe, chosen)
    with guarded(folder):
        for file, value in plan.files.items():
            write_json(folder / file, value)
        trainer = _trainer(chosen, device, plan, folder)
        kind = plan.kind or type(plan.model).__name__
        say(f"{kind} with {size(plan.model):,} parameters, on {device}; the run folder is {folder}")
        items = plan.units.items
        say(f"{data}: {plan.train.samples:,} {items} to train on, {plan.test.samples:,} to test with")
        start = time.perf_counter()
        trainer.fit(plan.train, _passes(chosen, plan), plan.test)
        seconds = time.perf_counter() - start
        line = _summarise(trainer, plan, seconds, folder)  # first, so that nothing that fails later loses the result
        if not report.can_draw():
            say(report.HINT)
        elif plan.draw is not None:
            plan.draw(trainer, folder)
        say(line)
    return folder


def restored(
    folder: Path,
    chosen: TrainingSettings,
    model: torch.nn.Module,
    loss: Any,
    metrics: Mapping[str, Metric],
    count: Callable[[Tensor], Any] = len,
) -> Trainer:
    """The model of a run, ready to be evaluated.

    Args:
        folder: of the run.
        chosen: device, precision and threads.
        model: built as it was for training; its weights are read here.
        loss: (outputs, targets) → mean loss.
        metrics: name → function of (outputs, targets).
        count: targets → number of terms that the loss averages over.
    """
    device = prepare(chosen)
    load_model(folder / MODEL, model)
    return Trainer(model, loss, metrics=metrics, count=count, device=device, precision=chosen.precision)


def measured(trainer: Trainer, data: str, test: Any) -> dict[str, float]:
    """Measure a model on test data, and print the result.

    Args:
        trainer: what `restored` gave.
        data: what the data are, for people.
        test: batches.

    Returns:
        loss and metrics.
    """
    start = time.perf_counter()
    results = trainer.evaluate(test)
    seconds, count, items = time.perf_counter() - start, test.samples, trainer.units.items
    headline = next(iter(trainer.metrics))
    right = f" ({round(results[headline] * count):,} of {count:,})" if report.is_share(headline) else ""
    say(
        f"{data}: test {shown(headline, results[headline])}{right}, loss {results['loss']:.4f}, "
        f"{seconds:.1f} s, {count / seconds:,.0f} {items}/s"
    )
    return results


def shown(name: str, value: float) -> str:
    """A result as one says it.

    Args:
        name: of the metric.
        value: what it is.

    Example:
        >>> shown("accuracy", 0.5), shown("squared_error", 0.1234567)
        ('accuracy 50.00 %', 'squared error 0.12346')
    """
    words = name.replace("_", " ")
    return f"{words} {100 * value:.2f} %" if report.is_share(name) else f"{words} {value:.5g}"


def size(model: torch.nn.Module) -> int:
    """How many parameters a model has.

    Args:
        model: the model.

    Example:
        >>> from minimodels import nn
        >>> size(nn.Linear(2, 3))
        9
    """
    return sum(parameter.numel() for parameter in model.parameters())


def _passes(chosen: TrainingSettings, plan: Plan) -> int:
    """How often the loop goes through the training data."""
    if plan.steps is not None:
        return -(-plan.steps // _steps(chosen, plan))
    assert chosen.epochs is not None, "the recipe has filled it in"
    return chosen.epochs


def _steps(chosen: TrainingSettings, plan: Plan) -> int:
    """Steps in one pass through the training data."""
    return -(-len(plan.train) // chosen.accumulate)


def _trainer(chosen: TrainingSettings, device: torch.device, plan: Plan, folder: Path) -> Trainer:
    """The loop with warm-up and a cosine to the floor, and the callbacks that fill the run folder."""
    steps = plan.steps or _passes(chosen, plan) * _steps(chosen, plan)
    rising = round(chosen.warmup * steps)
    keeper: object = ModelCheckpoint(folder / MODEL, plan.metadata)
    if plan.save is not None:
        keeper = Keeper(partial(plan.save, folder), plan.best)
    return Trainer(
        plan.model,
        plan.loss,
        plan.optimizer,
        schedule=WarmupCosineLR(plan.optimizer, rising, steps, 1 / (rising + 1), plan.floor),
        metrics=plan.metrics,
        count=plan.count,
        device=device,
        precision=chosen.precision,
        accumulate=chosen.accumulate,
        clip_norm=chosen.clip_norm,
        callbacks=[keeper, CSVLogger(folder), ProgressBar(plan.steps)],
        units=plan.units,
    )


def _summarise(trainer: Trainer, plan: Plan, seconds: float, folder: Path) -> str:
    """Write summary.json, and give the last line of the run."""
    history, items, unit = trainer.history, plan.units.items, plan.units.progress
    kept = plan.kept(history.records)
    speed = history.total(items) / history.total("seconds")
    results = {f"test_{name}": kept[f"val_{name}"] for name in (*plan.metrics, "loss")}
    summary = {
        **{name: value if math.isfinite(value) else None for name, value in results.items()},
        **plan.results,
        f"{unit}s": trainer.done,
        **({f"best_{unit}": int(kept[unit])} if plan.best else {}),
        "seconds": round(seconds, 3),
        f"{items}_per_second": round(speed, 1),
        "parameters": size(trainer.model),
        "device": str(trainer.device),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "minimodels": __version__,
    }
    write_json(folder / "summary.json", summary)
    headline = next(iter(plan.metrics))
    result = shown(headline, kept[f"val_{headline}"])
    length = f"{trainer.done} {unit}{'s' if trainer.done > 1 else ''}"
    if plan.steps is not None:
        result += f", loss {kept['val_loss']:.4f}"
    if plan.best:
        result += f" at step {kept[unit]:.0f}, the best"
    return f"test {result} after {length}, {seconds:.1f} s, {speed:,.0f} {items}/s"
