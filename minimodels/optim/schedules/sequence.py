"""Several schedules on one optimiser: one after the other, or all at once."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

import torch

from minimodels.optim.schedules.plateau import ReduceLROnPlateau
from minimodels.optim.schedules.scheduler import LRScheduler, set_value, values


class _ManyLR(LRScheduler):
    """Keeps schedules, and their states within its own."""

    _schedulers: Sequence[LRScheduler]

    def _check(self, optimizer: torch.optim.Optimizer, schedulers: Sequence[LRScheduler]) -> None:
        name = type(self).__name__
        for i, scheduler in enumerate(schedulers):
            if not hasattr(scheduler, "optimizer"):
                raise TypeError(f"{name} at index {i} should have `optimizer` as its attribute.")
            if isinstance(scheduler, ReduceLROnPlateau):
                raise ValueError(
                    f"{name} does not support `ReduceLROnPlateau` scheduler as it requires additional kwargs to be "
                    f"specified when calling `step`, but got one at index {i} in the given schedulers sequence."
                )
            if optimizer != scheduler.optimizer:
                raise ValueError(
                    f"{name} expects all schedulers to belong to the same optimizer, but got scheduler "
                    f"{type(scheduler).__name__} at index {i} has {scheduler.optimizer}, which is different from "
                    f"{type(optimizer).__name__}."
                )

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimiser, with the states of all schedules."""
        return super().state_dict() | {"_schedulers": [scheduler.state_dict() for scheduler in self._schedulers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where the saved schedules stood.

        Args:
            state_dict: what `state_dict` gave.
        """
        states = state_dict["_schedulers"]
        super().load_state_dict({key: value for key, value in state_dict.items() if key != "_schedulers"})
        for scheduler, state in zip(self._schedulers, states, strict=True):
            scheduler.load_state_dict(state)


class SequentialLR(_ManyLR):
    """One schedule after the other: the next takes over at each milestone, and begins there with its own step 0.

    Args:
        optimizer: the optimiser, ours or torch's.
        schedulers: the schedules, made on that optimiser.
        milestones: the steps at which the second, the third, ... take over.
        last_epoch: the last step that was made, when a run goes on; -1 to begin.

    Raises:
        TypeError: one of them is no schedule.
        ValueError: there is none, they belong to different optimisers, one is a `ReduceLROnPlateau`, or the number of
            milestones is not one less than theirs.

    See: tests/optim/test_schedule_parity.py.

    Example:
        >>> from minimodels.optim import SGD, ExponentialLR, LinearLR
        >>> optimizer = SGD([torch.zeros(1)], lr=1.0)
        >>> warmup, decay = LinearLR(optimizer, 0.5, total_iters=2), ExponentialLR(optimizer, 0.5)
        >>> schedule = SequentialLR(optimizer, [warmup, decay], milestones=[2])
        >>> rates = []
        >>> for _ in range(5):
        ...     rates += schedule.get_last_lr()
        ...     optimizer.step()
        ...     schedule.step()
        >>> rates
        [0.5, 0.75, 1.0, 0.5, 0.25]
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        schedulers: list[LRScheduler],
        milestones: list[int],
        last_epoch: int = -1,
    ) -> None:
        if not schedulers:
            raise ValueError(f"{type(self).__name__} expects at least one scheduler, but got no scheduler.")
        self._check(optimizer, schedulers)
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                "Sequential Schedulers expects number of schedulers provided to be one more than the number of "
                f"milestone points, but got number of schedulers {len(schedulers)} and the number of milestones to be "
                f"equal to {len(milestones)}"
            )
        self._schedulers = schedulers
        self._milestones = milestones
        self.last_epoch = last_epoch + 1
        self.optimizer = optimizer
        for group in optimizer.param_groups:  # each schedule took its step 0 when it was made: undo that,
            set_value(group, "lr", group["initial_lr"])
        self.recursive_undo()
        first = schedulers[bisect_right(milestones, 0)]
        first._initial_step()  # and let only the one take it whose turn it is
        self._last_lr = first.get_last_lr()

    def recursive_undo(self, sched: LRScheduler | None = None) -> None:
        """Take back a step of every schedule, also of those within another.

        Args:
            sched: where to begin; None is this one.
        """
        sched = self if sched is None else sched
        if hasattr(sched, "_schedulers"):
            for inner in sched._schedulers:
                self.recursive_undo(inner)
        elif hasattr(sched, "last_epoch"):
            sched.last_epoch -= 1

    def step(self) -> None:  # type: ignore[override]
        """Go to the next step and set its rates; call it after the optimiser's own `step`."""
        self.last_epoch += 1
        turn = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[turn]
        if turn > 0 and self._milestones[turn - 1] == self.last_epoch:
            scheduler._update_lr(0)
        else:
            scheduler.step()
        self._last_lr = scheduler.get_last_lr()


class ChainedScheduler(_ManyLR):
    """Several schedules at once: each changes the rates that the one before it left.

    Args:
        schedulers: the schedules, made on one optimiser.
        optimizer: that optimiser; None takes the first schedule's.

    Raises:
        TypeError: one of them is no schedule.
        ValueError: there is none, they belong to different optimisers, or one is a `ReduceLROnPlateau`.

    See: tests/optim/test_schedule_parity.py.

    Example:
        >>> from minimodels.optim import SGD, ConstantLR, ExponentialLR
        >>> optimizer = SGD([torch.zeros(1)], lr=1.0)
        >>> schedule = ChainedScheduler([ConstantLR(optimizer, 0.5, total_iters=2), ExponentialLR(optimizer, 0.5)])
        >>> rates = []
        >>> for _ in range(4):
        ...     rates += schedule.get_last_lr()
        ...     optimizer.step()
        ...     schedule.step()
        >>> rates
        [0.5, 0.25, 0.25, 0.125]
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: torch.optim.Optimizer | None = None) -> None:
        if not schedulers:
            raise ValueError(
                f"{type(self).__name__} expects at least one scheduler to be chained, but got no scheduler."
            )
        optimizer = optimizer or schedulers[0].optimizer
        self._check(optimizer, schedulers)
        self._schedulers = schedulers
        self.optimizer = optimizer
        self._last_lr = values(optimizer, "lr")

    def step(self) -> None:  # type: ignore[override]
        """Let every schedule go to its next step; call it after the optimiser's own `step`."""
        for scheduler in self._schedulers:
            scheduler.step()
        self._last_lr = values(self.optimizer, "lr")
