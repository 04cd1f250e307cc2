"""What a run came to: summary.json, and the line that is said last."""

import math
import platform
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from minimodels import __version__
from minimodels.files import write_json
from minimodels.inspection import report
from minimodels.recipes.runs import SUMMARY
from minimodels.training import Trainer
from minimodels.training.logging import History

if TYPE_CHECKING:
    from minimodels.recipes.plan import Plan


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


def _used(trainer: Trainer) -> dict[str, float]:
    """What the run used of its device, over all epochs in which that was measured."""
    timings, used = trainer.history.timings, {}
    peaks = [timing["peak_memory_mib"] for timing in timings if "peak_memory_mib" in timing]
    if peaks:
        used["peak_memory_mib"] = max(peaks)
    counted = [timing for timing in timings if "flops_per_second" in timing]
    if counted:
        total = sum(timing["flops_per_second"] * timing["seconds"] for timing in counted)
        used["flops_per_second"] = round(total / sum(timing["seconds"] for timing in counted))
        used["utilisation"] = round(used["flops_per_second"] / trainer.speed.ceiling(), 4)
    return used


def summarise(trainer: Trainer, plan: "Plan", folder: Path) -> None:
    """Write summary.json, unless a run that was complete already has one.

    Args:
        trainer: that ran it.
        plan: of the run.
        folder: where it goes.
    """
    if (folder / SUMMARY).is_file():
        return
    history, items, unit = trainer.history, plan.units.items, plan.units.progress
    kept = plan.kept(history.records)
    results = {f"test_{name}": kept[f"val_{name}"] for name in (*plan.metrics, "loss")}
    summary = {
        **{name: value if math.isfinite(value) else None for name, value in results.items()},
        **plan.results,
        f"{unit}s": trainer.done,
        **({f"best_{unit}": int(kept[unit])} if plan.best else {}),
        "seconds": round(_seconds(history), 3),
        f"{items}_per_second": round(history.total(items) / history.total("seconds"), 1),
        **_used(trainer),
        "parameters": size(trainer.model),
        "device": trainer.world.named(trainer.device),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "minimodels": __version__,
    }
    write_json(folder / SUMMARY, summary)


def _seconds(history: History) -> float:
    """How long a run has trained and tested."""
    return history.total("seconds") + history.total("validation_seconds")


def last_line(trainer: Trainer, plan: "Plan") -> str:
    """What a run came to, for people.

    Args:
        trainer: that ran it.
        plan: of the run.
    """
    history, items, unit = trainer.history, plan.units.items, plan.units.progress
    kept, headline = plan.kept(history.records), next(iter(plan.metrics))
    result = shown(headline, kept[f"val_{headline}"])
    length = f"{trainer.done} {unit}{'s' if trainer.done > 1 else ''}"
    if plan.steps is not None:
        result += f", loss {kept['val_loss']:.4f}"
    if plan.best:
        result += f" at step {kept[unit]:.0f}, the best"
    speed = history.total(items) / history.total("seconds")
    return f"test {result} after {length}, {_seconds(history):.1f} s, {speed:,.0f} {items}/s"
