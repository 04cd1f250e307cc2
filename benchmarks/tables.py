"""What every table is made of: a time with its spread, a line in the terminal, rows in Markdown, the facts of a run."""

import math
from collections.abc import Iterable
from typing import Any

AGREEING = 0.1
"""How far the logarithms of the ratio of medians and of the median of ratios may be apart."""


def milliseconds(spread: dict[str, float]) -> str:
    """A median with its quartiles, from seconds."""
    low, middle, high = (1e3 * spread[key] for key in ("q1", "median", "q3"))
    digits = 3 if middle < 1 else 2 if middle < 100 else 0
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def ratio(entry: dict[str, Any]) -> str:
    """The reference's time by ours, with the quartiles of single rounds, and a word where the two disagree."""
    rounds = entry["ratio_of_rounds"]
    unsteady = abs(math.log(entry["ratio"] / rounds["median"])) > AGREEING
    return f"{entry['ratio']:.2f} ({rounds['q1']:.2f} to {rounds['q3']:.2f}{', unsteady' if unsteady else ''})"


def sentence(header: tuple[str, ...], cells: tuple[str, ...]) -> str:
    """A row in the terminal: what it is of, then every cell behind its name."""
    named = (f"{name} {cell}" for name, cell in zip(header[1:], cells[1:], strict=True))
    return f"{cells[0]}: {', '.join(named)}"


def line(cells: tuple[str, ...]) -> str:
    """Cells under each other in the terminal."""
    return f"{cells[0]:<58}" + "".join(f"  {cell:>24}" for cell in cells[1:-1]) + f"  {cells[-1]:>13}"


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
        + _card(machine.get("card"))
        + _ceilings(machine.get("ceilings"))
    )


def _card(card: dict[str, Any] | None) -> str:
    if card is None:
        return ""
    return (
        f" The card has {card['multiprocessors']} multiprocessors, {card['memory'] / 2**30:.0f} GiB and a cache of "
        f"{card['cache'] / 2**20:.0f} MiB; CUDA {card['cuda']}."
    )


def _ceilings(found: dict[str, Any] | None) -> str:
    if found is None:
        return ""
    return (
        f" It multiplies matrices, {found['product']}, at {rate(found['flops'], 'FLOP/s')} and copies memory at "
        f"{rate(found['bytes'], 'B/s')}, read and written."
    )


def rate(number: float, unit: str) -> str:
    """A number a second with three digits, in thousands, millions, ..."""
    for prefix in ("", "k", "M", "G"):
        if number < 999.5:
            return f"{number:.3g} {prefix}{unit}"
        number /= 1e3
    return f"{number:.3g} T{unit}" if number < 999.5 else f"{number:.0f} T{unit}"
