"""results/README.md from the stored records of all families."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import roofline, summary
from benchmarks.records import load, naming, variant
from benchmarks.rows import columns, row
from benchmarks.studies import STUDIES
from benchmarks.tables import facts, markdown
from minimodels.files import replacing, write_json
from minimodels.inspection.report import can_draw

Record = dict[str, Any]


def save(record: Record, folder: Path) -> Path:
    """Store a record under its machine's name, and write the folder's README.md anew.

    Args:
        record: what `records.record` gave.
        folder: the folder of all results.

    Returns:
        The file.
    """
    study = STUDIES.get(record["family"])
    usual = (record["device"], record["dtype"]) in {("cpu", "float32"), ("cuda", "float32")} or (study and study.dtypes)
    words = [record["family"], *([] if usual else [record["dtype"]])]
    words += ["tf32"] * record["tf32"] + ["compiled"] * (record["mode"] == "compiled")
    path = folder / record["machine"]["slug"] / f"{'-'.join(words)}.json"
    write_json(path, record)
    write_readme(folder)
    return path


def write_readme(folder: Path) -> None:
    """Write README.md from the records in a folder, and draw their pictures.

    Args:
        folder: the folder of all results.

    Raises:
        InputError: a file there is not a record.
    """
    parts = [INTRODUCTION]
    for machine in sorted({path.parent for path in folder.glob("*/*.json")}):
        records = {path: load(path) for path in sorted(machine.glob("*.json"))}
        parts += _summary(list(records.values()), machine)
        parts += _roofs(list(records.values()), machine)
        for path, record in records.items():
            with naming(path):
                parts.append(_section(record, path.with_suffix(".png")))
            if draw := _drawn(record):
                draw(record, path.with_suffix(".png"))
    with replacing(folder / "README.md") as temporary:
        temporary.write_text("\n".join(parts), encoding="utf-8")


INTRODUCTION = """# Results

Written by `python -m benchmarks`, and anew by `python -m benchmarks --report`; do not edit.

Both sides run in one process on the same inputs and weights, in turn, and their results are compared before anything
is timed. A time is the median over the rounds, with the quartiles in brackets; the ratio is torch's time divided by
ours, so that above 1 ours is the faster, with the quartiles of the ratio of single rounds; "unsteady" where that of the
medians is a tenth off the median of the rounds, as something else was running; the error is the largest difference,
relative to the largest element of torch's result. In 16-bit numbers and TF32 both sides round: there the error is ours
/ torch's, against torch's result in float32 from the same numbers.

"Reached" is ours / torch's rate, in operations of the products (two a multiply-add, three times as many with the
backward pass) or in bytes (operands read once, results written once), whichever bounds the case on this machine, and
what that is of the rate at which the machine multiplies matrices or copies memory, as measured in the same run. More
than 100 % of the memory's rate is the cache's doing.

The peak is of memory, ours / torch's, beyond inputs and weights, in one call: what PyTorch's allocator had given out.

On a processor `torch.utils.benchmark` measures. On a graphics card the time is the card's own, between two events in a
queue that the host has filled, over as many sets of inputs and weights in turn as fill its cache four times (64 at
most); "host" is what the host waits for a call in a row of them, launches included, and ≤ marks times in which the card
waited for the host, because a call has more launches than the queue holds.

Each machine begins with a summary: the geometric mean of a family's ratios, with the smallest and the largest of them,
in a column for each precision and mode; once of what is timed with its backward pass (and of optimisers, and of whole
programs), once of forward passes alone.
"""


def _summary(records: list[Record], machine: Path) -> list[str]:
    """A machine's heading, the tables of its families, and their picture."""
    whole, forward = summary.ratios(records), summary.ratios(records, forward=True)
    if not whole:
        return []
    picture = machine / "ratios.png"
    if can_draw():
        summary.draw(records[0]["machine"]["name"], whole, picture)
    parts = [f"## {machine.name}", "Forward + backward:", summary.table(whole)]
    parts += ["Forward:", summary.table(forward)] if forward else []
    parts += [f"![ratios]({machine.name}/{picture.name})"] if picture.exists() else []
    return ["\n\n".join(parts) + "\n"]


def _roofs(records: list[Record], machine: Path) -> list[str]:
    """The picture of a machine's cases under its roofs, where operations and ceilings are known."""
    picture = machine / "roofline.png"
    if not roofline.drawable(records):
        return []
    if can_draw():
        roofline.draw(records, picture)
    return [f"![rooflines]({machine.name}/{picture.name})\n"] if picture.exists() else []


def _section(record: Record, picture: Path) -> str:
    """One run: its heading, its facts, its picture if it has one, its table."""
    study = STUDIES.get(record["family"])
    parts = [f"## {record['family']}, {variant(record)}, {record['machine']['slug']}", facts(record)]
    if _drawn(record) or picture.exists():
        parts.append(f"![{record['family']}]({picture.parent.name}/{picture.name})")
    parts.append(study.table(record) if study else _table(record))
    return "\n\n".join(parts) + "\n"


def _table(record: Record) -> str:
    names, ceilings = columns(record["cases"]), record["machine"].get("ceilings")
    return markdown(("case", *names), (row(entry, names, ceilings) for entry in record["cases"]))


def _drawn(record: Record) -> Callable[[Record, Path], None] | None:
    """What draws a record's picture; without matplotlib nothing does, and one that is there stays."""
    study = STUDIES.get(record["family"])
    return study.draw if study and can_draw() else None
