"""Warm-up: small steps at first, while the gradients are still large and tell little."""

import math

import torch

from minimodels.errors import InputError
from minimodels.optim.schedules.decay import FactorLR
from minimodels.optim.schedules.scheduler import LRScheduler, Rate


class ConstantLR(FactorLR):
    """Stay at a fraction of the learning rate for some steps, then take all of it: η(t) = η₀·(factor if t < T else 1).

    Args:
        optimizer: the optimiser, ours or torch's.
        factor: the fraction.
        total_iters: T, for how many steps.
        last_epoch: the last step that was made, when a run goes on with an optimiser that was loaded; -1 to begin.

    Raises:
        ValueError: `factor` is not between 0 and 1.

    See: tests/optim/test_schedule_parity.py.

    Example:
        >>> from minimodels.optim import SGD
        >>> optimizer = SGD([torch.zeros(1)], lr=1.0)
        >>> schedule = ConstantLR(optimizer, factor=0.5, total_iters=2)
        >>> rates = []
        >>> for _ in range(4):
        ...     rates += schedule.get_last_lr()
        ...     optimizer.step()
        ...     schedule.step()
        >>> rates
        [0.5, 0.5, 1.0, 1.0]
    """

    def __init__(
        self, optimizer: torch.optim.Optimizer, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1
    ) -> None:
        if factor > 1.0 or factor < 0:
            raise ValueError("Constant multiplicative factor expected to be between 0 and 1.")
        self.factor = factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def _growth(self, t: int) -> float:
        if t == 0:
            return self.factor
        return 1.0 / self.factor if t == self.total_iters else 1.0

    def _factor(self, t: int) -> float:
        return self.factor + (t >= self.total_iters) * (1 - self.factor)


class LinearLR(FactorLR):
    """Take the learning rate in a straight line from one fraction to another: η(t) = η₀·(a + (b − a)·min(t, T)/T).

    Args:
        optimizer: the optimiser, ours or torch's.
        start_factor: a.
        end_factor: b.
        total_iters: T, the step at which b is reached.
        last_epoch: the last step that was made, when a run goes on with an optimiser that was loaded; -1 to begin.

    Raises:
        ValueError: a is not in (0, 1], or b not in [0, 1].

    References:
        Goyal et al., Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour, 2017, arXiv:1706.02677, section 2.2
        ("gradual warmup").

    See: tests/optim/test_schedule_parity.py.

    Example:
        >>> from minimodels.optim import SGD
        >>> optimizer = SGD([torch.zeros(1)], lr=1.0)
        >>> schedule = LinearLR(optimizer, start_factor=0.25, total_iters=3)
        >>> rates = []
        >>> for _ in range(5):
        ...     rates += schedule.get_last_lr()
        ...     optimizer.step()
        ...     schedule.step()
        >>> rates
        [0.25, 0.5, 0.75, 1.0, 1.0]
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if start_factor > 1.0 or start_factor <= 0:
            raise ValueError("Starting multiplicative factor expected to be greater than 0 and less or equal to 1.")
        if end_factor > 1.0 or end_factor < 0:
            raise ValueError("Ending multiplicative factor expected to be between 0 and 1.")
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def _growth(self, t: int) -> float:
        if t == 0:
            return self.start_factor
        if self._is_initial or t > self.total_iters:
            return 1.0
        rise = self.end_factor - self.start_factor
        return 1.0 + rise / (self.total_iters * self.start_factor + (t - 1) * rise)

    def _factor(self, t: int) -> float:
        rise = self.end_factor - self.start_factor
        return self.start_factor + rise * min(self.total_iters, t) / self.total_iters


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
        start_lr_ratio: a, the first rate of the warm-up as a fraction of the full one; 1/(W + 1) wastes no step.
        min_lr_ratio: f, the floor as a fraction of the full rate.
        last_epoch: the last step that was made, when a run goes on with an optimiser that was loaded; -1 to begin.

    Raises:
        InputError: a count is negative, or a ratio is not between 0 and 1.

    References:
        Loshchilov & Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts, 2017, arXiv:1608.03983, equation 5.
        Goyal et al., Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour, 2017, arXiv:1706.02677, section 2.2
        (the warm-up).

    See:
        `warmup_cosine`, the equation; tests/optim/test_schedules.py.

    Example:
        >>> from minimodels.optim import SGD
        >>> optimizer = SGD([torch.zeros(1)], lr=1.0)
        >>> schedule = WarmupCosineLR(optimizer, warmup_steps=2, total_steps=4)
        >>> rates = []
        >>> for _ in range(5):
        ...     rates += [round(rate, 3) for rate in schedule.get_last_lr()]
        ...     optimizer.step()
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

    def get_lr(self) -> list[Rate]:
        """The rates of the parameter groups at step `self.last_epoch`."""
        part = warmup_cosine(
            self.last_epoch, self.warmup_steps, self.total_steps, self.start_lr_ratio, self.min_lr_ratio
        )
        return [lr * part for lr in self.base_lrs]


def warmup_cosine(
    step: int, warmup_steps: int, total_steps: int, start_lr_ratio: float = 0.0, min_lr_ratio: float = 0.0
) -> float:
    """The fraction of the full learning rate that `WarmupCosineLR` takes at a step.

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
