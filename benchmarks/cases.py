"""What a benchmark case is: two callables that do the same work, one with our code and one with the reference's."""

from argparse import Namespace
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from minimodels import nn

Outputs = Sequence[Tensor]
Entries = list[dict[str, Any]]


@dataclass(frozen=True)
class Setting:
    """Where and with which numbers a case runs.

    `tiny` shrinks every size, to see that the case works at all; `larger` multiplies the batch, to fill a graphics
    card; `compiled` runs both sides through `torch.compile`; `tf32` lets CUDA's float32 products round to 10 bits.
    All numbers are drawn in float32 and rounded to `rounded` (`dtype` when not given), so that the same problem
    can be computed in a wider `dtype`.
    """

    dtype: torch.dtype
    device: torch.device
    tiny: bool = False
    compiled: bool = False
    tf32: bool = False
    larger: int = 1
    rounded: torch.dtype | None = None

    def noise(self, *shape: int, scale: float = 1.0) -> Tensor:
        """Numbers of a normal distribution."""
        return self._rounded(scale * torch.randn(shape, dtype=self._drawn(), device=self.device))

    def parts(self, *shape: int) -> Tensor:
        """Numbers between 0 and 1."""
        return self._rounded(torch.rand(shape, dtype=self._drawn(), device=self.device))

    def built(self, build: Callable[[], torch.nn.Module]) -> torch.nn.Module:
        """A layer, made where it will run: there its first weights are drawn in no time."""
        with self.device:
            module = build()
        return module.to(self.device, self.rounded or self.dtype).to(self.dtype)

    def ready(self, ours: Any, reference: Any) -> tuple[Any, Any]:
        """The two sides' modules or functions as they will be called.

        The compiler knows attention by its pattern and puts PyTorch's own kernel in its place. That would be the
        reference, not ours: for our side it matches no patterns.
        """
        if not self.compiled:
            return ours, reference
        compiled = partial(torch.compile, dynamic=False)
        return compiled(ours, options={"pattern_matcher": False}), compiled(reference)

    def truth(self) -> "Setting":
        """The same numbers, computed in float32 without a compiler."""
        return replace(self, dtype=torch.float32, rounded=self.dtype, compiled=False, tf32=False)

    def _drawn(self) -> torch.dtype:
        return torch.promote_types(self.dtype, torch.float32)

    def _rounded(self, numbers: Tensor) -> Tensor:
        return numbers.to(self.rounded or self.dtype).to(self.dtype)


@dataclass(frozen=True)
class Pair:
    """The two sides: what is timed, and how to look at what it computed, which `results` gives after one call.

    `operands` is what a call has to read; `moved` says how many bytes it reads and writes where that is more than all
    operands and all results once; `flops` counts floating-point operations of its products, two a multiply-add, where
    products are the work.
    """

    ours: Callable[[], Any]
    reference: Callable[[], Any]
    results: Callable[[Callable[[], Any]], Outputs]
    operands: Sequence[Tensor] = ()
    moved: int | None = None
    flops: float | None = None


@dataclass(frozen=True)
class Case:
    """One line of a table.

    `make` draws inputs and weights from torch's global generator and gives the pair that works on them. On a graphics
    card the batch is `larger` times as large; the name then says so. `lacking` names the kinds of device and the
    precisions in which the reference does not run: there the case is left out, and says so. `peer` is whose the
    reference is.
    """

    family: str
    name: str
    mode: str
    make: Callable[[Setting], Pair]
    larger: int = 1
    lacking: Collection[tuple[str, torch.dtype]] = ()
    peer: str = "torch"

    def __str__(self) -> str:
        return f"{self.name}, {self.mode}"

    def enlarged(self, setting: Setting) -> tuple["Case", Setting]:
        """The case and its setting as they run on the setting's device."""
        if setting.device.type != "cuda" or setting.tiny or self.larger == 1:
            return self, setting
        return replace(self, name=f"{self.name}, {self.larger} times the batch"), replace(setting, larger=self.larger)

    def omitted(self, setting: Setting) -> str:
        """Why the case is left out in a setting; empty where it is not."""
        if (setting.device.type, setting.dtype) not in self.lacking:
            return ""
        return f"torch has none in {str(setting.dtype).removeprefix('torch.')} on {setting.device.type}"


def layer_cases(
    family: str,
    name: str,
    build: Callable[[Any, Setting], torch.nn.Module],
    shape: Callable[[Setting], Sequence[int]],
    *,
    first: bool = False,
    larger: int = 1,
    products: Callable[[Setting], Sequence[float]] | None = None,
    lacking: Collection[tuple[str, torch.dtype]] = (),
) -> list[Case]:
    """A layer forward, and forward with backward, with the same weights on both sides.

    Args:
        family: the family that the cases belong to.
        name: the first column of the table.
        build: makes the layer from a module of layers, `minimodels.nn` or `torch.nn`.
        shape: the shape of the input.
        first: nothing stands before this layer, so that no gradient of its input is asked for.
        larger: how many times as large the batch is on a graphics card.
        products: floating-point operations of the products in a forward pass, the input's first. The backward pass
            has two such products for each, one for either factor's gradient.
        lacking: kinds of device and precisions in which the reference does not run.
    """

    def make(setting: Setting, *, backward: bool) -> Pair:
        layers = [setting.built(partial(build, module, setting)) for module in (nn, torch.nn)]
        layers[0].load_state_dict(layers[1].state_dict())
        input = setting.noise(*shape(setting)).requires_grad_(backward and not first)
        with torch.no_grad():
            upstream = setting.noise(*layers[1](input).shape) if backward else None
        operands = [input, *layers[1].parameters(), *([] if upstream is None else [upstream])]

        def forward(layer: torch.nn.Module) -> Outputs:
            with torch.no_grad():
                return (layer(input),)

        def both(layer: torch.nn.Module) -> Outputs:
            sources = [t for t in (input, *layer.parameters()) if t.requires_grad]
            output = layer(input)
            return (output.detach(), *torch.autograd.grad(output, sources, upstream))

        work = both if backward else forward
        ours, reference = setting.ready(*layers)
        flops = None
        if products is not None:
            steps = products(setting)
            flops = 3 * sum(steps) - first * steps[0] if backward else sum(steps)
        return Pair(lambda: work(ours), lambda: work(reference), lambda side: side(), operands, flops=flops)

    return both_ways(family, name, make, larger, lacking)


def both_ways(
    family: str,
    name: str,
    make: Callable[..., Pair],
    larger: int = 1,
    lacking: Collection[tuple[str, torch.dtype]] = (),
) -> list[Case]:
    """The cases of what `make` gives without a backward pass, and with one."""
    return [
        Case(family, name, "forward", partial(make, backward=False), larger, lacking),
        Case(family, name, "forward + backward", partial(make, backward=True), larger, lacking),
    ]


@dataclass(frozen=True)
class Study:
    """A family that is more than a list of cases.

    `run` takes the setting and the flags, with `repeats` and the machine's `ceilings` filled in, prints its table as
    it goes and gives the entries; `table` writes the entries of a record as Markdown, to stand below the facts of the
    run; `draw`, if there is one, makes a picture of a record in a PNG file. `dtypes` names the precisions that a study
    goes through by itself; `--dtype` is then not its concern. `counts` says that its ratios stand in a machine's
    summary; `variants` that it runs compiled as well, and so belongs to every pass of `--all`.
    """

    run: Callable[[Setting, Namespace], Entries]
    table: Callable[[dict[str, Any]], str]
    draw: Callable[[dict[str, Any], Path], None] | None = None
    dtypes: Sequence[str] = ()
    counts: bool = False
    variants: bool = False
