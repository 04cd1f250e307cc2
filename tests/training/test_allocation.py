"""Memory that is freed stays with the process, on request alone, and where the C library knows how."""

import ctypes
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from minimodels.training import allocation, keep_freed_memory

FAULTS = """
import resource, sys, torch
from minimodels.training import keep_freed_memory
torch.set_num_threads(1)
if sys.argv[1] == "keep" and not keep_freed_memory():
    sys.exit("not here")
def step():
    held = [torch.ones(1 << 20) for _ in range(8)]  # 4 MiB each
for _ in range(5):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(wish: str, **chosen: str) -> int:
    """Page faults of 20 steps in a process of its own, of 8,192 pages each."""
    plain = {name: value for name, value in os.environ.items() if name not in allocation.OWN_CHOICES}
    done = subprocess.run(
        [sys.executable, "-c", FAULTS, wish], capture_output=True, encoding="utf-8", env=plain | chosen
    )
    if "not here" in done.stderr:
        pytest.skip("this C library has no such choice")
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc is told")
def test_what_a_step_frees_serves_the_next_one() -> None:
    assert faults("keep") < 1_000
    assert faults("leave", MALLOC_MMAP_THRESHOLD_="131072") > 100_000  # every block new from the system


def test_a_choice_of_ones_own_and_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, int]] = []

    def mallopt(parameter: int, value: int) -> int:
        told.append((parameter, value))
        return 1

    for name in allocation.OWN_CHOICES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace(mallopt=mallopt))
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_freed_memory()
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "4096")
    assert not keep_freed_memory()
    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_")
    assert told == []
    assert keep_freed_memory()
    assert told == [(-1, allocation.KEPT), (-3, allocation.LARGEST)]
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace())
    assert not keep_freed_memory()
