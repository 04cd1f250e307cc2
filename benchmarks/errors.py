"""How far every layer is from the truth: ours and torch's, forward and gradient, in each precision.

The truth is torch's layer in float64 on the CPU, on the same numbers: inputs, weights and the gradient that comes from
above are first rounded to the precision that is measured, so that only the layer's own arithmetic counts.
"""

import math
from argparse import Namespace
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from benchmarks.cases import Setting, Study
from benchmarks.tables import markdown

if TYPE_CHECKING:
    from tests.registry import Row

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
PARTS = ("forward", "gradient")
HEADER = ("layer", *(f"{dtype} {part}" for dtype in DTYPES for part in PARTS))

DRAWS = 8
"""Random inputs for each shape of a layer."""

LONGER = 16
"""How many times longer the long inputs are: sums of a hundred numbers, in which rounding adds up."""

EXPLANATION = (
    "A cell is ours / torch's largest error, in units of the precision's ε times the largest element of the true "
    "tensor (0.5: rounded once; 1: off by the last place of the largest element); true is torch's layer in float64 on "
    f"the same rounded numbers, and the largest is taken over {DRAWS} draws of each layer's example in tests/registry, "
    f"of the same {LONGER} times longer in its first and in its last dimension where the layer allows that, and over "
    "all outputs (forward), or all inputs and parameters (gradient). Bold: ours is above 1 and more than twice "
    "torch's. A dash: does not run in this precision."
)

Errors = dict[str, float | None]
"""Of "ours" and of the "reference", in the table's units; None where it does not run."""


def run(setting: Setting, options: Namespace) -> list[dict[str, Any]]:
    """Measure every layer of the tests' registry, and print the table line by line."""
    from tests.registry import LAYERS  # it needs what the tests need; the other families do without

    print(_line(HEADER))
    entries = []
    for layer in LAYERS:
        entries.append({"name": str(layer), **{dtype: measure(layer, dtype, setting) for dtype in DTYPES}})
        print(_line(row(entries[-1])), flush=True)
    print(summary(entries))
    return entries


def row(entry: dict[str, Any], bold: str = "") -> tuple[str, ...]:
    """One layer as the cells of the table; `bold` marks those in which ours falls behind."""
    return (entry["name"], *(_cell(entry[dtype][part], bold) for dtype in DTYPES for part in PARTS))


def _cell(errors: Errors, bold: str) -> str:
    ours, reference = errors["ours"], errors["reference"]
    behind = ours is not None and reference is not None and ours > max(1.0, 2 * reference)
    mark = bold if behind else ""
    return f"{mark}{_number(ours)} / {_number(reference)}{mark}"


def _number(error: float | None) -> str:
    return "–" if error is None else f"{error:.2f}" if error < 10 else f"{error:.0f}" if error < 1e4 else f"{error:.0e}"


def _line(cells: tuple[str, ...]) -> str:
    return f"{cells[0]:<26}" + "".join(f"{cell:>19}" for cell in cells[1:])


def table(record: dict[str, Any]) -> str:
    """A record's section: how to read it, its table, and what it comes to."""
    cells = (row(entry, bold="**") for entry in record["cases"])
    return f"{EXPLANATION}\n\n{markdown(HEADER, cells)}\n\n{summary(record['cases'])}"


def summary(entries: list[dict[str, Any]]) -> str:
    """How many of the table's cells are closer to the truth than torch's, and how many farther."""
    cells = [entry[dtype][part] for entry in entries for dtype in DTYPES for part in PARTS]
    pairs = [(cell["ours"], cell["reference"]) for cell in cells if None not in cell.values()]
    closer, farther = (sum(a < 0.99 * b for a, b in each) for each in (pairs, [(b, a) for a, b in pairs]))
    return (
        f"Of {len(pairs)} cells, ours is closer to the truth than torch's in {closer}, farther in {farther}, "
        "and as close (within a hundredth) in the others."
    )


def measure(layer: "Row", dtype: str, setting: Setting) -> dict[str, Errors]:
    """The largest errors of a layer and of torch's in one precision, "forward" and "gradient".

    Args:
        layer: a row of the tests' registry.
        dtype: the precision.
        setting: the device; tiny draws once, and nothing long.
    """
    worst: dict[str, Errors] = {part: {"ours": 0.0, "reference": 0.0} for part in PARTS}
    for inputs in _shapes(layer, tiny=setting.tiny):
        for seed in range(1 if setting.tiny else DRAWS):
            problem = _Problem(layer, inputs, DTYPES[dtype], seed)
            for side in ("ours", "reference"):
                for part, error in zip(PARTS, problem.errors(side, setting.device), strict=True):
                    before = worst[part][side]
                    worst[part][side] = None if error is None or before is None else max(before, error)
    return worst


