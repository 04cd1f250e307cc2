"""What a row is, and the inputs that rows are made of."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from hypothesis import settings
from hypothesis.strategies import SearchStrategy
from torch.utils._pytree import tree_map

from minimodels.testing import Case

few = settings(max_examples=max(1, settings().max_examples // 5))
"""How hard a contract searches, a fifth of what its profile says: a hundred rows share a dozen machineries, and each of
these has tests of its own."""


@dataclass(frozen=True)
class Row:
    ours: type[torch.nn.Module]
    reference: type[torch.nn.Module]
    cases: Callable[[], SearchStrategy[Case]]
    example: Case  # one plain case, for the contracts that need no search
    bad: tuple[Case, ...] = ()  # wrong calls; `inputs` empty where the constructor itself must refuse
    order: int = 2  # how many derivatives both sides promise
    low_precision: bool = True  # the reference takes 16-bit numbers too, on a CPU as well
    transforms: bool = True  # the reference goes through torch.func
    tolerance: float = 1e-9  # how far the reference itself is off in float64
    random: bool = False  # draws random numbers in training: no function of its input
    dissolves: bool = False  # the reference runs no kernel of its own, only algebra: the list of kernels cannot see it
    tracks: bool = False  # training writes running statistics, which functorch refuses: transforms see it evaluate
    advice: tuple[str, ...] = ()  # arguments that say how the reference computes, not what
    batches: bool = True  # the reference goes through torch.func.vmap; where it does not, it is called in a loop
    roundings: int = 4  # by which ours may be further off in low precision than twice the reference
    view: bool = False  # only the shape changes: there is nothing that a guard could see
    algebra: bool = False  # the reference is itself one function of plain algebra: no guard could tell it from ours

    @property
    def smooth(self) -> bool:
        """Whether there is a derivative by the input: not of what chance decides, nor by whole numbers."""
        return not self.random and self.example.inputs[0].is_floating_point()

    def __str__(self) -> str:
        return self.ours.__name__

    def _repr_pretty_(self, printer, cycle):
        printer.text(str(self))


def at_rest(row: Row, layer: torch.nn.Module) -> torch.nn.Module:
    """A layer as transforms may see it: one that tracks its batches, in evaluation."""
    return layer.eval() if row.tracks else layer


def x(*shape: int) -> torch.Tensor:
    """A fixed input."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def each(f, inputs):
    """Apply a function to every tensor among the inputs; lengths and the like stay as they are."""
    return tree_map(lambda value: f(value) if isinstance(value, torch.Tensor) else value, inputs)


def labels(*numbers: int) -> torch.Tensor:
    return torch.tensor(numbers)
