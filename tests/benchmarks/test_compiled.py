"""`--mode compiled`: both sides go through the compiler, ours without its patterns, and all sets share what it made."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch._dynamo.testing import CompileCounter

from benchmarks import __main__ as command
from benchmarks.cases import Case, Setting
from benchmarks.run import Effort, measure

COMPILED = Setting(torch.float32, torch.device("cpu"), tiny=True, compiled=True)
COMPILE = torch.compile
FIRST = [cases[0] for cases in command.FAMILIES.values()]


@pytest.mark.parametrize("case", FIRST, ids=lambda case: case.family)
def test_both_sides_are_compiled_and_ours_matches_no_patterns(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, Any]] = []

    def compile(work: Any, **settings: Any) -> Any:
        seen.append(settings)
        return work

    monkeypatch.setattr(torch, "compile", compile)
    measure(case, COMPILED, Effort(1, 0.0))
    ours, reference = seen
    assert ours == {"dynamic": False, "options": {"pattern_matcher": False}}
    assert reference == {"dynamic": False}
    seen.clear()
    measure(case, replace(COMPILED, compiled=False), Effort(1, 0.0))
    assert seen == []


@pytest.mark.parametrize("family", ["linear", "attention", "norm"])
def test_sets_of_numbers_share_one_graph(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    counter = CompileCounter()
    monkeypatch.setattr(torch, "compile", lambda work, **_: COMPILE(work, backend=counter, dynamic=False))
    torch._dynamo.reset()
    case = command.FAMILIES[family][1]
    for _ in range(3):
        case.make(COMPILED).ours()
    assert counter.frame_count == 1


def test_every_case_is_compiled_for_its_own_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    resets = []
    monkeypatch.setattr(torch, "compile", lambda work, **_: work)
    monkeypatch.setattr(torch._dynamo, "reset", lambda: resets.append(1))
    for case in FIRST[:3]:
        measure(case, COMPILED, Effort(1, 0.0))
    assert len(resets) == 3


def test_patterns_are_an_option_of_the_compiler() -> None:
    assert "pattern_matcher" in torch._inductor.list_options()


def test_the_truth_is_computed_without_the_compiler() -> None:
    assert not replace(COMPILED, dtype=torch.bfloat16).truth().compiled
