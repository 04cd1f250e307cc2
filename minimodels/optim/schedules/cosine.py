"""Half a cosine: slow at first, fast in the middle, slow at the end."""

import math

import torch

from minimodels.optim.schedules.scheduler import LRScheduler, Rate, values


class CosineAnnealingLR(LRScheduler):
    """Lower the learning rate to a floor along half a cosine, and raise it again: no restart, the cosine goes on.

        η(t) = η_min + ½·(η₀ − η_min)·(1 + cos πt/T)

    Each step goes from the rate that it finds, so that the schedule may stand beside others:

        η(t) − η_min = (η(t − 1) − η_min)·(1 + cos πt/T) / (1 + cos π(t − 1)/T)

    Args:
        optimizer: the optimiser, ours or torch's.
        T_max: T, the steps down to the floor.
        eta_min: η_min, the floor.
        last_epoch: the last step that was made, when a run goes on with an optimiser that was loaded; -1 to begin.

    References:
        I. Loshchilov and F. Hutter, SGDR: Stochastic gradient descent with warm restarts, 2017, arXiv:1608.03983,
        equation (5), one run of it.

    See:
        `WarmupCosineLR`, which takes every rate from t alone and stays at the floor.
        tests/optim/test_schedule_parity.py.

    Example:
        >>> from minimodels.optim import SGD
        >>> optimizer = SGD([torch.zeros(1)], lr=1.0)
        >>> schedule = CosineAnnealingLR(optimizer, T_max=4)
        >>> rates = []
        >>> for _ in range(5):
        ...     rates += [round(rate, 3) for rate in schedule.get_last_lr()]
        ...     optimizer.step()
        ...     schedule.step()
        >>> rates
        [1.0, 0.854, 0.5, 0.146, 0.0]
    """

    def __init__(
        self, optimizer: torch.optim.Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Rate]:
        """The rates of the parameter groups at step `self.last_epoch`."""
        self._ask_within_step()
        t, T, floor = self.last_epoch, self.T_max, self.eta_min
        if self._is_initial:
            return values(self.optimizer, "lr")
        if self._step_count == 1 and t > 0:  # somebody has moved last_epoch by hand
            return self._get_closed_form_lr()
        if (t - 1 - T) % (2 * T) == 0:  # the step before stood on the floor: nothing there to multiply
            rise = (1 - math.cos(math.pi / T)) / 2
            groups = zip(self.base_lrs, self.optimizer.param_groups, strict=True)
            return [group["lr"] + (lr - floor) * rise for lr, group in groups]
        growth = (1 + math.cos(math.pi * t / T)) / (1 + math.cos(math.pi * (t - 1) / T))
        return [growth * (group["lr"] - floor) + floor for group in self.optimizer.param_groups]

    def _get_closed_form_lr(self) -> list[Rate]:
        height = (1 + math.cos(math.pi * self.last_epoch / self.T_max)) / 2
        return [self.eta_min + (lr - self.eta_min) * height for lr in self.base_lrs]


class CosineAnnealingWarmRestarts(LRScheduler):
    """Lower the learning rate along half a cosine, jump back to the first and fall again, more slowly if one likes.

        η(t) = η_min + ½·(η₀ − η_min)·(1 + cos π·T_cur/T_i)

    T_cur counts the steps since the last restart, the i-th run takes T_i = T_0·T_multⁱ of them.

    Args:
        optimizer: the optimiser, ours or torch's.
        T_0: the steps of the first run.
        T_mult: how many times longer each run is than the one before.
        eta_min: η_min, the floor.
        last_epoch: the last step that was made, when a run goes on with an optimiser that was loaded; -1 to begin.

    Attributes:
        T_cur: the steps since the last restart.
        T_i: the steps of the present run.

    Raises:
        ValueError: T_0 or T_mult is not a positive whole number, or η_min is no number; from `step`, a negative epoch.

    References:
        I. Loshchilov and F. Hutter, SGDR: Stochastic gradient descent with warm restarts, 2017, arXiv:1608.03983,
        equation (5).

    See: tests/optim/test_schedule_parity.py.

    Example:
        >>> from minimodels.optim import SGD
        >>> optimizer = SGD([torch.zeros(1)], lr=1.0)
        >>> schedule = CosineAnnealingWarmRestarts(optimizer, T_0=2, T_mult=2)
        >>> rates = []
        >>> for _ in range(7):
        ...     rates += [round(rate, 3) for rate in schedule.get_last_lr()]
        ...     optimizer.step()
        ...     schedule.step()
        >>> rates
        [1.0, 0.5, 1.0, 0.854, 0.5, 0.146, 1.0]
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        T_0: int,
        T_mult: int = 1,
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        if T_0 <= 0 or not isinstance(T_0, int):
            raise ValueError(f"Expected positive integer T_0, but got {T_0}")
        if T_mult < 1 or not isinstance(T_mult, int):
            raise ValueError(f"Expected integer T_mult >= 1, but got {T_mult}")
        if not isinstance(eta_min, (float, int)):
            raise ValueError(f"Expected float or int eta_min, but got {eta_min} of type {type(eta_min)}")
        self.T_0 = T_0
        self.T_i = T_0
        self.T_mult = T_mult
        self.eta_min = eta_min
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Rate]:
        """The rates of the parameter groups at step `self.last_epoch`."""
        self._ask_within_step()
        height = (1 + math.cos(math.pi * self.T_cur / self.T_i)) / 2
        return [self.eta_min + (lr - self.eta_min) * height for lr in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        """Go to the next step, or to any other.

        Args:
            epoch: where to go; parts of a step are welcome: `schedule.step(epoch + batch / batches)`.
        """
        if epoch is None and self.last_epoch < 0:
            epoch = 0
        if epoch is None:
            epoch = self.last_epoch + 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur %= self.T_i
                self.T_i *= self.T_mult
        elif epoch < 0:
            raise ValueError(f"Expected non-negative epoch, but got {epoch}")
        else:
            self._go_to(epoch)
        self._update_lr(math.floor(epoch))

    def _go_to(self, t: float) -> None:
        if t < self.T_0:
            self.T_cur, self.T_i = t, self.T_0
        elif self.T_mult == 1:
            self.T_cur = t % self.T_0
        else:  # the runs before the i-th took T_0·(mⁱ − 1)/(m − 1) steps together
            m = self.T_mult
            i = int(math.log(t / self.T_0 * (m - 1) + 1, m))
            self.T_cur = t - self.T_0 * (m**i - 1) / (m - 1)
            self.T_i = self.T_0 * m**i
