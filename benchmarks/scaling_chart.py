"""The picture of the study `scaling`: every series in two panels, time and memory."""

import itertools
from pathlib import Path
from typing import Any

from benchmarks.cases import Entries
from minimodels.files import replacing

MODES = ("forward", "forward + backward")
SIDES = ("ours", "reference", "definition")
NAMES = {"ours": "ours", "reference": "torch", "definition": "definition"}


def lines(entries: Entries) -> dict[tuple[str, str], Entries]:
    """The points of each series and mode that were measured."""
    found: dict[tuple[str, str], Entries] = {}
    for entry in entries:
        if "series" in entry and "ours" in entry:
            found.setdefault((entry["series"], entry["mode"]), []).append(entry)
    return found


def draw(record: dict[str, Any], path: Path) -> None:
    """Draw every series in two panels, time and memory, all axes logarithmic."""
    from matplotlib.figure import Figure

    found = lines(record["cases"])
    series = list(dict.fromkeys(name for name, _ in found))
    rows = -(-len(series) // 2)
    figure = Figure(figsize=(14, 2.9 * rows), dpi=130, layout="constrained", facecolor="white")
    axes = figure.subplots(rows, 4, squeeze=False)
    panels = [pair for row in axes for pair in (row[:2], row[2:])]
    for pair in panels[len(series) :]:
        for empty in pair:
            empty.set_visible(False)
    for pair, name in zip(panels, series, strict=False):
        for panel, key, theory in zip(pair, ("median", "peak"), ("time", "memory"), strict=True):
            _panel(panel, {mode: found[name, mode] for mode in MODES if (name, mode) in found}, key, theory)
        pair[0].set_title(name, loc="left", fontsize=10)
    handles = {
        label: handle for panel in axes.flat for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    threads = f"{record['threads']} thread{'s' * (record['threads'] > 1)}"
    figure.suptitle(f"{record['machine']['name']}, {threads}, {record['dtype']}", x=0.01, ha="left", fontsize=10)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")


def _panel(axes: Any, modes: dict[str, Entries], key: str, theory: str) -> None:
    """One series: a line for each side and mode, and the slope that the equations have."""
    colours = {"ours": "C0", "reference": "#7a8190", "definition": "C1"}
    unit, word = (1e3, "time, ms") if key == "median" else (1e-6, "peak of memory, MB")
    for (mode, points), side in itertools.product(modes.items(), SIDES):
        here = [(point["place"], unit * point[side][key]) for point in points if key in point.get(side, ())]
        if here:
            style = "-" if mode == MODES[1] else ":"
            label = f"{NAMES[side]}, {mode}"
            axes.plot(*zip(*here, strict=True), style, marker="o", ms=3, lw=1.5, color=colours[side], label=label)
    points = next(iter(modes.values()))
    places = [point["place"] for point in points]
    values = [unit * point["ours"][key] for point in points if key in point["ours"]]
    if values and values[-1] > 0:
        guide = [2 * values[-1] * (place / places[-1]) ** points[0]["theory"][theory] for place in places]
        axes.plot(places, guide, color="#c9ced6", lw=4, alpha=0.6, zorder=0, label="slope of the equation")
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(places, [f"{place:,}" for place in places], rotation=30 if max(places) > 4096 else 0)
    axes.set_xticks([], minor=True)
    axes.set_xlabel(points[0]["axis"], fontsize=8)
    axes.set_ylabel(word, fontsize=8)
    axes.tick_params(labelsize=7, which="both")
    axes.grid(color="#e6e8ec", lw=0.8)
    axes.spines[["top", "right"]].set_visible(False)