class _Problem:
    """A layer with weights and inputs that are rounded to a precision, and what it should give for them."""

    def __init__(self, layer: "Row", inputs: Any, dtype: torch.dtype, seed: int) -> None:
        self.layer, self.dtype, self.seed = layer, dtype, seed
        generator = torch.Generator().manual_seed(seed)
        self.inputs = _cast(pytree.tree_map(lambda value: _redrawn(value, generator), inputs), dtype)
        torch.manual_seed(seed)
        first = self._built("reference", torch.float64, torch.device("cpu"))
        self.weights = _cast(first.state_dict(), dtype)
        self.truth = self._results("reference", torch.float64, torch.device("cpu"))

    def errors(self, side: str, device: torch.device) -> tuple[float | None, float | None]:
        """How far one side is from the truth, in units of ε: outputs, and gradients."""
        try:
            found = self._results(side, self.dtype, device)
        except RuntimeError:  # PyTorch's word for a precision that an operation does not have
            return None, None
        forward, gradient = (
            max((_distance(a, b) for a, b in zip(*pair, strict=True)), default=0.0) / torch.finfo(self.dtype).eps
            for pair in zip(found, self.truth, strict=True)
        )
        return forward, gradient

    def _built(self, side: str, dtype: torch.dtype, device: torch.device) -> torch.nn.Module:
        example = self.layer.example
        kwargs = _cast(_cast(example.kwargs, self.dtype), dtype, device)
        module = replace(example, kwargs=kwargs).build(getattr(self.layer, side)).to(device, dtype)
        return module.eval() if self.layer.random else module  # chance is no error

    def _results(self, side: str, dtype: torch.dtype, device: torch.device) -> tuple[list[Tensor], list[Tensor]]:
        """Outputs, and the gradients of inputs and parameters for a fixed gradient from above."""
        module = self._built(side, dtype, device)
        module.load_state_dict(self.weights)
        inputs = pytree.tree_map(_leaf, _cast(self.inputs, dtype, device))
        leaves = [t for t in (*pytree.tree_leaves(inputs), *module.parameters()) if _is_real(t) and t.requires_grad]
        outputs = [t for t in pytree.tree_leaves(module(*pytree.tree_map(_own, inputs))) if _is_real(t)]
        generator = torch.Generator().manual_seed(self.seed)
        upstream = [torch.randn(t.shape, generator=generator).to(self.dtype).to(device, dtype) for t in outputs]
        gradients = torch.autograd.grad(outputs, leaves, upstream, allow_unused=True, materialize_grads=True)
        return [t.detach() for t in outputs], list(gradients)


def _shapes(layer: "Row", *, tiny: bool) -> list[Any]:
    """The inputs of the example, and longer ones as far as torch's layer takes them."""
    example = layer.example.inputs
    if tiny:
        return [example]
    return [example, *(longer for longer in (_longer(example, 0), _longer(example, -1)) if _takes(layer, longer))]


def _takes(layer: "Row", inputs: Any) -> bool:
    try:
        _Problem(layer, inputs, torch.float64, 0)
    except (RuntimeError, ValueError, IndexError, AssertionError):  # the layer ties this dimension to something else
        return False
    return True


def _longer(inputs: Any, dim: int) -> Any:
    """The first input repeated along a dimension, and with it all others that are as long there."""
    first = pytree.tree_leaves(inputs)[0]

    def repeat(value: Any) -> Any:
        if not isinstance(value, Tensor) or not value.ndim or value.shape[dim] != first.shape[dim]:
            return value
        times = [1] * value.ndim
        times[dim] = LONGER
        return value.repeat(times)

    return pytree.tree_map(repeat, inputs)


def _redrawn(value: Any, generator: torch.Generator) -> Any:
    """Other numbers of the same kind: mixed from pairs of elements, so that they stay in the range that is allowed."""
    if not _is_real(value) or not value.numel() or bool((value == value.round()).all()):
        return value  # labels, lengths, ±1
    numbers = value.flatten()
    a, b = (numbers[torch.randint(len(numbers), value.shape, generator=generator)] for _ in range(2))
    return torch.lerp(a, b, torch.rand(value.shape, generator=generator, dtype=value.dtype))


def _distance(found: Tensor, true: Tensor) -> float:
    """The largest difference, relative to the largest element of the truth."""
    found = found.cpu().double()
    if not true.numel():
        return 0.0
    distance = float(torch.where(found == true, 0.0, found - true).abs().max())
    if math.isnan(distance):
        return math.inf
    return distance / (float(true.abs().max()) or 1.0)


def _is_real(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()


def _cast(values: Any, dtype: torch.dtype, device: torch.device | str = "cpu") -> Any:
    def cast(value: Any) -> Any:
        return value.to(device, dtype if _is_real(value) else value.dtype) if isinstance(value, Tensor) else value

    return pytree.tree_map(cast, values)


def _leaf(value: Any) -> Any:
    return value.clone().requires_grad_() if _is_real(value) else value


def _own(value: Any) -> Any:
    """A copy that a layer may write to."""
    return value.clone() if isinstance(value, Tensor) else value


STUDY = Study(run, table, dtypes=tuple(DTYPES))
