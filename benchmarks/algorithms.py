"""The study `algorithms`: the classical algorithms of one operation against each other, and torch beside them.

Every algorithm is compared with the definition in float64 before anything is timed; how far it is off in float32 and in
bfloat16 is part of the result. Which operations take part is said in contests.py.
"""

import itertools
import statistics
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.cases import Entries, Outputs, Setting, Study
from benchmarks.checking import MismatchError, tolerance
from benchmarks.clocks import in_turns, spread
from benchmarks.contests import CONTESTS, Contest
from benchmarks.tables import markdown, milliseconds
from minimodels.files import replacing

MODES = ("forward", "forward + backward")
ERRORS = (torch.float32, torch.bfloat16)
ABREAST = 3
"""Panels side by side in the chart: as many as a page is wide."""


def run(setting: Setting, options: Namespace) -> Entries:
    """Hold all contests, forward and with the backward pass, and print a line for each."""
    entries = []
    for contest, mode in itertools.product(CONTESTS, MODES):
        entries.append(_hold(contest, mode, setting, options.repeats))
        print(f"{contest.name}, {mode}: " + ", ".join(_cells(entries[-1])), flush=True)
    print("\n" + _errors_table(entries))
    return entries


def _hold(contest: Contest, mode: str, setting: Setting, repeats: int) -> dict[str, Any]:
    """Compare, then time in turns: one contest in one mode."""
    torch.manual_seed(0)
    operands = contest.make(setting)
    errors = {str(dtype).removeprefix("torch."): _errors(contest, mode, operands, dtype) for dtype in ERRORS}
    for name, error in _errors(contest, mode, operands, setting.dtype).items():
        if not error <= tolerance(setting):
            raise MismatchError(f"{contest.name}, {mode}: {name} is {error:.1e} off the definition; nothing was timed.")
    times = in_turns({name: _work(f, mode, operands) for name, f in contest.entrants.items()}, repeats)
    ours = {name: statistics.median(seconds) for name, seconds in times.items() if name != "torch"}
    return {
        "operation": contest.operation,
        "sweep": contest.sweep,
        "axis": contest.axis,
        "place": contest.place,
        "name": contest.name,
        "mode": mode,
        "rounds": len(times["torch"]),
        "times": {name: spread(seconds) for name, seconds in times.items()},
        "fastest": min(ours, key=lambda name: ours[name]),
        "chosen": contest.chosen(*(operand.clone().requires_grad_(mode == MODES[1]) for operand in operands)),
        "errors": errors,
    }


def _work(f: Callable[..., Tensor], mode: str, operands: tuple[Tensor, ...]) -> Callable[[], Outputs]:
    """What is timed and compared: the output, and its gradients by all operands."""
    if mode == "forward":

        def forward() -> Outputs:
            with torch.no_grad():
                return (f(*operands),)

        return forward
    leaves = [operand.clone().requires_grad_() for operand in operands]
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        shape = f(*operands).shape
    upstream = torch.randn(shape, generator=generator).to(operands[0])

    def both() -> Outputs:
        output = f(*leaves)
        return (output.detach(), *torch.autograd.grad(output, leaves, upstream))

    return both


def _errors(contest: Contest, mode: str, operands: tuple[Tensor, ...], dtype: torch.dtype) -> dict[str, float]:
    """How far everyone is off the definition in float64, relative to the largest element, on operands of one dtype."""
    operands = tuple(operand.to(dtype) for operand in operands)
    exact = _work(contest.exact, mode, tuple(operand.double() for operand in operands))()
    return {
        name: max(
            float((a.double() - b).abs().max() / b.abs().max())
            for a, b in zip(_work(f, mode, operands)(), exact, strict=True)
        )
        for name, f in contest.entrants.items()
    }


def _cells(entry: dict[str, Any]) -> list[str]:
    """Everyone's time in one contest."""
    return [f"{name} {milliseconds(times)}" for name, times in entry["times"].items()]


