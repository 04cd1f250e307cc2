"""What every schedule shares: where a run stands, the rates that it began with, and the order of the two `step`s."""

import functools
import warnings
import weakref
from typing import Any

import torch
from torch import Tensor

Rate = float | Tensor
"""A learning rate (or momentum), as the parameter group holds it."""

EPOCH_WARNING = (
    "The epoch parameter in `scheduler.step()` was not necessary and is being deprecated where possible. Please use "
    "`scheduler.step()` to step the scheduler. During the deprecation, if epoch is different from None, the closed "
    "form is used instead of the new chainable form, where available."
)


class LRScheduler:
    """Sets the learning rate of every parameter group of an optimiser as a function of the steps made.

    A schedule is a subclass that says in `get_lr` which rates hold at `self.last_epoch`. The rates that the groups
    began with are kept in the groups as "initial_lr", so that an optimiser's `state_dict` carries them, and the
    schedule's own state loads into its namesake of `torch.optim.lr_scheduler` and back. The constructor takes step 0.

    Args:
        optimizer: the optimiser, ours or torch's.
        last_epoch: the last step that was made, when a run goes on with an optimiser that was loaded; -1 to begin.

    Attributes:
        base_lrs: the rates that the groups began with.
        last_epoch: the number of steps made, 0 after construction.

    Raises:
        TypeError: `optimizer` is not an optimiser.
        KeyError: `last_epoch` says that the run goes on, but the groups carry no "initial_lr".

    See:
        tests/optim/test_schedules.py.

    Example:
        >>> from minimodels.optim import SGD
        >>> class Halving(LRScheduler):
        ...     def get_lr(self):
        ...         return [lr / 2**self.last_epoch for lr in self.base_lrs]
        >>> optimizer = SGD([torch.zeros(1)], lr=0.4)
        >>> schedule = Halving(optimizer)
        >>> optimizer.step()
        >>> schedule.step()
        >>> schedule.get_last_lr()
        [0.2]
    """

    _get_lr_called_within_step = False
    _is_initial = False

    def __init__(self, optimizer: torch.optim.Optimizer, last_epoch: int = -1) -> None:
        check_optimizer(optimizer)
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", own(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{i}] when resuming scheduler with "
                    f"last_epoch={last_epoch}: load the optimiser's state first, or begin with last_epoch=-1"
                )
        self.optimizer = optimizer
        self.base_lrs = values(optimizer, "initial_lr")
        self.last_epoch = last_epoch
        _note_steps(optimizer)
        self._initial_step()

    def _initial_step(self) -> None:
        """Take step 0; SequentialLR asks for it a second time."""
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def get_lr(self) -> list[Rate]:
        """The rates of the parameter groups at step `self.last_epoch`; `step` asks, others look at `get_last_lr`."""
        raise NotImplementedError

    def step(self, epoch: int | None = None) -> None:
        """Go to the next step and set its rates; call it after the optimiser's own `step`.

        Args:
            epoch: deprecated: go to this step instead, by the closed form of the schedule if it has one.
        """
        if self._step_count == 1:
            self._check_order()
        self._step_count += 1
        if epoch is not None:
            warnings.warn(EPOCH_WARNING, UserWarning, stacklevel=2)
        self._update_lr(epoch)

    def _update_lr(self, epoch: int | None = None) -> None:
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        rates = self.get_lr if epoch is None else getattr(self, "_get_closed_form_lr", self.get_lr)
        self._get_lr_called_within_step = True
        try:
            found = rates()
        finally:
            self._get_lr_called_within_step = False
        for group, rate in zip(self.optimizer.param_groups, found, strict=True):
            set_value(group, "lr", rate)
        self._last_lr = values(self.optimizer, "lr")

    def get_last_lr(self) -> list[Rate]:
        """The rates that were set last, one for each parameter group; tensors are copies."""
        return self._last_lr

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimiser, whose own `state_dict` holds the rest."""
        return {key: value for key, value in self.__dict__.items() if key != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where the saved schedule stood; the rates in the groups come with the optimiser's own state.

        Args:
            state_dict: what `state_dict` gave.
        """
        self.__dict__.update(state_dict)

    def _check_order(self) -> None:
        """Warn when the schedule's first step comes before the optimiser's: the first rate would never be used."""
        if not hasattr(self.optimizer.step, "_wrapped_by_lr_sched"):
            warnings.warn(
                "Seems like `optimizer.step()` has been overridden after learning rate scheduler initialization. "
                "Please, make sure to call `optimizer.step()` before `lr_scheduler.step()`.",
                UserWarning,
                stacklevel=3,
            )
        elif not getattr(self.optimizer, "_opt_called", False):
            warnings.warn(
                "Detected call of `lr_scheduler.step()` before `optimizer.step()`. You should call them in the "
                "opposite order: `optimizer.step()` before `lr_scheduler.step()`.  Failure to do this will result in "
                "skipping the first value of the learning rate schedule.",
                UserWarning,
                stacklevel=3,
            )

    def _ask_within_step(self) -> None:
        """Warn whoever calls `get_lr`: from the outside its answer is one step off."""
        if not self._get_lr_called_within_step:
            warnings.warn(
                "To get the last learning rate computed by the scheduler, please use `get_last_lr()`.",
                UserWarning,
                stacklevel=3,
            )


