"""A rate that falls when the run no longer gets better."""

import math
import warnings
from typing import SupportsFloat

import torch

from minimodels.optim.schedules.scheduler import EPOCH_WARNING, LRScheduler, check_optimizer, set_value, values


class ReduceLROnPlateau(LRScheduler):
    """Multiply the learning rates by a factor when a metric has not improved for more than `patience` steps.

    A value a is better than the best so far, b, if

        min, rel:  a < b·(1 − threshold)        max, rel:  a > b·(1 + threshold)
        min, abs:  a < b − threshold            max, abs:  a > b + threshold

    Args:
        optimizer: the optimiser, ours or torch's.
        mode: "min" if less is better, "max" if more is.
        factor: what the rate is multiplied by, below 1.
        patience: how many steps in a row without improvement are tolerated.
        threshold: how much better counts as better.
        threshold_mode: "rel" measures that relative to the best, "abs" absolutely.
        cooldown: for how many steps after a reduction nothing is counted.
        min_lr: the least rate, one for all parameter groups or a list.
        eps: a reduction by no more than this is left out.

    Attributes:
        best: the best value so far.
        num_bad_epochs: how many steps in a row were no better.
        cooldown_counter: for how many steps to come nothing is counted.

    Raises:
        TypeError: `optimizer` is not an optimiser.
        ValueError: `factor` is not below 1, a mode is not known, or there are not as many `min_lr` as groups.
        RuntimeError: (from `step`) groups were added since, and `min_lr` is a list.

    See: tests/optim/test_plateau.py.

    Example:
        >>> from minimodels.optim import SGD
        >>> optimizer = SGD([torch.zeros(1)], lr=1.0)
        >>> schedule = ReduceLROnPlateau(optimizer, patience=1, factor=0.5)
        >>> rates = []
        >>> for loss in [3.0, 2.0, 2.1, 2.0, 1.0]:
        ...     optimizer.step()
        ...     schedule.step(loss)
        ...     rates += schedule.get_last_lr()
        >>> rates
        [1.0, 1.0, 1.0, 0.5, 0.5]
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | list[float] = 0,
        eps: float = 1e-8,
    ) -> None:
        if factor >= 1.0:
            raise ValueError("Factor should be < 1.0.")
        check_optimizer(optimizer)
        groups = len(optimizer.param_groups)
        if isinstance(min_lr, (list, tuple)) and len(min_lr) != groups:
            raise ValueError(f"expected {groups} min_lrs, got {len(min_lr)}")
        for name, chosen, known in (("mode", mode, ("min", "max")), ("threshold mode", threshold_mode, ("rel", "abs"))):
            if chosen not in known:
                raise ValueError(f"{name} {chosen} is unknown!")
        self.optimizer = optimizer
        self.mode, self.threshold, self.threshold_mode = mode, threshold, threshold_mode
        self.factor, self.patience, self.cooldown, self.eps = factor, patience, cooldown, eps
        listed = isinstance(min_lr, (list, tuple))
        self.default_min_lr = None if listed else min_lr
        self.min_lrs: list[float] = list(min_lr) if listed else [min_lr] * groups  # type: ignore[arg-type, list-item]
        self.mode_worse = math.inf if mode == "min" else -math.inf
        self.last_epoch = 0
        self._last_lr = values(optimizer, "lr")
        self._reset()

    def _reset(self) -> None:
        """Forget what was measured so far."""
        self.best = self.mode_worse
        self.cooldown_counter = 0
        self.num_bad_epochs = 0

    @property
    def in_cooldown(self) -> bool:
        """Whether a reduction is so recent that nothing is counted."""
        return self.cooldown_counter > 0

    def step(self, metrics: SupportsFloat, epoch: int | None = None) -> None:  # type: ignore[override]
        """Take note of a value, and lower the rates if patience is at its end.

        Args:
            metrics: the value, a number or a tensor of one element.
            epoch: deprecated: the number of this step.
        """
        current = float(metrics)
        if epoch is not None:
            warnings.warn(EPOCH_WARNING, UserWarning, stacklevel=2)
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        if self._is_better(current, self.best):
            self.best = current
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
        self._last_lr = values(self.optimizer, "lr")

    def _is_better(self, a: float, best: float) -> bool:
        if self.threshold_mode == "rel":
            return a < best * (1.0 - self.threshold) if self.mode == "min" else a > best * (1.0 + self.threshold)
        return a < best - self.threshold if self.mode == "min" else a > best + self.threshold

    def _reduce(self) -> None:
        groups = self.optimizer.param_groups
        if len(groups) != len(self.min_lrs):
            if self.default_min_lr is None:
                raise RuntimeError(
                    f"The number of param groups in the `optimizer` ({len(groups)}) differs from when "
                    f"`ReduceLROnPlateau` was initialized ({len(self.min_lrs)}), usually due to a new param group "
                    "being added to the optimizer. Please modify the `min_lrs` field to match the length of the "
                    "`optimizer` param groups."
                )
            self.min_lrs = [self.default_min_lr] * len(groups)  # type: ignore[list-item]
        for group, least in zip(groups, self.min_lrs, strict=True):
            old = float(group["lr"])
            new = max(old * self.factor, least)
            if old - new > self.eps:
                set_value(group, "lr", new)
