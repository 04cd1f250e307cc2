"""The table of cases beside torch, and results/README.md from the stored records of all families."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.studies import STUDIES
from benchmarks.tables import facts, markdown, milliseconds
from minimodels.errors import InputError
from minimodels.files import replacing, write_json
from minimodels.inspection.report import can_draw

HEADER = ("case", "ours, ms", "torch, ms", "ratio", "error")


def row(entry: dict[str, Any]) -> tuple[str, ...]:
    """One case as the cells of a table."""
    ratio = entry["ratio_of_rounds"]
    return (
        f"{entry['name']}, {entry['mode']}",
        milliseconds(entry["ours"]),
        milliseconds(entry["reference"]),
        f"{entry['ratio']:.2f} ({ratio['q1']:.2f} to {ratio['q3']:.2f})",
        f"{entry['error']:.0e}",
    )


def save(record: dict[str, Any], folder: Path) -> Path:
    """Store a record under its machine's name, and write the folder's README.md anew.

    Args:
        record: what `run.record` gave.
        folder: the folder of all results.

    Returns:
        The file.
    """
    study = STUDIES.get(record["family"])
    usual = (record["device"], record["dtype"]) in {("cpu", "float32"), ("cuda", "float32")} or (study and study.dtypes)
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
            record = json.loads(path.read_text(encoding="utf-8"))
            parts.append(_section(record, path.with_suffix(".png")))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{path} is not a record of this benchmark ({error}); remove it or run it anew."
            ) from error
        if draw := _drawn(record):
            draw(record, path.with_suffix(".png"))
    with replacing(folder / "README.md") as temporary:
        temporary.write_text("\n".join(parts), encoding="utf-8")


INTRODUCTION = """# Results

Written by `python -m benchmarks`, and anew by `python -m benchmarks --report`; do not edit.

Both sides run in one process on the same inputs and weights, in turn, and their results are compared before anything
is timed. A time is the median over the rounds, with the quartiles in brackets; the ratio is torch's time divided by
ours, so that above 1 ours is the faster, with the quartiles of the ratio of single rounds; the error is the largest
difference, relative to the largest element of torch's result.
"""


def _section(record: dict[str, Any], picture: Path) -> str:
    """One run: its heading, its facts, its picture if it has one, its table."""
    study = STUDIES.get(record["family"])
    parts = [f"## {record['family']}, {record['dtype']}, {record['machine']['slug']}", facts(record)]
    if _drawn(record) or picture.exists():
        parts.append(f"![{record['family']}]({picture.parent.name}/{picture.name})")
    parts.append(study.table(record) if study else markdown(HEADER, map(row, record["cases"])))
    return "\n\n".join(parts) + "\n"


def _drawn(record: dict[str, Any]) -> Callable[[dict[str, Any], Path], None] | None:
    """What draws a record's picture; without matplotlib nothing does, and one that is there stays."""
    study = STUDIES.get(record["family"])
    return study.draw if study and can_draw() else None
