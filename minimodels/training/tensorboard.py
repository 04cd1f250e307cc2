"""Curves in TensorBoard, for whoever has it installed."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minimodels.errors import InputError
from minimodels.training.logging import Record
from minimodels.training.metrics import Totals

if TYPE_CHECKING:
    from minimodels.training.loop import Trainer

VALIDATION = "val_"


class TensorBoard:
    """A callback that writes what is measured for TensorBoard: `tensorboard --logdir FOLDER` draws it while it trains.

    Over the steps of the optimiser it writes, after every epoch, "loss/train" and "loss/val", the same for each metric,
    "lr", and under "timing/" what the loop took down of its speed; in between "loss/steps", the mean loss since the
    last time that this was written.

    A run that goes on from an earlier step takes back what was written beyond it, so that no curve runs twice.

    Args:
        folder: where the event files go; each `fit` adds one.
        every: steps between two values of "loss/steps"; reading the loss waits for the device.

    Raises:
        InputError: the package tensorboard is not installed, or `every` is below 1.

    See: tests/training/test_tensorboard.py
    """

    def __init__(self, folder: str | os.PathLike[str], every: int = 50) -> None:
        if every < 1:
            raise InputError(f"every {every}: steps lie between two values of the loss; give 1 or more.")
        _summary_writer()  # before anything is trained
        self.folder = Path(folder)
        self.every = every
        self._writer: Any = None
        self._total = self._count = 0.0  # of the losses of this epoch that are written

    def on_train_begin(self, trainer: "Trainer") -> None:
        """Begin a file, and take back what an earlier run wrote beyond this step.

        Args:
            trainer: that begins.
        """
        self._writer = _summary_writer()(str(self.folder), purge_step=trainer.step + 1)

    def on_batch_end(self, trainer: "Trainer", totals: Totals) -> None:
        """From time to time write the mean loss since the last time.

        Args:
            trainer: that made a step.
            totals: of the epoch so far.
        """
        if trainer.step % self.every == 0:
            total, count = float(totals.sums["loss"]), float(totals.counts["loss"])
            if count > self._count:
                mean = (total - self._total) / (count - self._count)
                self._writer.add_scalar("loss/steps", mean, trainer.step)
            self._total, self._count = total, count

    def on_epoch_end(self, trainer: "Trainer", record: Record) -> None:
        """Write the results and the speed of an epoch.

        Args:
            trainer: that ran it.
            record: its results.
        """
        self._total = self._count = 0.0
        progress = trainer.units.progress
        scalars = {curve(name): value for name, value in record.items() if name != progress}
        timing = trainer.history.timings[-1]
        scalars |= {f"timing/{name}": value for name, value in timing.items() if name != progress}
        for name, value in scalars.items():
            self._writer.add_scalar(name, value, trainer.step)
        self._writer.flush()

    def on_train_end(self, trainer: "Trainer") -> None:
        """Write what is left, and close the file.

        Args:
            trainer: that stops.
        """
        self._total = self._count = 0.0  # an epoch that was broken off is not gone on with
        if self._writer is not None:
            self._writer.close()

    def state_dict(self) -> dict[str, Any]:
        """What a run that goes on needs: which losses of this epoch are written; on disk as well, from then on."""
        if self._writer is not None:
            self._writer.flush()
        return {"total": self._total, "count": self._count}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave.

        Args:
            state: that.
        """
        self._total, self._count = float(state["total"]), float(state["count"])


def curve(name: str) -> str:
    """Under which name a number is drawn: training and validation beside each other, in one group.

    Args:
        name: of the number in a record.

    Example:
        >>> curve("loss"), curve("val_loss"), curve("lr")
        ('loss/train', 'loss/val', 'lr')
    """
    if name == "lr":
        return name
    return f"{name.removeprefix(VALIDATION)}/val" if name.startswith(VALIDATION) else f"{name}/train"


def _summary_writer() -> Any:
    """The class that writes event files."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise InputError(
            "the package tensorboard is not installed, which draws the curves; "
            'pip install "minimodels[tensorboard]", or train without.'
        ) from None
    return SummaryWriter
