"""Rates that go up and down again and again."""

import math
from collections.abc import Callable
from types import FunctionType
from typing import Any

import torch

from minimodels.optim.schedules.momentum import MomentumLR
from minimodels.optim.schedules.scheduler import Rate, check_optimizer, for_groups, set_value


class CyclicLR(MomentumLR):
    """Take the learning rate from a low value to a high one and back, in straight lines, cycle after cycle.

        η(t) = low + (high − low)·h·s        h rises from 0 to 1 over `step_size_up` steps, then falls over the others

    The height s of a cycle is 1 ("triangular"), halves from cycle to cycle ("triangular2"), shrinks with every step as
    γᵗ ("exp_range"), or is a function of one's own. Momentum goes the other way, from its greatest to its least.

    Args:
        optimizer: the optimiser, ours or torch's.
        base_lr: the low rate, one for all parameter groups or a list.
        max_lr: the high rate, likewise.
        step_size_up: the steps up.
        step_size_down: the steps down; as many as up when None.
        mode: "triangular", "triangular2" or "exp_range".
        gamma: γ of "exp_range".
        scale_fn: s as a function, in place of `mode`.
        scale_mode: what that is a function of: "cycle", counted from 1, or "iterations", the steps made.
        cycle_momentum: whether momentum (of an Adam: β₁) goes the other way.
        base_momentum: the least momentum, one for all groups or a list.
        max_momentum: the greatest, likewise.
        last_epoch: the last step that was made, when a run goes on with an optimiser that was loaded; -1 to begin.

    Raises:
        TypeError: `optimizer` is not an optimiser.
        ValueError: the mode is not known, the optimiser has no momentum, or a list has another length than the groups.

    References:
        L. N. Smith, Cyclical learning rates for training neural networks, 2017, arXiv:1506.01186, section 3.1.

    See: `OneCycleLR`, one cycle for a whole run; tests/optim/test_schedule_parity.py.

    Example:
        >>> from minimodels.optim import SGD
        >>> optimizer = SGD([torch.zeros(1)], lr=1.0, momentum=0.9)
        >>> schedule = CyclicLR(optimizer, base_lr=0.25, max_lr=1.0, step_size_up=2, mode="triangular2")
        >>> rates = []
        >>> for _ in range(8):
        ...     rates += schedule.get_last_lr()
        ...     optimizer.step()
        ...     schedule.step()
        >>> rates
        [0.25, 0.625, 1.0, 0.625, 0.25, 0.4375, 0.625, 0.4375]
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        base_lr: float | list[float],
        max_lr: float | list[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.8,
        max_momentum: float | list[float] = 0.9,
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(optimizer)
        self.optimizer = optimizer
        lows = for_groups("base_lr", optimizer, base_lr)
        if last_epoch == -1:
            for group, low in zip(optimizer.param_groups, lows, strict=True):
                set_value(group, "lr", low)
        self.max_lrs = for_groups("max_lr", optimizer, max_lr)
        up = float(step_size_up)
        self.total_size = up + (up if step_size_down is None else float(step_size_down))
        self.step_ratio = up / self.total_size
        if mode not in ("triangular", "triangular2", "exp_range") and scale_fn is None:
            raise ValueError("mode is invalid and scale_fn is None")
        self.mode = mode
        self.gamma = gamma
        self._scale_fn_custom = scale_fn
        self.scale_mode = scale_mode
        if scale_fn is None:
            self.scale_mode = "iterations" if mode == "exp_range" else "cycle"
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            bounds = self._begin_momentum(base_momentum, max_momentum, anew=last_epoch == -1)
            self.base_momentums, self.max_momentums = bounds
        super().__init__(optimizer, last_epoch)
        self.base_lrs = lows

    def scale_fn(self, x: float) -> float:
        """The height s of a cycle.

        Args:
            x: the number of the cycle or of the step, as `scale_mode` says.
        """
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        if self.mode == "triangular":
            return 1.0
        height: float = 1 / (2.0 ** (x - 1)) if self.mode == "triangular2" else self.gamma**x
        return height

    def get_lr(self) -> list[Rate]:
        """The rates of the parameter groups at step `self.last_epoch`; sets the momentum on the way."""
        self._ask_within_step()
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle  # the part of the cycle that is over
        part = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        height = self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            bounds = zip(self.optimizer.param_groups, self.base_momentums, self.max_momentums, strict=True)
            for group, low, high in bounds:
                self._set_momentum(group, high - (high - low) * part * height)
        return [low + (high - low) * part * height for low, high in zip(self.base_lrs, self.max_lrs, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimiser; of a function of one's own the attributes, if it is an object."""
        function = self._scale_fn_custom
        kept = None if function is None or isinstance(function, FunctionType) else function.__dict__.copy()
        return super().state_dict() | {"_scale_fn_custom": kept}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where the saved schedule stood; a plain function is that of the constructor.

        Args:
            state_dict: what `state_dict` gave.
        """
        kept = state_dict["_scale_fn_custom"]
        super().load_state_dict({key: value for key, value in state_dict.items() if key != "_scale_fn_custom"})
        if kept is not None and self._scale_fn_custom is not None:
            self._scale_fn_custom.__dict__.update(kept)