def check_optimizer(optimizer: Any) -> None:
    """Refuse what is no optimiser.

    Args:
        optimizer: an object.

    Raises:
        TypeError: it is not an optimiser.
    """
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")


def own(value: Rate) -> Rate:
    """A value that does not change with the group's own tensor.

    Args:
        value: a number or a tensor.
    """
    return value.clone() if isinstance(value, Tensor) else value


def values(optimizer: torch.optim.Optimizer, key: str) -> list[Rate]:
    """What the parameter groups hold under a key, one by one.

    Args:
        optimizer: the optimiser.
        key: "lr", "initial_lr", ...
    """
    return [own(group[key]) for group in optimizer.param_groups]


def set_value(group: dict[str, Any], key: str, value: Rate) -> None:
    """Put a value in a parameter group, into the very tensor that is there: a captured graph reads it.

    Args:
        group: the entry of `param_groups`.
        key: "lr", ...
        value: a number or a tensor of one element.
    """
    if isinstance(group[key], Tensor):
        group[key].fill_(value.squeeze() if isinstance(value, Tensor) else value)
    else:
        group[key] = value


def for_groups(name: str, optimizer: torch.optim.Optimizer, value: Any) -> list[Any]:
    """One value for every parameter group, given once for all or as a list.

    Args:
        name: what it is, for the message.
        optimizer: the optimiser.
        value: a value, or a list or tuple of one for each group.

    Raises:
        ValueError: the list has another length.
    """
    if not isinstance(value, (list, tuple)):
        value = [value] * len(optimizer.param_groups)
    if len(value) != len(optimizer.param_groups):
        raise ValueError(
            f"{name} must have the same length as optimizer.param_groups. "
            f"{name} has {len(value)} values, param_groups has {len(optimizer.param_groups)}."
        )
    return [own(each) for each in value]


def _note_steps(optimizer: torch.optim.Optimizer) -> None:
    """Let the optimiser note that it has stepped, under the names that torch.optim.lr_scheduler uses for it.

    Ours and torch's schedules then understand each other on one optimiser, and so does whatever looks for the note.
    """
    if hasattr(optimizer.step, "_wrapped_by_lr_sched"):
        return
    step = optimizer.step.__func__  # type: ignore[attr-defined]
    reference = weakref.ref(optimizer)  # the optimiser holds this wrapper: no circle

    @functools.wraps(step)
    def noting(*args: Any, **kwargs: Any) -> Any:
        optimizer: Any = reference()
        optimizer._opt_called = True
        return step.__get__(optimizer, type(optimizer))(*args, **kwargs)

    noting._wrapped_by_lr_sched = True  # type: ignore[attr-defined]
    optimizer.step = noting  # type: ignore[method-assign]
