"""Callbacks: plain objects that the loop tells where it is."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from minimodels.checkpoint import save_model
from minimodels.training.logging import Record
from minimodels.training.metrics import Totals
from minimodels.training.monitoring import Monitor

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


class Keeper:
    """A callback that saves the model whenever it is better than before, or after every epoch.

    Args:
        save: writes the model that it is given, in the main process.
        best: only when a number is better than ever before.
        monitor: that number, as it stands in the records of the history.
        min_delta: by how much a value must be better to count.
        mode: "min" if smaller is better, "max" if larger is, "auto" to tell by the name.

    Raises:
        InputError: what `Monitor` refuses; after the first epoch: the number is not measured.

    See: `Monitor`; tests/training/test_units.py

    Example:
        >>> from minimodels import nn
        >>> from minimodels.training import Trainer
        >>> keeper = Keeper(lambda model: print("saved"), best=True, monitor="val_accuracy")
        >>> for value in (0.5, 0.4, 0.6):
        ...     keeper.on_epoch_end(Trainer(nn.Linear(1, 1), nn.MSELoss()), {"epoch": 1, "val_accuracy": value})
        saved
        saved
    """

    def __init__(
        self,
        save: Callable[[nn.Module], object],
        best: bool = False,
        monitor: str = "val_loss",
        *,
        min_delta: float = 0.0,
        mode: str = "auto",
    ) -> None:
        self.save = save
        self.best = best
        self.monitor = Monitor(monitor, mode, min_delta)

    def on_epoch_end(self, trainer: "Trainer", record: Record) -> None:
        """Save, if it is worth it.

        Args:
            trainer: whose model is saved.
            record: of the epoch.
        """
        if not self.best or self.monitor.improved(record):
            with trainer.to_save() as model:
                if trainer.world.main:
                    self.write(trainer, model)

    def write(self, trainer: "Trainer", model: nn.Module) -> None:
        """Write the model.

        Args:
            trainer: that trains it.
            model: as it is to be saved.
        """
        self.save(model)

    def state_dict(self) -> dict[str, Any]:
        """What a run that goes on needs: the best value so far."""
        return self.monitor.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave.

        Args:
            state: that.
        """
        self.monitor.load_state_dict(state)


class ModelCheckpoint(Keeper):
    """A `Keeper` that writes one safetensors file, so that an interrupted run keeps what it has learnt.

    Args:
        path: the file; a new one replaces it in one atomic step.
        metadata: written with it.
        best: only when the validation loss is the lowest so far; otherwise after every epoch.
    """

    def __init__(
        self, path: str | os.PathLike[str], metadata: Mapping[str, Any] | None = None, best: bool = False
    ) -> None:
        self.path = Path(path)
        self.metadata = dict(metadata or {})
        super().__init__(lambda model: save_model(self.path, model, self.metadata), best)

    def write(self, trainer: "Trainer", model: nn.Module) -> None:
        """Write the model, and how far it was trained.

        Args:
            trainer: that trains it.
            model: as it is to be saved.
        """
        save_model(self.path, model, {**self.metadata, f"{trainer.units.progress}s": trainer.done})
