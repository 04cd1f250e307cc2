"""What counts as the same: in coarse numbers either side is held against float32, from the same rounded numbers."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from benchmarks import __main__ as command
from benchmarks import card, norm
from benchmarks.cases import Case, Pair, Setting
from benchmarks.checking import MismatchError, check
from benchmarks.run import Effort, measure

CPU = torch.device("cpu")
TINY, HALF = Setting(torch.float32, CPU, tiny=True), Setting(torch.bfloat16, CPU, tiny=True)
COUNTED = ("conv", "linear", "attention", "transformer", "recurrent", "model", "losses")


@pytest.mark.parametrize("case", [cases[-1] for cases in command.FAMILIES.values()], ids=lambda case: case.family)
def test_every_family_agrees_in_bfloat16(case: Case) -> None:
    entry = measure(case, HALF, Effort(1, 0.0))
    assert entry["error"] <= max(5e-2, 2 * entry["reference_error"])


@pytest.mark.parametrize("case", [cases[0] for cases in command.FAMILIES.values()], ids=lambda case: case.family)
def test_the_truth_starts_from_the_same_rounded_numbers(case: Case) -> None:
    torch.manual_seed(0)
    rounded = case.make(HALF).operands
    torch.manual_seed(0)
    for a, b in zip(rounded, case.make(HALF.truth()).operands, strict=True):
        assert b.dtype == (torch.float32 if a.is_floating_point() else a.dtype)
        assert torch.equal(a.to(b.dtype), b)


def pair_of(ours: float, reference: float) -> Callable[[Setting], Pair]:
    """Sides that are off the truth, 1, by so much."""

    def make(setting: Setting) -> Pair:
        offs = {int: ours, float: 0.0 if setting.rounded else reference}
        return Pair(int, float, lambda side: [torch.full((3,), 1 + offs[side], dtype=setting.dtype)])

    return make


@pytest.mark.parametrize(
    ("ours", "reference", "passes"),
    [(0.03, 0.0, True), (0.25, 0.25, True), (0.25, 0.125, True), (0.25, 0.0625, False), (0.25, torch.nan, False)],
)
def test_ours_may_err_as_torch_does(ours: float, reference: float, passes: bool) -> None:
    case = Case("made up", "rounded", "forward", pair_of(ours, reference))
    pair = case.make(HALF)
    results = pair.results(pair.ours), pair.results(pair.reference)
    if passes:
        errors = check(case, HALF, *results)
        assert errors == pytest.approx({"error": ours, "reference_error": reference}, rel=0.05)
    else:
        with pytest.raises(MismatchError, match="torch's own error is"):
            check(case, HALF, *results)


def test_tf32_is_held_against_exact_products(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = []
    monkeypatch.setattr(card, "round_products", chosen.append)
    setting = replace(TINY, tf32=True)
    torch.manual_seed(0)
    pair = norm.CASES[0].make(setting)
    errors = check(norm.CASES[0], setting, pair.results(pair.ours), pair.results(pair.reference))
    assert errors["error"] < 1e-5 > errors["reference_error"]
    assert chosen == [False, torch.backends.cuda.matmul.allow_tf32]


class Count(TorchDispatchMode):
    """Counts operations as PyTorch's own counter does."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if function._overloadpacket in flop_registry:
            self.total += flop_registry[function._overloadpacket](*args, **(kwargs or {}), out_val=result)
        return result


def counted(side: Callable[[], object]) -> int:
    with Count() as count:
        side()
    return count.total


def countable(case: Case) -> bool:
    """Whether one side runs as products that the counter knows, rather than as one large operation of its library."""
    library = case.name.startswith("LSTM") and "ragged" not in case.name
    return not library and "depthwise" not in case.name


@pytest.mark.parametrize(
    "case", [c for f in COUNTED for c in command.FAMILIES[f] if countable(c)], ids=lambda case: f"{case.family}: {case}"
)
def test_operations_are_as_many_as_pytorch_counts(case: Case) -> None:
    pair = case.make(TINY)
    if pair.flops is None:
        assert case.family == "losses"
        return
    counts = [counted(pair.ours), counted(pair.reference)]
    if "causal" in case.name:  # of a small square everything is computed; what is not seen does not count as work
        pair, full = replace(pair, flops=None), case.make(TINY).flops
        assert any(full <= count <= 2 * full for count in counts)
        return
    slack = 0.08 if case.family == "recurrent" else 0.0  # the first step's state is zero, and has no derivative
    assert any(abs(count - pair.flops) <= slack * pair.flops for count in counts)


@pytest.mark.parametrize("family", command.FAMILIES)
def test_on_a_card_the_batch_is_larger_and_so_is_the_work(family: str) -> None:
    shapes = Setting(torch.bfloat16, torch.device("meta"))
    for case in command.FAMILIES[family]:
        if (family, case.mode) == ("recurrent", "forward + backward"):
            continue  # torch's layer goes through a hundred steps of nothing to tell the shape of its output
        small, large = case.make(shapes), case.make(replace(shapes, larger=case.larger))
        assert (large.flops or 0) == pytest.approx(case.larger * (small.flops or 0))
        elements = [sum(t.numel() for t in pair.operands) for pair in (small, large)]
        assert elements[0] <= elements[1] <= case.larger * elements[0]
        if large.moved and case.larger > 1:
            assert small.moved < large.moved < case.larger * small.moved + 1


def test_bytes_are_operands_read_once_and_results_written_once() -> None:
    entry = measure(norm.CASES[0], TINY, Effort(1, 0.0))
    assert entry["bytes"] == 4 * (4 * 8 + 8 + 8 + 4 * 8)  # input, weight, bias, output
    both = measure(norm.CASES[1], TINY, Effort(1, 0.0))
    assert both["bytes"] == 4 * (2 * 32 + 16 + 2 * 32 + 16)  # input, upstream, weights; output and three gradients
