"""The 1cycle policy: the rate up and down once, the momentum down and up."""

import math
from typing import Any

import torch

from minimodels.optim.schedules.momentum import MomentumLR
from minimodels.optim.schedules.scheduler import Rate, check_optimizer, for_groups


class OneCycleLR(MomentumLR):
    """Raise the learning rate from max/25 to its maximum in the first part of a run, then lower it to nearly zero.

    Momentum goes the other way: where the rate is large, the gradients of many steps ago must not act any more.
    In each phase, with p the part of it that is over, a value goes from a to b by

        cos:     b + (a − b)/2·(1 + cos πp)
        linear:  a + (b − a)·p

    Two phases: initial → max → min, momentum max → base → max. Three: initial → max → initial → min, the first two
    equally long, as in the paper. With S = `total_steps` the first ends at step S·pct_start − 1, the last at S − 1,
    with initial = max / div_factor and min = initial / final_div_factor.

    Args:
        optimizer: the optimiser, ours or torch's.
        max_lr: the highest rate, one for all parameter groups or a list.
        total_steps: S, the number of steps of the run.
        epochs: together with `steps_per_epoch` another way to give S, as their product.
        steps_per_epoch: see `epochs`.
        pct_start: the part of the run in which the rate rises, a float.
        anneal_strategy: "cos" or "linear".
        cycle_momentum: whether momentum (of an Adam: β₁) goes the other way.
        base_momentum: the least momentum, one for all groups or a list.
        max_momentum: the greatest, likewise.
        div_factor: max / initial.
        final_div_factor: initial / min.
        three_phase: the paper's form.
        last_epoch: the last step that was made, when a run goes on with an optimiser that was loaded; -1 to begin.

    Attributes:
        total_steps: S.

    Raises:
        TypeError: `optimizer` is not an optimiser.
        ValueError: a number is out of range, S is not given, the optimiser has no momentum, a list has another
            length than the groups, or (from `step`) the run is over.

    References:
        L. N. Smith and N. Topin, Super-convergence: very fast training of neural networks using large learning rates,
        2018, arXiv:1708.07120, section 3.
        L. N. Smith, A disciplined approach to neural network hyper-parameters, 2018, arXiv:1803.09820, section 4.3
        (the momentum).

    See: tests/optim/test_schedule_parity.py.

    Example:
        >>> from minimodels.optim import SGD
        >>> optimizer = SGD([torch.zeros(1)], lr=1.0, momentum=0.9)
        >>> schedule = OneCycleLR(optimizer, max_lr=1.0, total_steps=10, pct_start=0.5)
        >>> rates = []
        >>> for _ in range(9):
        ...     rates.append((round(schedule.get_last_lr()[0], 2), round(optimizer.param_groups[0]["momentum"], 2)))
        ...     optimizer.step()
        ...     schedule.step()
        >>> rates[::2]
        [(0.04, 0.95), (0.52, 0.9), (1.0, 0.85), (0.65, 0.88), (0.1, 0.94)]
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(optimizer)
        self.optimizer = optimizer
        self.total_steps = _steps(total_steps, epochs, steps_per_epoch)
        self._schedule_phases = _phases(self.total_steps, pct_start, three_phase)
        if pct_start < 0 or pct_start > 1 or not isinstance(pct_start, float):
            raise ValueError(f"Expected float between 0 and 1 pct_start, but got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        self._anneal_func_type = anneal_strategy
        highest = for_groups("max_lr", optimizer, max_lr)
        if last_epoch == -1:
            for group, rate in zip(optimizer.param_groups, highest, strict=True):
                group["initial_lr"] = rate / div_factor
                group["max_lr"] = rate
                group["min_lr"] = group["initial_lr"] / final_div_factor
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self._begin_momentum(base_momentum, max_momentum, anew=last_epoch == -1)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Rate]:
        """The rates of the parameter groups at step `self.last_epoch`; sets the momentum on the way."""
        self._ask_within_step()
        t = self.last_epoch
        if t > self.total_steps:
            raise ValueError(f"Tried to step {t} times. The specified number of total steps is {self.total_steps}")
        start, phase = self._phase(t)
        p = (t - start) / (phase["end_step"] - start)
        rates = []
        for group in self.optimizer.param_groups:
            rates.append(self._between(group[phase["start_lr"]], group[phase["end_lr"]], p))
            if self.cycle_momentum:
                a, b = group[phase["start_momentum"]], group[phase["end_momentum"]]
                self._set_momentum(group, self._between(a, b, p))
        return rates

    def _phase(self, t: int) -> tuple[float, dict[str, Any]]:
        """The step at which the phase of step t begins, and the phase."""
        start = 0.0
        for phase in self._schedule_phases[:-1]:
            if t <= phase["end_step"]:
                return start, phase
            start = phase["end_step"]
        return start, self._schedule_phases[-1]

    def _between(self, a: Rate, b: Rate, p: float) -> Rate:
        if self._anneal_func_type == "cos":
            return b + (a - b) / 2.0 * (math.cos(math.pi * p) + 1)
        return (b - a) * p + a


def _steps(total_steps: int | None, epochs: int | None, steps_per_epoch: int | None) -> int:
    """S, from whatever gives it."""
    if total_steps is not None:
        return _positive("total_steps", total_steps)
    if epochs is None or steps_per_epoch is None:
        raise ValueError("You must define either total_steps OR (epochs AND steps_per_epoch)")
    return _positive("epochs", epochs) * _positive("steps_per_epoch", steps_per_epoch)


def _positive(name: str, number: int) -> int:
    if not isinstance(number, int) or number <= 0:
        raise ValueError(f"Expected positive integer {name}, but got {number}")
    return number


def _phases(steps: int, pct_start: float, three: bool) -> list[dict[str, Any]]:
    """The phases, in the form that torch's state dict has: where one ends, and from what to what it goes."""
    rise = ("initial_lr", "max_lr", "max_momentum", "base_momentum")
    if three:
        ends = (pct_start * steps - 1, 2 * pct_start * steps - 2, steps - 1)
        fall = ("max_lr", "initial_lr", "base_momentum", "max_momentum")
        ways = (rise, fall, ("initial_lr", "min_lr", "max_momentum", "max_momentum"))
    else:
        ends = (pct_start * steps - 1, steps - 1)  # type: ignore[assignment]
        ways = (rise, ("max_lr", "min_lr", "base_momentum", "max_momentum"))  # type: ignore[assignment]
    names = ("start_lr", "end_lr", "start_momentum", "end_momentum")
    return [{"end_step": end, **dict(zip(names, way, strict=True))} for end, way in zip(ends, ways, strict=True)]
