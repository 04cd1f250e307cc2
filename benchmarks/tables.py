"""What every table is made of: a time with its spread, a line in the terminal, rows in Markdown, the facts of a run."""

from collections.abc import Iterable
from typing import Any


def milliseconds(spread: dict[str, float]) -> str:
    """A median with its quartiles, from seconds."""
    low, middle, high = (1e3 * spread[key] for key in ("q1", "median", "q3"))
    digits = 3 if middle < 1 else 2 if middle < 100 else 0
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def line(cells: tuple[str, ...]) -> str:
    """Cells under each other in the terminal."""
    return f"{cells[0]:<58}" + "".join(f"{cell:>26}" for cell in cells[1:-1]) + f"{cells[-1]:>9}"


def markdown(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table whose first column is words and whose others are numbers."""
    rule = ("---", *["---:"] * (len(header) - 1))
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, rule, *rows))


def facts(record: dict[str, Any]) -> str:
    """The command of a run, and everything that its numbers belong to."""
    machine, versions = record["machine"], record["versions"]
    rounds = [entry["rounds"] for entry in record["cases"] if "rounds" in entry]
    return (
        f"`{record['command']}`: {machine['name']} ({machine['cores']} cores, {machine['simd']}, {machine['system']}), "
        f"{record['device']}, threads: {record['threads']}, {record['dtype']}, Python {versions['python']}, "
        f"torch {versions['torch']}, minimodels {versions['minimodels']}, commit {record['commit']}"
        + (f", rounds: {min(rounds)} to {max(rounds)}." if rounds else ".")
    )
