"""Several optimisers side by side, each for its own parameters, that look like one."""

from collections.abc import Callable, Iterable
from typing import Any, overload

import torch

from minimodels.errors import InputError


class CombinedOptimizer(torch.optim.Optimizer):
    """Several optimisers side by side, each for its own parameters: Muon for matrices and AdamW for the rest.

    Schedules, a `GradScaler` and gradient clipping take it for one optimiser. Its parameter groups are those of its
    parts, one part after the other and the same dicts, so that a rate that is changed here is changed there; all
    states are in one dict. Its `state_dict` looks like that of one optimiser with all these groups.

    Args:
        parts: optimisers that have no parameter in common. Their groups and their state are this one's from now on:
            add groups before, load state here.

    Attributes:
        parts: them, in order.

    Raises:
        InputError: there is no part, or a group is added after the parts were combined.
        TypeError: a part is no optimiser.
        ValueError: a parameter is in two parts.

    See: tests/optim/test_combined.py.

    Example:
        >>> from minimodels.optim import SGD, AdamW
        >>> weight, bias = (torch.nn.Parameter(torch.ones(1)) for _ in range(2))
        >>> optimizer = CombinedOptimizer([SGD([weight], lr=0.5), AdamW([bias], lr=0.1, weight_decay=0.0)])
        >>> (3 * weight + 3 * bias).backward()
        >>> optimizer.step()
        >>> weight.data, bias.data
        (tensor([-0.5000]), tensor([0.9000]))
    """

    def __init__(self, parts: Iterable[torch.optim.Optimizer]) -> None:
        self.parts: tuple[torch.optim.Optimizer, ...] = ()
        parts = tuple(parts)
        if not parts:
            raise InputError("an optimiser of no parts moves nothing: give at least one.")
        for part in parts:
            if not isinstance(part, torch.optim.Optimizer):
                raise TypeError(f"{type(part).__name__} is not an Optimizer")
        super().__init__([group for part in parts for group in part.param_groups], {})
        self.parts = parts
        for part in parts:
            self.state.update(part.state)
        self._share()

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Refused once the parts are combined: nobody could tell which of them it is for.

        Args:
            param_group: the group.

        Raises:
            InputError: always, once they are.
        """
        if self.parts:
            raise InputError("the parts are combined already: add a group to one of them before they are.")
        super().add_param_group(param_group)

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Let every part move its parameters.

        Args:
            closure: evaluates the model anew with gradients switched on, and gives the loss.

        Returns:
            What the closure gave, or None without one.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self.parts:
            part.step()
        return loss

    def __getstate__(self) -> dict[str, Any]:
        """What a copy or a pickle is made from: the parts too."""
        return {**super().__getstate__(), "parts": self.parts}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore, from a copy or from `load_state_dict`; every part gets its own groups, and adapts them."""
        super().__setstate__(state)
        self._share()

    def _share(self) -> None:
        """Give every part its groups, and the one state of all."""
        start = 0
        for part in self.parts:
            end = start + len(part.param_groups)
            part.__setstate__({"state": self.state, "param_groups": self.param_groups[start:end]})
            start = end
