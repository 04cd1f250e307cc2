"""Optimisers with two parameter groups, and what a schedule makes of them, for the tests of the schedules."""

import copy
from typing import Any

import torch
from hypothesis import strategies as st


def two_groups(library: Any, momentum: float = 0.0) -> torch.optim.Optimizer:
    """Of the SGD of a library; the groups begin with rates of 0.1 and 0.5."""
    a, b = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
    return library.SGD([{"params": [a]}, {"params": [b], "lr": 0.5}], lr=0.1, momentum=momentum)


@st.composite
def optimizers(draw):
    """How to make an optimiser with two groups, in either library."""
    name = draw(st.sampled_from(["SGD", "Adam", "AdamW"]))
    rates = draw(st.sampled_from([(0.1, 0.5), (torch.tensor(0.1), 0.5), (torch.tensor(0.1), torch.tensor(0.5))]))
    momentum = {"momentum": 0.9} if name == "SGD" else {}

    def make(library: Any) -> torch.optim.Optimizer:
        a, b = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
        first, second = copy.deepcopy(rates)
        groups = [{"params": [a]}, {"params": [b], "lr": second}]
        return getattr(library, name)(groups, lr=first, **momentum)

    return make


def seen(schedule: Any) -> dict[str, Any]:
    """All that a run looks at."""
    groups = [
        {
            key: float(value) if key == "lr" else value
            for key, value in group.items()
            if key in ("lr", "momentum", "betas")
        }
        for group in schedule.optimizer.param_groups
    ]
    return {
        "last": [float(rate) for rate in schedule.get_last_lr()],
        "kinds": [type(rate) for rate in schedule.get_last_lr()],
        "groups": groups,
        "epoch": getattr(schedule, "last_epoch", None),
    }


def same(one: Any, other: Any) -> bool:
    """Whether two states are equal, tensors by their numbers."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    return type(one) is type(other) and one == other
