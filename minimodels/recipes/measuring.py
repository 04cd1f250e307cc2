"""A model that was trained, read from its run folder and measured."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from minimodels.checkpoint import load_model
from minimodels.inspection import report
from minimodels.recipes.checks import check_weights
from minimodels.recipes.fitting import prepare
from minimodels.recipes.runs import MODEL
from minimodels.recipes.summary import shown
from minimodels.recipes.training_settings import TrainingSettings
from minimodels.training import Metric, Trainer
from minimodels.training.progress import say


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

    Raises:
        InputError: the file is missing, damaged or of another model, or its weights are not finite.
    """
    device = prepare(chosen)
    load_model(folder / MODEL, model)
    check_weights(model, folder / MODEL)
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
