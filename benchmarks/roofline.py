"""What was reached of what the machine can do: the column of the tables, and the picture of all cases under their roof.

A call has to do its products and to move its operands and results once: the slower of the two, at the rates of
ceilings.py, is the time that it cannot go below.

References: S. Williams et al., "Roofline: an insightful visual performance model for multicore architectures",
Communications of the ACM 52(4), 2009, doi:10.1145/1498765.1498785.
"""

from pathlib import Path
from typing import Any

from benchmarks.records import plain_first, variant
from benchmarks.tables import rate
from minimodels.files import replacing

Record = dict[str, Any]
SIDES = {"ours": ("o", "C0"), "reference": ("x", "#7a8190")}


def speed(entry: dict[str, Any], ceilings: dict[str, Any] | None) -> str:
    """Both sides' rates, ours first, with what they are of the ceiling that is the lower one for this case."""
    rates = [entry.get("flops", 0) / entry[side]["median"] for side in SIDES]
    unit, ceiling = "FLOP/s", ceilings["flops"] if ceilings else None
    if _moves(entry, ceilings):
        rates = [entry["bytes"] / entry[side]["median"] for side in SIDES]
        unit, ceiling = "B/s", ceilings["bytes"] if ceilings else None
    ours, reference = (rate(number, unit) for number in rates)
    if ours.split(" ")[1] == reference.split(" ")[1]:
        ours = ours.split(" ")[0]
    share = f" ({' / '.join(f'{100 * number / ceiling:.0f}' for number in rates)} %)" if ceiling else ""
    return f"{ours} / {reference}{share}"


def _moves(entry: dict[str, Any], ceilings: dict[str, Any] | None) -> bool:
    """Whether memory is what bounds a case; without ceilings, whether there are no products to count."""
    if "flops" not in entry or "bytes" not in entry or ceilings is None:
        return "flops" not in entry
    return bool(entry["bytes"] / ceilings["bytes"] > entry["flops"] / ceilings["flops"])


def points(record: Record, side: str) -> list[tuple[float, float]]:
    """Operations a byte and operations a second, of every case that has both."""
    return [
        (entry["flops"] / entry["bytes"], entry["flops"] / entry[side]["median"])
        for entry in record["cases"]
        if entry.get("flops") and entry.get("bytes") and side in entry
    ]


def drawable(records: list[Record]) -> dict[str, list[Record]]:
    """Records with ceilings and points beneath them, by variant, the plainest first."""
    found: dict[str, list[Record]] = {}
    for record in plain_first(records):
        if "ceilings" in record["machine"] and points(record, "ours"):
            found.setdefault(variant(record), []).append(record)
    return found


def draw(records: list[Record], path: Path) -> None:
    """Draw a machine's roofs, a panel for each variant, and all cases beneath them.

    Args:
        records: of one machine.
        path: the PNG file.
    """
    from matplotlib.figure import Figure

    panels = drawable(records)
    columns, rows = min(2, len(panels)), -(-len(panels) // 2)
    figure = Figure(figsize=(5.2 * columns, 4.2 * rows + 0.2), dpi=150, layout="constrained", facecolor="white")
    places = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).flat
    for (name, here), axes in zip(panels.items(), places, strict=False):
        _panel(axes, here)
        axes.set_title(name, loc="left", fontsize=9)
    for axes in places:
        axes.set_axis_off()
    figure.suptitle(f"{records[0]['machine']['name']}: every case under its roof", x=0.01, ha="left", fontsize=10)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")


def _panel(axes: Any, records: list[Record]) -> None:
    """One variant: a roof for each measurement of the ceilings that differs, and the points of both sides."""
    for side, (marker, colour) in SIDES.items():
        x, y = zip(*(point for record in records for point in points(record, side)), strict=True)
        label = "ours" if side == "ours" else "torch"
        axes.plot(x, y, marker, ms=4, mfc="none", color=colour, label=label, ls="none")
    low, high = min(x), max(x)
    for number, found in enumerate(
        {r["machine"]["ceilings"]["flops"]: r["machine"]["ceilings"] for r in records}.values()
    ):
        corner = found["flops"] / found["bytes"]
        ends = [min(low, corner) / 2, corner, max(high, corner) * 2]
        heights = [min(found["flops"], end * found["bytes"]) for end in ends]
        axes.plot(ends, heights, color="#1f2430", lw=1.2, label=None if number else "measured roof")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("operations a byte that has to be moved", fontsize=9)
    axes.set_ylabel("operations a second", fontsize=9)
    axes.tick_params(labelsize=8)
    axes.grid(color="#e6e8ec", lw=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
