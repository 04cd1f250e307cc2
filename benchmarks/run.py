"""Comparing, then timing: one case after the other, its two sides in turn, and the record of it all."""

import itertools
import math
import os
import platform
import re
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import minimodels
from benchmarks.cases import Case, Outputs, Pair, Setting

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""How far ours may be from the reference, relative to the reference's largest element."""

SAMPLE_SECONDS = 2e-3
"""A sample repeats its call until it is at least this long: the clock and the loop around it then weigh nothing."""


class MismatchError(Exception):
    """The two sides of a case do not compute the same, so that their times cannot be compared."""


def error_of(pair: Pair) -> float:
    """The largest difference between the two sides, relative to the reference's largest element."""
    ours, reference = pair.results(pair.ours), pair.results(pair.reference)
    return max(itertools.starmap(_distance, zip(ours, reference, strict=True))) if _alike(ours, reference) else math.inf


def _alike(ours: Outputs, reference: Outputs) -> bool:
    return [(a.shape, a.dtype) for a in ours] == [(b.shape, b.dtype) for b in reference]


def _distance(a: torch.Tensor, b: torch.Tensor) -> float:
    largest = float(b.double().abs().max())
    distance = float((a.double() - b.double()).abs().max())
    if math.isnan(distance):  # max() would lose it among numbers
        return math.inf
    return distance / largest if largest else distance


def measure(case: Case, setting: Setting, *, repeats: int, min_time: float) -> dict[str, Any]:
    """Compare and time one case.

    Args:
        case: the case.
        setting: dtype, device and size.
        repeats: the least number of rounds; in a round each side is timed once, and the sides change order.
        min_time: the least number of seconds for all rounds together.

    Returns:
        The case's entry in the record, times in seconds a call.

    Raises:
        MismatchError: the two sides do not compute the same.
    """
    torch.manual_seed(0)
    pair = case.make(setting)
    error = error_of(pair)
    if not error <= TOLERANCE[setting.dtype]:
        raise MismatchError(f"{case.family}: {case}: ours and torch's differ by {error:.1e}; it was not timed.")
    sides = {"ours": pair.ours, "reference": pair.reference}
    for side in sides.values():
        _sample(side, 1, setting.device)
    calls = {name: _calls(side, setting.device) for name, side in sides.items()}
    times: dict[str, list[float]] = {name: [] for name in sides}
    start = time.perf_counter()
    while len(times["ours"]) < repeats or time.perf_counter() - start < min_time:
        order = list(sides) if len(times["ours"]) % 2 else list(reversed(sides))
        for name in order:
            times[name].append(_sample(sides[name], calls[name], setting.device))
    ratios = [b / a for a, b in zip(times["ours"], times["reference"], strict=True)]
    return {
        "name": case.name,
        "mode": case.mode,
        "error": error,
        "rounds": len(ratios),
        "calls": calls,
        "ours": spread(times["ours"]),
        "reference": spread(times["reference"]),
        "ratio": statistics.median(times["reference"]) / statistics.median(times["ours"]),
        "ratio_of_rounds": spread(ratios),
    }


def _sample(side: Callable[[], Any], calls: int, device: torch.device) -> float:
    """Seconds a call, over some calls."""
    _wait(device)
    start = time.perf_counter()
    for _ in range(calls):
        side()
    _wait(device)
    return (time.perf_counter() - start) / calls


def _wait(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def _calls(side: Callable[[], Any], device: torch.device) -> int:
    return max(1, math.ceil(SAMPLE_SECONDS / _sample(side, 1, device)))


def spread(values: list[float]) -> dict[str, float]:
    """The median of some numbers and the quartiles around it."""
    first, median, third = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return {"q1": first, "median": median, "q3": third}


def machine(device: torch.device, threads: int) -> dict[str, Any]:
    """What the timings belong to: the processor, never the name of a host."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    words = name if device.type == "cuda" else f"{name} {threads} thread{'s' * (threads > 1)}"
    return {
        "name": name,
        "slug": re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-"),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "simd": torch.backends.cpu.get_cpu_capability(),
    }


def _processor() -> str:
    """The processor's model as the system names it."""
    table = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", table.read_text(encoding="utf-8")) if table.exists() else None
    return found.group(1) if found else platform.processor() or platform.machine()


def record(family: str, setting: Setting, entries: list[dict[str, Any]], command: str) -> dict[str, Any]:
    """All that is known of a run.

    Args:
        family: the family.
        setting: dtype, device and size.
        entries: what `measure` gave, case by case.
        command: what to type to get this record again.
    """
    threads = torch.get_num_threads()
    return {
        "family": family,
        "command": command,
        "machine": machine(setting.device, threads),
        "device": setting.device.type,
        "dtype": str(setting.dtype).removeprefix("torch."),
        "threads": threads,
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "minimodels": minimodels.__version__,
        },
        "commit": _commit(),
        "cases": entries,
    }


def _commit() -> str:
    """The commit of the code that ran; "+" behind it says that the code had been changed since."""
    here = Path(__file__).parent

    def git(*words: str) -> str | None:
        try:
            done = subprocess.run(["git", *words], cwd=here, capture_output=True, encoding="utf-8", check=True)
        except (OSError, subprocess.CalledProcessError):
            return None
        return done.stdout.strip()

    commit = git("rev-parse", "--short=12", "HEAD")
    if commit is None:
        return "unknown"
    return commit + ("+" if git("status", "--porcelain", "--", "../minimodels", ".") else "")
