"""The peak of memory: bytes, whatever the system counts in."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from minimodels.training import memory, peak_memory, reset_peak_memory

MEGABYTE = 1 << 20


def test_the_peak_holds_what_was_there_and_is_gone(device: torch.device) -> None:
    reset_peak_memory(device)
    before = peak_memory(device)
    held = torch.ones(300 * MEGABYTE, dtype=torch.uint8, device=device)
    del held
    after = peak_memory(device)
    assert before is not None
    assert after is not None
    assert 250 * MEGABYTE < after - before < 400 * MEGABYTE


@pytest.mark.skipif(not os.access(memory.PEAK_AGAIN, os.W_OK), reason="only Linux forgets, where one may ask it to")
def test_a_peak_is_forgotten(device: torch.device) -> None:
    held = torch.ones(300 * MEGABYTE, dtype=torch.uint8, device=device)
    high = peak_memory(device)
    del held
    reset_peak_memory(device)
    low = peak_memory(device)
    assert high is not None
    assert low is not None
    assert low < high - 250 * MEGABYTE


@pytest.mark.parametrize(("system", "unit"), [("linux", 1024), ("darwin", 1)])
def test_bytes_on_every_system(monkeypatch: pytest.MonkeyPatch, system: str, unit: int) -> None:
    usage = SimpleNamespace(RUSAGE_SELF=0, getrusage=lambda who: SimpleNamespace(ru_maxrss=5000))
    monkeypatch.setitem(sys.modules, "resource", usage)
    monkeypatch.setattr(sys, "platform", system)
    assert peak_memory(torch.device("cpu")) == 5000 * unit


def test_a_system_that_does_not_count_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resource", None)  # importing it fails
    monkeypatch.setattr(sys, "platform", "win32")
    assert peak_memory(torch.device("cpu")) is None
    assert peak_memory(torch.device("mps")) is None


def test_where_forgetting_is_forbidden_or_unknown_nothing_happens(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for place in (tmp_path, tmp_path / "missing"):  # a folder cannot be written to
        monkeypatch.setattr(memory, "PEAK_AGAIN", place)
        reset_peak_memory(torch.device("cpu"))
        reset_peak_memory(torch.device("mps"))
    assert list(tmp_path.iterdir()) == []
