"""Stopping when the model gets no better."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from minimodels.errors import InputError
from minimodels.training.logging import Record
from minimodels.training.monitoring import Monitor

if TYPE_CHECKING:
    from minimodels.training.loop import Trainer


class EarlyStopping:
    """A callback that ends training when a number has not got better for some epochs in a row.

    An epoch is here the stretch between two measurements. NaN is no improvement. A run that was stopped stays stopped,
    also when it is resumed or `fit` is called again: as one long run would be. Take a new callback to train on.

    Args:
        monitor: the number, as it stands in the records of the history.
        patience: how many epochs in a row may be no better than the best; after the last of them training ends.
        min_delta: by how much a value must be better to count.
        mode: "min" if smaller is better, "max" if larger is, "auto" to tell by the name.

    Attributes:
        wait: how many epochs in a row were no better.

    Raises:
        InputError: `patience` below 1, or what `Monitor` refuses; after the first epoch: the number is not measured.

    References: L. Prechelt, "Early Stopping - But When?", in Neural Networks: Tricks of the Trade, 1998,
        doi:10.1007/3-540-49430-8_3.

    See: `Monitor`; tests/training/test_stopping.py

    Example:
        >>> import torch
        >>> from minimodels import nn, optim
        >>> from minimodels.training import Trainer
        >>> data = torch.ones(4, 1), torch.ones(4, 1)
        >>> model = nn.Linear(1, 1)
        >>> idle, stopping = optim.SGD(model.parameters(), lr=0.0), EarlyStopping("loss", patience=3)
        >>> Trainer(model, nn.MSELoss(), idle, device="cpu", callbacks=[stopping]).fit(data, epochs=100).epoch
        [1, 2, 3, 4]
    """

    def __init__(self, monitor: str = "val_loss", *, patience: int, min_delta: float = 0.0, mode: str = "auto") -> None:
        if patience < 1:
            raise InputError(f"patience {patience}: an epoch has to be no better to end training; give 1 or more.")
        self.monitor = Monitor(monitor, mode, min_delta)
        self.patience = patience
        self.wait = 0

    @property
    def best(self) -> float:
        """The best value so far."""
        return self.monitor.best

    @property
    def reason(self) -> str:
        """Why training was ended, for people; empty as long as it was not."""
        if self.wait < self.patience:
            return ""
        times = "time" if self.wait == 1 else f"{self.wait} times in a row"
        return f"{self.monitor.name} was no better than {self.best:.6g} the last {times} that it was measured"

    def on_train_begin(self, trainer: "Trainer") -> None:
        """End a run at once that had been ended before.

        Args:
            trainer: that begins.
        """
        self._stop(trainer)

    def on_epoch_end(self, trainer: "Trainer", record: Record) -> None:
        """Count the epochs that bring nothing, and end training when there were too many.

        Args:
            trainer: that ran the epoch.
            record: its results.
        """
        self.wait = 0 if self.monitor.improved(record) else self.wait + 1
        self._stop(trainer)

    def state_dict(self) -> dict[str, Any]:
        """What a run that goes on needs: the best value, and for how long there was none."""
        return {"wait": self.wait, **self.monitor.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave.

        Args:
            state: that.
        """
        self.wait = int(state["wait"])
        self.monitor.load_state_dict(state)

    def _stop(self, trainer: "Trainer") -> None:
        """Tell the loop, if patience is at its end; it is left alone otherwise, for others may want to stop."""
        if self.wait >= self.patience:
            trainer.stop_training = True
