"""Which of two measurements is better, and the best so far."""

import math
from collections.abc import Mapping
from typing import Any

from minimodels.errors import InputError, did_you_mean, listing
from minimodels.inspection.report import larger_is_better
from minimodels.training.logging import Record

MODES = ("auto", "min", "max")
"""What is better: what the name says, the smaller value, or the larger one."""


class Monitor:
    """Watches one of the numbers that are measured after every epoch, and knows its best value so far.

    A value v is better than the best so far, b, if

        min:  v < b − δ        max:  v > b + δ,

    so NaN never is.

    Args:
        name: of the number, as it stands in the records of the history.
        mode: one of `MODES`.
        min_delta: δ, by how much a value must be better to count.

    Attributes:
        larger: whether larger is better.
        best: b; infinite before the first value, on the worse side.

    Raises:
        InputError: an unknown mode, "auto" where the name does not say what is better, or a negative `min_delta`.

    See: tests/training/test_stopping.py

    Example:
        >>> monitor = Monitor("val_accuracy")
        >>> [monitor.improved({"epoch": 1, "val_accuracy": value}) for value in (0.5, 0.4, 0.6)], monitor.best
        ([True, False, True], 0.6)
    """

    def __init__(self, name: str = "val_loss", mode: str = "auto", min_delta: float = 0.0) -> None:
        if mode not in MODES:
            raise InputError(f"mode {mode}: give {listing(MODES)}{did_you_mean(mode, MODES)}")
        if not 0 <= min_delta < math.inf:
            raise InputError(f"min_delta {min_delta}: is an amount by which to be better; give 0 or more.")
        larger = larger_is_better(name) if mode == "auto" else mode == "max"
        if larger is None:
            raise InputError(f"monitor {name}: its name does not say whether more is better; add mode min or mode max.")
        self.name = name
        self.min_delta = min_delta
        self.larger = larger
        self.best = -math.inf if larger else math.inf

    def improved(self, record: Record) -> bool:
        """Whether a measurement is better than all before; its value is then the best.

        Args:
            record: of the epoch.

        Raises:
            InputError: the number is not measured.
        """
        if self.name not in record:
            raise InputError(self._missing(record))
        value = record[self.name]
        better = value > self.best + self.min_delta if self.larger else value < self.best - self.min_delta
        if better:
            self.best = value
        return better

    def _missing(self, record: Record) -> str:
        """What is said when there is no such number."""
        _, *names = (name for name in record if name != "lr")  # the first counts epochs or steps
        remedy = f"give {listing(names)}{did_you_mean(self.name, names)}"
        if self.name.startswith("val_") and not any(name.startswith("val_") for name in names):
            remedy = f"train with validation data, or {remedy}"
        return f"monitor {self.name}: there is no such number among those that are measured; {remedy}"

    def state_dict(self) -> dict[str, Any]:
        """What a run that goes on needs: the best value."""
        return {"best": self.best}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave.

        Args:
            state: that.
        """
        self.best = float(state["best"])
