"""A machine in one table and one picture: how fast each family is beside its reference, in each precision and mode."""

import math
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.records import plain_first, variant
from benchmarks.studies import STUDIES
from benchmarks.tables import markdown
from minimodels.files import replacing

Record = dict[str, Any]
Ratios = dict[str, dict[str, list[float]]]
"""By variant, then by family."""

FORWARD = ("forward", "inference")
TICKS = [1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8, 16]


def ratios(records: Iterable[Record], *, forward: bool = False) -> Ratios:
    """The ratios that a machine's records hold.

    Args:
        records: of one machine.
        forward: those of forward passes alone, not those in which the backward pass takes part or nothing passes.

    Returns:
        The ratios by variant, the plainest first, and by family.
    """
    found: Ratios = {}
    for record in plain_first(records):
        study = STUDIES.get(record["family"])
        entries = [] if study and not study.counts else record["cases"]
        kept = [e["ratio"] for e in entries if "ratio" in e and (e["mode"] in FORWARD) == forward]
        if kept:
            found.setdefault(variant(record), {}).setdefault(record["family"], []).extend(kept)
    return found


def mean(values: list[float]) -> float:
    """The geometric mean: half as fast and twice as fast make 1.

    Args:
        values: ratios.
    """
    return math.exp(math.fsum(map(math.log, values)) / len(values))


def table(found: Ratios) -> str:
    """The geometric mean of every family in every variant, with the range of its cases.

    Args:
        found: what `ratios` gave.
    """
    families = sorted({family for here in found.values() for family in here})
    rows = [(family, *(_cell(here.get(family)) for here in found.values())) for family in families]
    return markdown(("family", *found), rows)


def _cell(values: list[float] | None) -> str:
    return "–" if not values else f"{mean(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def draw(machine: str, found: Ratios, path: Path) -> None:
    """Draw a panel for each variant: a point for each case, a bar at the family's mean, a line where both are as fast.

    Args:
        machine: what the processor or the card is called.
        found: what `ratios` gave.
        path: the PNG file.
    """
    from matplotlib.figure import Figure

    families = sorted({family for here in found.values() for family in here})
    size = (1.4 + 3.1 * len(found), 1.3 + 0.3 * len(families))
    figure = Figure(figsize=size, dpi=150, layout="constrained", facecolor="white")
    panels = figure.subplots(1, len(found), squeeze=False, sharey=True, sharex=True)[0]
    for axes, (name, here) in zip(panels, found.items(), strict=True):
        _panel(axes, [here.get(family, []) for family in families])
        axes.set_title(name, loc="left", fontsize=9)
        axes.set_xlabel("the reference's time by ours", fontsize=8)
    low = min(value for here in found.values() for values in here.values() for value in values)
    high = max(value for here in found.values() for values in here.values() for value in values)
    panels[0].set_xlim(min(low, 0.5) / 1.3, max(high, 2.0) * 1.3)
    panels[0].set_yticks(range(len(families)), families)
    panels[0].invert_yaxis()
    words = f"{machine}: right of the line ours is the faster; a point is a case, the bar ends at their geometric mean"
    figure.suptitle(textwrap.fill(words, round(14 * size[0])), x=0.01, ha="left", fontsize=9)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")


def _panel(axes: Any, columns: list[list[float]]) -> None:
    """One variant, a line for each family."""
    for place, values in enumerate(columns):
        if values:
            middle = mean(values)
            colour = "C0" if middle >= 1 else "C1"
            axes.barh(place, middle - 1, left=1, height=0.62, color=colour, alpha=0.35)
            axes.plot(values, [place] * len(values), "o", ms=3.2, mfc="none", mew=0.9, color=colour)
            axes.plot([middle], [place], "|", ms=13, mew=2, color=colour)
    axes.axvline(1, color="#1f2430", lw=1)
    axes.set_xscale("log")
    axes.set_xticks(TICKS, [f"1/{round(1 / tick)}" if tick < 1 else f"{tick}" for tick in TICKS])
    axes.set_xticks([], minor=True)
    axes.tick_params(labelsize=8)
    axes.grid(axis="x", color="#e6e8ec", lw=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
