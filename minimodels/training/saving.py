"""Saving the state of a run, and stopping between two steps when somebody asks for it."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

import torch

from minimodels.checkpoint import States
from minimodels.errors import InputError
from minimodels.training.finiteness import first_spoiled
from minimodels.training.logging import Record
from minimodels.training.metrics import Totals

if TYPE_CHECKING:
    from minimodels.training.loop import Trainer

MINUTES = 10.0
"""An epoch that lasts longer is saved in between."""


class Saver:
    """A callback that saves the state of a run, so that it can go on as if it had never stopped.

    It saves at the end of every epoch, and within one that lasts long; what it saves, and when, changes nothing in the
    run. It has to be the last of the callbacks, as it saves what the others remember.

    Args:
        states: where to.
        every: steps between two savings, besides those at the end of an epoch; None: whenever some minutes have passed.
        minutes: how many.

    Attributes:
        wanted: the signal by which somebody asked to stop; the run then saves after its step, and stops.

    Raises:
        Stopped: once the state is saved, where a signal came.

    See: tests/training/test_saving.py
    """

    def __init__(self, states: States, every: int | None = None, minutes: float = MINUTES) -> None:
        self.states = states
        self.every = every
        self.minutes = minutes
        self.wanted: signal.Signals | None = None
        self.last = time.monotonic()

    def on_batch_end(self, trainer: "Trainer", totals: Totals) -> None:
        """Save if it is time, or if the run is asked to stop.

        Args:
            trainer: that made a step.
            totals: of the epoch so far.
        """
        wish = 2 if self.wanted else int(self._due(trainer.step))
        self._follow(trainer, trainer.world.largest(wish))

    def on_epoch_end(self, trainer: "Trainer", record: Record) -> None:
        """Save, and stop if the run is asked to.

        Args:
            trainer: whose epoch is over.
            record: of the epoch.
        """
        self._follow(trainer, trainer.world.largest(2 if self.wanted else 1))

    def _due(self, step: int) -> bool:
        if self.every is not None:
            return step % self.every == 0
        return time.monotonic() - self.last > 60 * self.minutes

    def _follow(self, trainer: "Trainer", wish: int) -> None:
        """Do what one of the processes wishes: nothing, save, or save and stop."""
        if wish:
            check_weights(trainer.model, trainer.step)
            self.states.save(trainer.step, trainer.state_dict())
            self.last = time.monotonic()
        if wish == 2:
            raise Stopped(self.wanted or signal.SIGTERM, trainer.step)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """While this runs, SIGINT (Ctrl-C) and SIGTERM let the step end first; a second SIGINT does not wait."""
        if threading.current_thread() is not threading.main_thread():  # which alone may listen
            yield
            return
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

        def note(number: int, frame: FrameType | None) -> None:
            if self.wanted is not None and number == signal.SIGINT:
                raise KeyboardInterrupt
            self.wanted = signal.Signals(number)

        for number in before:
            signal.signal(number, note)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class Stopped(KeyboardInterrupt):
    """A run that was asked to stop has saved its state and stops.

    Args:
        signal: by which it was asked.
        step: after which it stops.
    """

    def __init__(self, signal: signal.Signals, step: int) -> None:
        super().__init__(f"stopped by {signal.name} after step {step}")
        self.signal = signal
        self.step = step


def check_weights(model: torch.nn.Module, step: int) -> None:
    """Refuse to save weights that are spoiled, in the place of a state that was good.

    Args:
        model: whose parameters are looked at.
        step: for the message.

    Raises:
        InputError: a parameter is not finite; the message names it.

    Example:
        >>> check_weights(torch.nn.ParameterDict({"gain": torch.tensor([1.0, float("nan")])}), 7)
        Traceback (most recent call last):
        ...
        minimodels.errors.InputError: the weights of gain are not finite after step 7: the state before is kept; ...
    """
    name = first_spoiled(model)
    if name:
        raise InputError(
            f"the weights of {name} are not finite after step {step}: the state before is kept; "
            f"lower the learning rate (lr; --lr) or clip the gradient (clip_norm; --clip-norm)."
        )
