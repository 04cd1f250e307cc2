"""What a row is, and the inputs that rows are made of."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from hypothesis.strategies import SearchStrategy

from minimodels.testing import Case


@dataclass(frozen=True)
class Row:
    ours: type[torch.nn.Module]
    reference: type[torch.nn.Module]
    cases: Callable[[], SearchStrategy[Case]]
    example: Case  # one plain case, for the contracts that need no search
    bad: tuple[Case, ...] = ()  # wrong calls; `inputs` empty where the constructor itself must refuse
    order: int = 2  # how many derivatives both sides promise
    random: bool = False  # draws random numbers in training: no function of its input
    dissolves: bool = False  # the reference runs no kernel of its own, only algebra: the list of kernels cannot see it
    view: bool = False  # only the shape changes: there is nothing that a guard could see

    def __str__(self) -> str:
        return self.ours.__name__

    def _repr_pretty_(self, printer, cycle):
        printer.text(str(self))


def x(*shape: int) -> torch.Tensor:
    """A fixed input."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def labels(*numbers: int) -> torch.Tensor:
    return torch.tensor(numbers)
