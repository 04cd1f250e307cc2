"""Telling a person how training goes: a bar where there is a screen, one line an epoch everywhere."""

import sys
import time
from typing import TYPE_CHECKING, Any, TextIO

from tqdm.auto import tqdm

from minimodels.inspection.report import is_share
from minimodels.training.distributed import current
from minimodels.training.logging import Record
from minimodels.training.metrics import Totals

if TYPE_CHECKING:
    from minimodels.training.loop import Trainer

REFRESH_SECONDS = 0.2
"""The bar reads the running means at most this often: reading makes an accelerator wait."""


class ProgressBar:
    """A callback that shows a bar while an epoch runs and prints one line when it is over.

    In a terminal or a notebook the bar runs on stderr and vanishes with its epoch. Where stderr is a file or a pipe
    there is no bar, and the lines alone make a readable log. The lines go to stdout.

    Args:
        steps: of the whole run, for one that is counted in steps: the bar then goes over all of it.

    Example:
        >>> ProgressBar.line({"epoch": 3, "loss": 0.08, "accuracy": 0.975, "lr": 0.001}, 25)
        'epoch  3/25  loss 0.0800  accuracy 97.50 %'
    """

    def __init__(self, steps: int | None = None) -> None:
        self.steps = steps
        self.bar: Any = None
        self.shown = 0.0

    @staticmethod
    def line(record: Record, total: int) -> str:
        """One epoch in words, or what came of the steps so far.

        Args:
            record: its results; the first says how far the run is.
            total: how far it will go.
        """
        (unit, reached), *results = record.items()
        numbers = [describe(name, value) for name, value in results if name != "lr"]
        return "  ".join([f"{unit} {int(reached):{len(str(total))}d}/{total}", *numbers])

    def on_epoch_begin(self, trainer: "Trainer") -> None:
        """Start a bar.

        Args:
            trainer: whose epoch begins.
        """
        whole, silent = self.steps is not None, not has_screen(sys.stderr)
        title = "training" if whole else f"epoch {trainer.epoch + 1}/{trainer.epochs}"
        total, done = (self.steps, trainer.step) if whole else (trainer.steps_per_epoch, 0)
        self.bar = tqdm(total=total, initial=done, desc=title, unit="step", leave=False, disable=silent)

    def on_batch_end(self, trainer: "Trainer", totals: Totals) -> None:
        """Move the bar by one step; from time to time show the means so far.

        Args:
            trainer: that made a step.
            totals: of the epoch so far.
        """
        now = time.perf_counter()
        if not self.bar.disable and now - self.shown >= REFRESH_SECONDS:
            self.shown = now
            self.bar.set_postfix_str("  ".join(describe(*item) for item in totals.means().items()), refresh=False)
        self.bar.update()

    def on_epoch_end(self, trainer: "Trainer", record: Record) -> None:
        """Take the bar away and print the epoch's line.

        Args:
            trainer: whose epoch is over.
            record: its results.
        """
        self.bar.close()
        timing, items = trainer.history.timings[-1], trainer.units.items
        speed = f"{timing['seconds']:.1f} s  {timing[f'{items}_per_second']:,.0f} {items}/s"
        say(f"{self.line(record, self.steps or trainer.epochs)}  {speed}")

    def on_train_end(self, trainer: "Trainer") -> None:
        """Take away the bar of an epoch that was broken off.

        Args:
            trainer: that stops.
        """
        if self.bar is not None:
            self.bar.close()


def describe(name: str, value: float) -> str:
    """A number with its name: shares as per cent, the rest with four decimals.

    Args:
        name: such as "loss" or "val_accuracy".
        value: the number.

    Example:
        >>> describe("val_accuracy", 0.98765), describe("loss", 0.5)
        ('val_accuracy 98.77 %', 'loss 0.5000')
    """
    return f"{name} {value:.2%}".replace("%", " %") if is_share(name) else f"{name} {value:.4f}"


def say(text: str) -> None:
    """Print a line on stdout at once, above a bar that may be showing; of several processes the main one speaks.

    Args:
        text: the line.
    """
    if not current().main:
        return
    tqdm.write(text, file=sys.stdout)
    sys.stdout.flush()


def has_screen(stream: TextIO) -> bool:
    """Whether a bar on this stream would be seen by a person: in a terminal, or in a notebook.

    Args:
        stream: usually stderr.

    Example:
        >>> import io
        >>> has_screen(io.StringIO())
        False
    """
    return stream.isatty() or "ipykernel" in sys.modules
