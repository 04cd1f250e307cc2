"""Rates that are the first one times a factor of the step alone: steps down, powers, polynomials."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable

import torch

from minimodels.optim.schedules.scheduler import LRScheduler, Rate


class FactorLR(LRScheduler):
    """η(t) = η₀·f(t), reached step by step: η(t) = η(t − 1)·f(t)/f(t − 1).

    Each step multiplies whatever rate it finds, so that several schedules, or a schedule and a person, may act on
    the same optimiser. A jump (by `step(epoch)`, or where `SequentialLR` goes on to it) takes the closed form.

    A subclass says `_growth`, f(t)/f(t − 1), and `_factor`, f(t). When a run goes on (`last_epoch` in the constructor),
    the rate found is that of the last step already; whether the constructor's own step changes it follows torch.
    """

    def get_lr(self) -> list[Rate]:
        """The rates of the parameter groups at step `self.last_epoch`."""
        self._ask_within_step()
        growth = self._growth(self.last_epoch)
        return [group["lr"] * growth for group in self.optimizer.param_groups]

    def _get_closed_form_lr(self) -> list[Rate]:
        factor = self._factor(self.last_epoch)
        return [lr * factor for lr in self.base_lrs]

    def _growth(self, t: int) -> float:
        raise NotImplementedError

    def _factor(self, t: int) -> float:
        raise NotImplementedError


class StepLR(FactorLR):
    """Multiply the learning rate by γ every so many steps: η(t) = η₀·γ^⌊t / size⌋.

    Args:
        optimizer: the optimiser, ours or torch's.
        step_size: after how many steps.
        gamma: γ.
        last_epoch: the last step that was made, when a run goes on with an optimiser that was loaded; -1 to begin.

    See: tests/optim/test_schedule_parity.py.

    Example:
        >>> from minimodels.optim import SGD
        >>> optimizer = SGD([torch.zeros(1)], lr=1.0)
        >>> schedule = StepLR(optimizer, step_size=2, gamma=0.5)
        >>> rates = []
        >>> for _ in range(5):
        ...     rates += schedule.get_last_lr()
        ...     optimizer.step()
        ...     schedule.step()
        >>> rates
        [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    def __init__(
        self, optimizer: torch.optim.Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _growth(self, t: int) -> float:
        return 1.0 if t == 0 or t % self.step_size != 0 else self.gamma

    def _factor(self, t: int) -> float:
        return self.gamma ** (t // self.step_size)


class MultiStepLR(FactorLR):
    """Multiply the learning rate by γ at every milestone: η(t) = η₀·γ^(how many milestones are ≤ t).

    Args:
        optimizer: the optimiser, ours or torch's.
        milestones: the steps; one that is named twice counts twice.
        gamma: γ.
        last_epoch: the last step that was made, when a run goes on with an optimiser that was loaded; -1 to begin.

    Attributes:
        milestones: step → how often it was named.

    References:
        He et al., Deep residual learning for image recognition, 2015, arXiv:1512.03385, section 4.2: a tenth at 32k and
        at 48k steps.

    See: tests/optim/test_schedule_parity.py.

    Example:
        >>> from minimodels.optim import SGD
        >>> optimizer = SGD([torch.zeros(1)], lr=1.0)
        >>> schedule = MultiStepLR(optimizer, milestones=[1, 3], gamma=0.5)
        >>> rates = []
        >>> for _ in range(5):
        ...     rates += schedule.get_last_lr()
        ...     optimizer.step()
        ...     schedule.step()
        >>> rates
        [1.0, 0.5, 0.5, 0.25, 0.25]
    """

    def __init__(
        self, optimizer: torch.optim.Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.milestones = Counter(milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _growth(self, t: int) -> float:
        return self.gamma ** self.milestones[t]

    def _factor(self, t: int) -> float:
        return self.gamma ** bisect_right(sorted(self.milestones.elements()), t)


class ExponentialLR(FactorLR):
    """Multiply the learning rate by γ at every step: η(t) = η₀·γᵗ.

    Args:
        optimizer: the optimiser, ours or torch's.
        gamma: γ.
        last_epoch: the last step that was made, when a run goes on with an optimiser that was loaded; -1 to begin.

    See: tests/optim/test_schedule_parity.py.

    Example:
        >>> from minimodels.optim import SGD
        >>> optimizer = SGD([torch.zeros(1)], lr=1.0)
        >>> schedule = ExponentialLR(optimizer, gamma=0.5)
        >>> for _ in range(3):
        ...     optimizer.step()
        ...     schedule.step()
        >>> schedule.get_last_lr()
        [0.125]
    """

    def __init__(self, optimizer: torch.optim.Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _growth(self, t: int) -> float:
        return 1.0 if self._is_initial else self.gamma

    def _factor(self, t: int) -> float:
        return self.gamma**t


class PolynomialLR(FactorLR):
    """Lower the learning rate to zero along a power of a straight line: η(t) = η₀·(1 − min(t, T)/T)ᵖ.

    Args:
        optimizer: the optimiser, ours or torch's.
        total_iters: T, the step at which the rate is zero.
        power: p.
        last_epoch: the last step that was made, when a run goes on with an optimiser that was loaded; -1 to begin.

    See: tests/optim/test_schedule_parity.py.

    Example:
        >>> from minimodels.optim import SGD
        >>> optimizer = SGD([torch.zeros(1)], lr=1.0)
        >>> schedule = PolynomialLR(optimizer, total_iters=4, power=2.0)
        >>> for _ in range(2):
        ...     optimizer.step()
        ...     schedule.step()
        >>> schedule.get_last_lr()
        [0.25]
    """

    def __init__(
        self, optimizer: torch.optim.Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1
    ) -> None:
        self.total_iters = total_iters
        self.power = power
        super().__init__(optimizer, last_epoch)

    def _growth(self, t: int) -> float:
        if self._is_initial or t > self.total_iters:
            return 1.0
        growth: float = ((1.0 - t / self.total_iters) / (1.0 - (t - 1) / self.total_iters)) ** self.power
        return growth

    def _factor(self, t: int) -> float:
        factor: float = (1.0 - min(self.total_iters, t) / self.total_iters) ** self.power
        return factor
