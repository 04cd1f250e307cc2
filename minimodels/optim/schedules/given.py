"""Schedules that somebody else's function gives: the factor itself, or what it is multiplied by at each step."""

from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

import torch

from minimodels.optim.schedules.scheduler import LRScheduler, Rate, values

Factor = Callable[[int], float]


class _GivenLR(LRScheduler):
    """Keeps a function for each parameter group. Their state is saved where they are objects, not plain functions."""

    def __init__(
        self, optimizer: torch.optim.Optimizer, lr_lambda: Factor | Sequence[Factor], last_epoch: int = -1
    ) -> None:
        self.optimizer = optimizer
        if not isinstance(lr_lambda, (list, tuple)):
            lr_lambda = [lr_lambda] * len(optimizer.param_groups)  # type: ignore[list-item]
        if len(lr_lambda) != len(optimizer.param_groups):
            raise ValueError(f"Expected {len(optimizer.param_groups)} lr_lambdas, but got {len(lr_lambda)}")
        self.lr_lambdas: list[Factor] = list(lr_lambda)
        self._check()
        super().__init__(optimizer, last_epoch)

    def _check(self) -> None:
        """Refuse functions of the wrong kind."""

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimiser; of the functions the attributes, if they have any, and else None."""
        kept = [None if isinstance(f, FunctionType) else f.__dict__.copy() for f in self.lr_lambdas]
        return super().state_dict() | {"lr_lambdas": kept}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on where the saved schedule stood; plain functions are those of the constructor.

        Args:
            state_dict: what `state_dict` gave.
        """
        kept = state_dict["lr_lambdas"]
        super().load_state_dict({key: value for key, value in state_dict.items() if key != "lr_lambdas"})
        for function, attributes in zip(self.lr_lambdas, kept, strict=True):
            if attributes is not None:
                function.__dict__.update(attributes)


class LambdaLR(_GivenLR):
    """The initial learning rate times a function of the step: η(t) = η₀·f(t).

    Args:
        optimizer: the optimiser, ours or torch's.
        lr_lambda: f, or a list with one f for each parameter group.
        last_epoch: the last step that was made, when a run goes on with an optimiser that was loaded; -1 to begin.

    Attributes:
        lr_lambdas: f for each parameter group.

    Raises:
        ValueError: there are not as many functions as groups.

    See: tests/optim/test_schedule_parity.py.

    Example:
        >>> from minimodels.optim import SGD
        >>> optimizer = SGD([torch.zeros(1)], lr=1.0)
        >>> schedule = LambdaLR(optimizer, lambda t: (t + 1) ** -0.5)  # the fall of the first Transformer
        >>> for _ in range(3):
        ...     optimizer.step()
        ...     schedule.step()
        >>> schedule.get_last_lr()
        [0.5]
    """

    def get_lr(self) -> list[Rate]:
        """The rates of the parameter groups at step `self.last_epoch`."""
        self._ask_within_step()
        return [lr * f(self.last_epoch) for f, lr in zip(self.lr_lambdas, self.base_lrs, strict=True)]


class MultiplicativeLR(_GivenLR):
    """The present learning rate times a function of the step: η(t) = η(t − 1)·f(t), η(0) = η₀.

    Args:
        optimizer: the optimiser, ours or torch's.
        lr_lambda: f, or a list with one f for each parameter group.
        last_epoch: the last step that was made, when a run goes on with an optimiser that was loaded; -1 to begin.

    Attributes:
        lr_lambdas: f for each parameter group.

    Raises:
        TypeError: f is not a function.
        ValueError: there are not as many functions as groups.

    See: tests/optim/test_schedule_parity.py.

    Example:
        >>> from minimodels.optim import SGD
        >>> optimizer = SGD([torch.zeros(1)], lr=1.0)
        >>> schedule = MultiplicativeLR(optimizer, lambda t: 0.5 if t < 3 else 1.0)
        >>> for _ in range(5):
        ...     optimizer.step()
        ...     schedule.step()
        >>> schedule.get_last_lr()
        [0.25]
    """

    def _check(self) -> None:
        for function in self.lr_lambdas:
            if not callable(function):
                raise TypeError(f"lr_lambda should be a function, but got {type(function).__name__}")

    def get_lr(self) -> list[Rate]:
        """The rates of the parameter groups at step `self.last_epoch`."""
        self._ask_within_step()
        if self._is_initial:
            return values(self.optimizer, "lr")
        groups = zip(self.lr_lambdas, self.optimizer.param_groups, strict=True)
        return [group["lr"] * f(self.last_epoch) for f, group in groups]
