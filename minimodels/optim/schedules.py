"""Learning-rate schedules: how large a step is, as a function of how many were made."""

import math
from typing import Any

import torch
from torch import Tensor

from minimodels.errors import InputError


class LRScheduler:
    """Sets the learning rate of every parameter group of an optimiser as a function of the steps made.

    A schedule is a subclass that says in `get_lr` which rates hold at `self.last_epoch`. The rates that the groups
    began with are kept in the groups as "initial_lr", so that an optimiser's `state_dict` carries them, and the
    schedule's own state loads into `torch.optim.lr_scheduler.LRScheduler` and back. The constructor takes step 0.

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
        >>> class Halving(LRScheduler):
        ...     def get_lr(self):
        ...         return [lr / 2**self.last_epoch for lr in self.base_lrs]
        >>> optimizer = torch.optim.Optimizer([torch.zeros(1)], {"lr": 0.4})
        >>> schedule = Halving(optimizer)
        >>> schedule.step()
        >>> schedule.get_last_lr()
        [0.2]
    """

    def __init__(self, optimizer: torch.optim.Optimizer, last_epoch: int = -1) -> None:
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", _own(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{i}] when resuming scheduler with "
                    f"last_epoch={last_epoch}: load the optimiser's state first, or begin with last_epoch=-1"
                )
        self.optimizer = optimizer
        self.base_lrs: list[float | Tensor] = [_own(group["initial_lr"]) for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._step_count = 0
        self._last_lr: list[float | Tensor] = []
        self.step()

    def get_lr(self) -> list[float | Tensor]:
        """The rates of the parameter groups at step `self.last_epoch`."""
        raise NotImplementedError

    def step(self) -> None:
        """Go to the next step and set its rates; call it after the optimiser's own `step`."""
        self._step_count += 1
        self.last_epoch += 1
        for group, lr in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(lr)  # a captured graph reads this very tensor
            else:
                group["lr"] = lr
        self._last_lr = [_own(group["lr"]) for group in self.optimizer.param_groups]

    def get_last_lr(self) -> list[float | Tensor]:
        """The rates that were set last, one for each parameter group."""
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


class WarmupCosineLR(LRScheduler):
    """Linear warm-up, then half a cosine down to a floor: the schedule of most Transformers, counted in batches.

        η(t) = η₀ · (a + (1 − a)·t/W)                          t < W
        η(t) = η₀ · (f + (1 − f)·½(1 + cos π(t − W)/(T − W)))  W ≤ t < T
        η(t) = η₀ · f                                          T ≤ t

    Each rate comes from t alone, so a run that is resumed has the rates of one that never stopped. With the
    defaults they are those of Hugging Face's `get_cosine_schedule_with_warmup`, whose first step has rate zero.

    Args:
        optimizer: the optimiser, ours or torch's.
        warmup_steps: W, how many steps the rate rises.
        total_steps: T, the step at which the floor is reached.
        start_lr_ratio: a, the first rate of the warm-up as a part of the full one; 1/(W + 1) wastes no step.
        min_lr_ratio: f, the floor as a part of the full rate.
        last_epoch: the last step that was made, when a run goes on with an optimiser that was loaded; -1 to begin.

    Raises:
        InputError: a count is negative, or a ratio is not between 0 and 1.

    References:
        Loshchilov & Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts, 2017, arXiv:1608.03983, equation 5.
        Goyal et al., Accurate, Large Minibatch SGD, 2017, arXiv:1706.02677, section 2.2 (the warm-up).

    See:
        `warmup_cosine`, the equation; tests/optim/test_schedules.py.

    Example:
        >>> optimizer = torch.optim.Optimizer([torch.zeros(1)], {"lr": 1.0})
        >>> schedule = WarmupCosineLR(optimizer, warmup_steps=2, total_steps=4)
        >>> rates = []
        >>> for _ in range(5):
        ...     rates += [round(rate, 3) for rate in schedule.get_last_lr()]
        ...     schedule.step()
        >>> rates
        [0.0, 0.5, 1.0, 0.5, 0.0]
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        warmup_steps: int,
        total_steps: int,
        start_lr_ratio: float = 0.0,
        min_lr_ratio: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        for name, steps in (("warmup_steps", warmup_steps), ("total_steps", total_steps)):
            if steps < 0:
                raise InputError(f"{name}={steps}: steps are counted from zero; give a number that is not negative.")
        for name, ratio in (("start_lr_ratio", start_lr_ratio), ("min_lr_ratio", min_lr_ratio)):
            if not 0 <= ratio <= 1:
                raise InputError(f"{name}={ratio}: it is a part of the full rate; give a number from 0 to 1.")
        self.warmup_steps = warmup_steps
        self.total_steps = total_steps
        self.start_lr_ratio = start_lr_ratio
        self.min_lr_ratio = min_lr_ratio
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float | Tensor]:
        """The rates of the parameter groups at step `self.last_epoch`."""
        part = warmup_cosine(
            self.last_epoch, self.warmup_steps, self.total_steps, self.start_lr_ratio, self.min_lr_ratio
        )
        return [lr * part for lr in self.base_lrs]


def warmup_cosine(
    step: int, warmup_steps: int, total_steps: int, start_lr_ratio: float = 0.0, min_lr_ratio: float = 0.0
) -> float:
    """The part of the full learning rate that `WarmupCosineLR` takes at a step.

    Args:
        step: t.
        warmup_steps: W.
        total_steps: T.
        start_lr_ratio: a.
        min_lr_ratio: f.

    Returns:
        A number from 0 to 1.

    Example:
        >>> [warmup_cosine(t, 2, 10, min_lr_ratio=0.25) for t in (0, 1, 2, 6, 10, 100)]
        [0.0, 0.5, 1.0, 0.625, 0.25, 0.25]
    """
    if step < warmup_steps:
        return start_lr_ratio + (1 - start_lr_ratio) * step / warmup_steps
    if step >= total_steps:
        return min_lr_ratio
    progress = (step - warmup_steps) / (total_steps - warmup_steps)
    return min_lr_ratio + (1 - min_lr_ratio) * 0.5 * (1 + math.cos(math.pi * progress))


def _own(lr: float | Tensor) -> float | Tensor:
    """A value that does not change with the group's own tensor."""
    return lr.clone() if isinstance(lr, Tensor) else lr
