"""What a benchmark case is: two callables that do the same work, one with our code and one with the reference's."""

from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from minimodels import nn

Outputs = Sequence[Tensor]
Entries = list[dict[str, Any]]


@dataclass(frozen=True)
class Setting:
    """Where and with which numbers a case runs; `tiny` shrinks every size, to see that the case works at all."""

    dtype: torch.dtype
    device: torch.device
    tiny: bool = False

    def noise(self, *shape: int) -> Tensor:
        """Numbers of a normal distribution in this setting's dtype, on its device."""
        return torch.randn(shape, dtype=self.dtype, device=self.device)


@dataclass(frozen=True)
class Pair:
    """The two sides: what is timed, and how to look at what it computed, which `results` gives after one call."""

    ours: Callable[[], Any]
    reference: Callable[[], Any]
    results: Callable[[Callable[[], Any]], Outputs]


@dataclass(frozen=True)
class Case:
    """One line of a table.

    `make` draws inputs and weights from torch's global generator and gives the pair that works on them.
    """

    family: str
    name: str
    mode: str
    make: Callable[[Setting], Pair]

    def __str__(self) -> str:
        return f"{self.name}, {self.mode}"


def layer_cases(
    family: str,
    name: str,
    build: Callable[[Any, Setting], torch.nn.Module],
    shape: Callable[[Setting], Sequence[int]],
    *,
    first: bool = False,
) -> list[Case]:
    """A layer forward, and forward with backward, with the same weights on both sides.

    Args:
        family: the family that the cases belong to.
        name: the first column of the table.
        build: makes the layer from a module of layers, `minimodels.nn` or `torch.nn`.
        shape: the shape of the input.
        first: nothing stands before this layer, so that no gradient of its input is asked for.
    """

    def make(setting: Setting, *, backward: bool) -> Pair:
        layers = [build(module, setting).to(setting.device, setting.dtype) for module in (nn, torch.nn)]
        layers[0].load_state_dict(layers[1].state_dict())
        input = setting.noise(*shape(setting)).requires_grad_(backward and not first)
        with torch.no_grad():
            upstream = torch.randn_like(layers[1](input))

        def forward(layer: torch.nn.Module) -> Outputs:
            with torch.no_grad():
                return (layer(input),)

        def both(layer: torch.nn.Module) -> Outputs:
            sources = [t for t in (input, *layer.parameters()) if t.requires_grad]
            output = layer(input)
            return (output.detach(), *torch.autograd.grad(output, sources, upstream))

        work = both if backward else forward
        return Pair(lambda: work(layers[0]), lambda: work(layers[1]), lambda side: side())

    return [
        Case(family, name, "forward", lambda setting: make(setting, backward=False)),
        Case(family, name, "forward + backward", lambda setting: make(setting, backward=True)),
    ]


@dataclass(frozen=True)
class Study:
    """A family that is more than a list of cases.

    `run` takes the setting and the flags, prints its table as it goes and gives the entries; `table` writes the
    entries of a record as Markdown, to stand below the facts of the run; `draw`, if there is one, makes a picture of
    a record in a PNG file. `dtypes` names the precisions that a study goes through by itself; `--dtype` is then not
    its concern.
    """

    run: Callable[[Setting, Namespace], Entries]
    table: Callable[[dict[str, Any]], str]
    draw: Callable[[dict[str, Any], Path], None] | None = None
    dtypes: Sequence[str] = ()
