"""Tables: in the terminal while the cases run, and in results/README.md from the stored records."""

import json
from pathlib import Path
from typing import Any

from minimodels.errors import InputError
from minimodels.files import replacing, write_json

HEADER = ("case", "ours, ms", "torch, ms", "ratio", "error")


def row(entry: dict[str, Any]) -> tuple[str, ...]:
    """One case as the cells of a table."""
    ratio = entry["ratio_of_rounds"]
    return (
        f"{entry['name']}, {entry['mode']}",
        _milliseconds(entry["ours"]),
        _milliseconds(entry["reference"]),
        f"{entry['ratio']:.2f} ({ratio['q1']:.2f} to {ratio['q3']:.2f})",
        f"{entry['error']:.0e}",
    )


def _milliseconds(spread: dict[str, float]) -> str:
    low, middle, high = (1e3 * spread[key] for key in ("q1", "median", "q3"))
    digits = 3 if middle < 1 else 2 if middle < 100 else 0
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def line(cells: tuple[str, ...]) -> str:
    """Cells under each other in the terminal."""
    return f"{cells[0]:<58}" + "".join(f"{cell:>26}" for cell in cells[1:-1]) + f"{cells[-1]:>9}"


def save(record: dict[str, Any], folder: Path) -> Path:
    """Store a record under its machine's name, and write the folder's README.md anew.

    Args:
        record: what `run.record` gave.
        folder: the folder of all results.

    Returns:
        The file.
    """
    usual = (record["device"], record["dtype"]) in {("cpu", "float32"), ("cuda", "float32")}
    name = record["family"] if usual else f"{record['family']}-{record['dtype']}"
    path = folder / record["machine"]["slug"] / f"{name}.json"
    write_json(path, record)
    write_readme(folder)
    return path


def write_readme(folder: Path) -> None:
    """Write README.md from the records in a folder.

    Args:
        folder: the folder of all results.

    Raises:
        InputError: a file there is not a record.
    """
    parts = [INTRODUCTION]
    for path in sorted(folder.glob("*/*.json")):
        try:
            parts.append(_section(json.loads(path.read_text(encoding="utf-8"))))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{path} is not a record of this benchmark ({error}); remove it or run it anew."
            ) from error
    with replacing(folder / "README.md") as temporary:
        temporary.write_text("\n".join(parts), encoding="utf-8")


INTRODUCTION = """# Results

Written by `python -m benchmarks`, and anew by `python -m benchmarks --report`; do not edit.

Both sides run in one process on the same inputs and weights, in turn, and their results are compared before anything
is timed. A time is the median over the rounds, with the quartiles in brackets; the ratio is torch's time divided by
ours, so that above 1 ours is the faster, with the quartiles of the ratio of single rounds; the error is the largest
difference, relative to the largest element of torch's result.
"""


def _section(record: dict[str, Any]) -> str:
    machine, versions = record["machine"], record["versions"]
    rounds = [entry["rounds"] for entry in record["cases"]]
    facts = (
        f"`{record['command']}`: {machine['name']} ({machine['cores']} cores, {machine['simd']}, {machine['system']}), "
        f"{record['device']}, threads: {record['threads']}, {record['dtype']}, Python {versions['python']}, "
        f"torch {versions['torch']}, minimodels {versions['minimodels']}, commit {record['commit']}, "
        f"rounds: {min(rounds)} to {max(rounds)}."
    )
    cells = [HEADER, ("---", "---:", "---:", "---:", "---:"), *(row(entry) for entry in record["cases"])]
    table = "\n".join("| " + " | ".join(each) + " |" for each in cells)
    return f"## {record['family']}, {record['dtype']}, {machine['slug']}\n\n{facts}\n\n{table}\n"
