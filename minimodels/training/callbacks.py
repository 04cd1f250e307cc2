"""Callbacks: plain objects that the loop tells where it is."""

import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minimodels.checkpoint import save_model
from minimodels.training.logging import Record
from minimodels.training.metrics import Totals

if TYPE_CHECKING:
    from minimodels.training.loop import Trainer


class Callback:
    """The moments of training that one can listen to; every method is optional.

    It need not be inherited from: any object with some of these methods will do. `trainer` is at hand in
    all of them: `trainer.model`, `trainer.epoch` (epochs completed), `trainer.step`, `trainer.history`. To end
    training after the current epoch set `trainer.stop_training = True`.

    Example:
        >>> class Patience(Callback):
        ...     def on_epoch_end(self, trainer, record):
        ...         trainer.stop_training = record["loss"] < 0.1
    """

    def on_train_begin(self, trainer: "Trainer") -> None:
        """`fit` was called.

        Args:
            trainer: that begins.
        """

    def on_epoch_begin(self, trainer: "Trainer") -> None:
        """An epoch begins; `trainer.epoch` are done.

        Args:
            trainer: that begins it.
        """

    def on_batch_end(self, trainer: "Trainer", totals: Totals) -> None:
        """The optimiser made a step (of `accumulate` batches).

        Args:
            trainer: that made it.
            totals: of the epoch so far; `totals.means()` waits for the device.
        """

    def on_epoch_end(self, trainer: "Trainer", record: Record) -> None:
        """An epoch and its validation are over.

        Args:
            trainer: that ran it.
            record: its results, also the last of `trainer.history.records`.
        """

    def on_train_end(self, trainer: "Trainer") -> None:
        """`fit` is over, also when it was interrupted or failed.

        Args:
            trainer: that stops.
        """


class ModelCheckpoint:
    """A callback that saves the model after every epoch, so that an interrupted run keeps what it has learnt.

    Args:
        path: the file; each epoch replaces it in one atomic step.
        metadata: written with it.
    """

    def __init__(self, path: str | os.PathLike[str], metadata: Mapping[str, Any] | None = None) -> None:
        self.path = Path(path)
        self.metadata = dict(metadata or {})

    def on_epoch_end(self, trainer: "Trainer", record: Record) -> None:
        """Save.

        Args:
            trainer: whose model is saved.
            record: of the epoch.
        """
        save_model(self.path, trainer.model, {**self.metadata, f"{trainer.units.progress}s": trainer.done})


class Keeper:
    """A callback that saves the model whenever it is better than before, or after every epoch.

    Args:
        save: writes the model.
        best: only when its validation loss is the lowest so far.

    Attributes:
        lowest: that loss.
    """

    def __init__(self, save: Callable[[], object], best: bool = False) -> None:
        self.save = save
        self.best = best
        self.lowest = math.inf

    def on_epoch_end(self, trainer: "Trainer", record: Record) -> None:
        """Save, if it is worth it.

        Args:
            trainer: whose model is saved.
            record: of the epoch.
        """
        if not self.best or record["val_loss"] < self.lowest:
            self.lowest = record["val_loss"]
            self.save()