def table(record: dict[str, Any]) -> str:
    """The times, the fastest of ours in bold and a star at what is chosen; then the largest errors."""
    entries = record["cases"]
    names = list(dict.fromkeys(name for entry in entries for name in entry["times"]))
    rows = []
    for entry in entries:
        cells = []
        for name in names:
            cell = milliseconds(entry["times"][name]) if name in entry["times"] else "–"
            cell = f"**{cell}**" if name == entry["fastest"] else cell
            cells.append(cell + " *" if name == entry["chosen"] else cell)
        rows.append((f"{entry['name']}, {entry['mode']}", *cells))
    return (
        "Milliseconds. Bold is the fastest of ours, * the one that is chosen by itself.\n\n"
        f"{markdown(('contest', *names), rows)}\n\n{_errors_table(entries)}"
    )


def _errors_table(entries: Entries) -> str:
    """The largest error of everyone over all contests, against the definition in float64."""
    dtypes = list(entries[0]["errors"])
    names = dict.fromkeys(name for entry in entries for name in entry["times"])
    rows = [
        (name, *(f"{max(e['errors'][dtype].get(name, 0.0) for e in entries):.0e}" for dtype in dtypes))
        for name in names
    ]
    return "Largest error, relative to the largest element of the definition in float64.\n\n" + markdown(
        ("algorithm", *dtypes), rows
    )


def draw(record: dict[str, Any], path: Path) -> None:
    """Draw everyone's speed as a part of torch's, a panel for each sweep and mode, a ring around what is chosen.

    Args:
        record: what `run` gave.
        path: the PNG file.
    """
    from matplotlib.figure import Figure

    entries = record["cases"]
    sweeps = list(dict.fromkeys(entry["sweep"] for entry in entries))
    names = [name for name in dict.fromkeys(n for e in entries for n in e["times"]) if name != "torch"]
    columns = min(ABREAST, len(sweeps))
    rows = -(-len(sweeps) // columns) * len(MODES)
    figure = Figure(figsize=(3.7 * columns, 2.9 * rows + 1), dpi=150, layout="constrained", facecolor="white")
    axes = figure.subplots(rows, columns, squeeze=False, sharey="row")
    for spare in axes.flat[len(sweeps) * len(MODES) :]:
        spare.set_axis_off()
    for (number, sweep), (below, mode) in itertools.product(enumerate(sweeps), enumerate(MODES)):
        here = [entry for entry in entries if (entry["sweep"], entry["mode"]) == (sweep, mode)]
        panel = axes[number // columns * len(MODES) + below][number % columns]
        _panel(panel, here, names)
        panel.set_title(f"{sweep}\n{mode}", loc="left", fontsize=9)
        if number % columns == 0:
            panel.set_ylabel("speed, torch = 1", fontsize=9)
    handles = {label: handle for a in axes.flat for handle, label in zip(*a.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=6, frameon=False)
    machine = record["machine"]
    threads = f"{record['threads']} thread{'s' * (record['threads'] > 1)}"
    words = (
        f"{machine['name']}, {threads}, {record['dtype']}: above the dashed line is faster, a ring is what is chosen"
    )
    figure.suptitle(words, x=0.01, ha="left")
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")


def _panel(axes: Any, entries: Entries, names: list[str]) -> None:
    """One sweep in one mode; a ring around what is chosen by itself."""
    places = [entry["place"] for entry in entries]
    for number, name in enumerate(names):
        points = [
            (e["place"], e["times"]["torch"]["median"] / e["times"][name]["median"], e["chosen"] == name)
            for e in entries
            if name in e["times"]
        ]
        if points:
            x, y, _ = zip(*points, strict=True)
            axes.plot(x, y, marker="o", ms=4, lw=1.6, color=f"C{number}", label=name)
        rings = [(x, y) for x, y, chosen in points if chosen]
        if rings:
            axes.plot(*zip(*rings, strict=True), "o", ms=9, mfc="none", mec=f"C{number}")
    axes.axhline(1, color="#7a8190", ls="--", lw=1, label="torch")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(places, [str(place) for place in places])
    axes.set_xticks([], minor=True)
    axes.set_yticks([0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5], ["1/50", "1/20", "1/10", "1/5", "1/2", "1", "2", "5"])
    axes.set_yticks([], minor=True)
    axes.set_xlabel(entries[0]["axis"], fontsize=9)
    axes.tick_params(labelsize=8)
    axes.grid(color="#e6e8ec", lw=0.8)
    axes.spines[["top", "right"]].set_visible(False)


STUDY = Study(run, table, draw)
