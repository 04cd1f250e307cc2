"""The record of a run: the machine, the versions, the flags, and what was measured."""

import json
import os
import platform
import re
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

import minimodels
from benchmarks import card
from benchmarks.cases import Entries, Setting
from minimodels.errors import InputError


def machine(device: torch.device, threads: int) -> dict[str, Any]:
    """What the timings belong to: the processor or the card, never the name of a host."""
    on_card = device.type == "cuda"
    name = torch.cuda.get_device_name(device) if on_card else _processor()
    words = name if on_card else f"{name} {threads} thread{'s' * (threads > 1)}"
    return {
        "name": name,
        "slug": re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-"),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "simd": torch.backends.cpu.get_cpu_capability(),
        **({"card": card.facts(device)} if on_card else {}),
    }


def _processor() -> str:
    """The processor's model as the system names it."""
    table = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", table.read_text(encoding="utf-8")) if table.exists() else None
    return found.group(1) if found else platform.processor() or platform.machine()


def record(
    family: str, setting: Setting, entries: Entries, command: str, about: dict[str, Any] | None = None
) -> dict[str, Any]:
    """All that is known of a run.

    Args:
        family: the family.
        setting: dtype, device and size.
        entries: what was measured, case by case.
        command: what to type to get this record again.
        about: the machine, with its ceilings where they were measured.
    """
    threads = torch.get_num_threads()
    return {
        "family": family,
        "command": command,
        "machine": machine(setting.device, threads) if about is None else about,
        "device": setting.device.type,
        "dtype": str(setting.dtype).removeprefix("torch."),
        "tf32": setting.tf32,
        "mode": "compiled" if setting.compiled else "eager",
        "threads": threads,
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "minimodels": minimodels.__version__,
        },
        "commit": _commit(),
        "cases": entries,
    }


def variant(record: dict[str, Any]) -> str:
    """In which numbers a record was measured, and whether the compiler took part."""
    words = [record["dtype"], "TF32" * record.get("tf32", False), "compiled" * (record.get("mode") == "compiled")]
    return ", ".join(word for word in words if word)


def plain_first(records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put records in the order in which variants are shown: what is not compiled first, float32 before other numbers.

    Args:
        records: of one machine.
    """
    return sorted(records, key=lambda r: ("compiled" in variant(r), "float32" not in variant(r), variant(r)))


def load(path: Path) -> dict[str, Any]:
    """A stored record.

    Args:
        path: the file.

    Raises:
        InputError: it holds none.
    """
    with naming(path):
        record = json.loads(path.read_text(encoding="utf-8"))
        for key, kind in KEYS.items():
            if not isinstance(record[key], kind):
                raise TypeError(f"{key} is no {kind.__name__}")
        str(record["machine"]["slug"])
        for entry in record["cases"]:
            _look(entry)
    return dict(record)


KEYS = {"family": str, "machine": dict, "dtype": str, "cases": list}
"""What every record has."""


def _look(entry: dict[str, Any]) -> None:
    """See that a case has a name, and what is compared where it has two sides."""
    str(entry["name"])
    if "ours" in entry and "reference" in entry:
        parts = [entry["ours"][key] for key in ("q1", "median", "q3")]
        parts += [entry["reference"]["median"], entry["ratio"]]
        str(entry["mode"])
        if not all(isinstance(part, int | float) for part in parts):
            raise TypeError(f"{entry['name']} has a time that is no number")


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """What a file lacks to be a record becomes one sentence."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not a record of this benchmark ({error}); remove it or run it anew.") from error


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
