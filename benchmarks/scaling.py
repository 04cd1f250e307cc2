"""The study `scaling`: time and memory as the work grows, how fast they grow, and how fast the equations say they do.

A line is a layer of which one size grows, which growth.py describes. Each point is compared before it is timed, its
peak of memory is taken, and the exponents are fitted over the upper half of the line, where what a call costs by itself
weighs least. A point that would take longer than its budget is left out, and the record says so.

Beside them stand the peaks of attention over a long text, in bfloat16 as well, as PyTorch's allocator has them. What
the system says of a process is no measure of that: its first call fetches code from the disk (50 MB of torch's kernel,
beside 67), memory that was let go before is used again unseen, and programs that oneDNN makes in a call stay.
"""

import itertools
import math
import statistics
import time
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from benchmarks import memory, scaling_chart
from benchmarks.cases import Case, Entries, Outputs, Setting, Study
from benchmarks.checking import check
from benchmarks.clocks import HostClock, clock, ratios, spread
from benchmarks.growth import SERIES, Series, peaked
from benchmarks.scaling_chart import MODES, NAMES, SIDES, lines
from benchmarks.tables import markdown, milliseconds

Entry = dict[str, Any]

BUDGET = 45.0
"""Seconds that all sides of a point may take together, by what the point before took and the exponent of the growth."""

ROUNDS_SECONDS = 0.4
"""No further round begins after so many seconds."""

EXPLANATION = (
    f"A point may take {BUDGET:.0f} seconds, all sides and calls together. An exponent e says that so many times the "
    "size take as many times to the power of e as long, or as much memory: fitted by least squares on logarithms "
    "over the upper half of the sizes, ours / torch's, and beside them the one of the layer's equations. Small sizes "
    "grow more slowly than that, as a call costs something by itself, and an algorithm may be better than the "
    "equation. Times and peaks of memory are those of the largest size."
)


def run(setting: Setting, options: Namespace) -> Entries:
    """Measure all series, and print a line for each point."""
    entries: Entries = []
    for series, mode in itertools.product(SERIES, MODES):
        places = series.places[:2] if setting.tiny else series.places
        before: tuple[int, float] | None = None
        for place in places:
            start, case = time.perf_counter(), series.cases(place)[MODES.index(mode)]
            entry = _about(series, place, case)
            expected = before[1] * (place / before[0]) ** series.time if before else 0.0
            if expected > BUDGET:
                entry["omitted"] = f"would take about {expected:.0f} s, and a point has {BUDGET:.0f} s"
            else:
                entry |= _point(series, case, setting, options.repeats)
                before = place, time.perf_counter() - start
            entries.append(entry)
            print(_said(entry), flush=True)
    precisions = [replace(setting, dtype=dtype) for dtype in dict.fromkeys((setting.dtype, torch.bfloat16))]
    entries += [_peaked(case, precision) for precision, case in itertools.product(precisions, peaked())]
    print("\n" + fits_table(entries) + "\n\n" + peaks_table(entries))
    return entries


def _about(series: Series, place: int, case: Case) -> Entry:
    theory = {"time": series.time, "memory": series.memory[MODES.index(case.mode)]}
    names = {"series": series.name, "axis": series.axis, "place": place, "theory": theory}
    return {**names, "name": f"{series.name} {place}: {case.name}", "mode": case.mode}


def _point(series: Series, case: Case, setting: Setting, repeats: int) -> Entry:
    """Compare, take the peaks of memory, then time in turns."""
    torch.manual_seed(0)
    pair = case.make(setting)
    works = {"ours": pair.ours, "reference": pair.reference, **series.others(pair, case.mode)}
    results, peaks = {}, {}
    for side, work in works.items():
        results[side], peaks[side] = _watched(work, setting)
    errors = check(case, setting, results["ours"], results["reference"])
    results.clear()
    clocks = {side: clock(work, setting.device) for side, work in works.items()}
    rounds = _in_turns(clocks, repeats)
    times = {side: watch.times for side, watch in clocks.items()}
    return {
        **errors,
        "rounds": rounds,
        **{side: spread(seconds) | _known(peaks[side]) for side, seconds in times.items()},
        **ratios(times["ours"], times["reference"]),
    }


def _watched(work: Callable[[], Outputs], setting: Setting) -> tuple[Outputs, int | None]:
    """What a call gives, and the peak of its memory."""
    kept: list[Outputs] = []
    most = memory.peak(lambda: kept.append(work()), setting.device)
    return (kept or [work()])[0], most


def _known(peak: int | None) -> dict[str, int]:
    return {} if peak is None else {"peak": peak}


def _in_turns(clocks: dict[str, HostClock], repeats: int) -> int:
    """Time everyone once a round, each round from another one on; one round is always had."""
    start, rounds, order = time.perf_counter(), 0, list(clocks.values())
    while rounds == 0 or (rounds < repeats and time.perf_counter() - start < ROUNDS_SECONDS):
        first = rounds % len(order)
        for watch in order[first:] + order[:first]:
            watch.sample()
        rounds += 1
    return rounds


def _peaked(case: Case, setting: Setting) -> Entry:
    """The peak of memory of attention over a long text."""
    torch.manual_seed(0)
    pair = case.make(setting)
    (ours, most), (reference, least) = (_watched(work, setting) for work in (pair.ours, pair.reference))
    errors = check(case, setting, ours, reference)
    name = f"attention, {case.name}, {str(setting.dtype).removeprefix('torch.')}"
    return {"name": name, "mode": case.mode, **errors, "peaks": {"ours": most, "reference": least}}


def _said(entry: Entry) -> str:
    """A point as a line in the terminal."""
    title = f"{entry['name']}, {entry['mode']}: "
    if "omitted" in entry:
        return f"{title}left out: {entry['omitted']}"
    sides = (f"{NAMES[side]} {milliseconds(entry[side])} ms{_megabytes(entry[side])}" for side in _sides(entry))
    return title + "; ".join(sides)


def _megabytes(side: Entry) -> str:
    return f", {side['peak'] / 1e6:.3g} MB" if "peak" in side else ""


def _sides(entry: Entry) -> list[str]:
    return [side for side in SIDES if side in entry]


def exponent(places: list[int], values: list[float]) -> float | None:
    """The exponent e of values that grow as place to the power of e, over the upper half of the places.

    Args:
        places: in rising order.
        values: positive; else, and for a single place, there is no exponent.
    """
    first = len(places) // 2 if len(places) > 2 else 0
    x, y = [math.log(place) for place in places[first:]], values[first:]
    if len(x) < 2 or min(y) <= 0:
        return None
    return statistics.linear_regression(x, [math.log(value) for value in y]).slope


def fits_table(entries: Entries) -> str:
    """The exponents of all series, and what the largest sizes took."""
    header = ("what grows", "from", "to", "time", "equation", "memory", "equation", "ours, ms", "torch, ms", "ratio")
    rows = []
    for (series, mode), points in lines(entries).items():
        last, theory = points[-1], points[-1]["theory"]
        row = [f"{series}, {mode}", *(f"{points[place]['place']:,}" for place in (0, -1))]
        row += [_fitted(points, "median"), f"{theory['time']:g}", _fitted(points, "peak"), f"{theory['memory']:g}"]
        row += [*(milliseconds(last[side]) for side in SIDES[:2]), f"{last['ratio']:.2f}", _both(last)]
        rows.append(tuple(row))
    left = [f"{entry['name']}, {entry['mode']}: {entry['omitted']}." for entry in entries if "omitted" in entry]
    return "\n\n".join([markdown((*header, "peak, MB"), rows), *(["Left out: " + " ".join(left)] if left else [])])


def _fitted(points: Entries, key: str) -> str:
    """The exponents of ours / torch's, and where it took part the definition's."""
    cells = []
    for side in SIDES:
        here = [point for point in points if key in point.get(side, ())]
        found = exponent([point["place"] for point in here], [point[side][key] for point in here])
        if side != "definition":
            cells.append("–" if found is None else f"{found:.2f}")
        elif found is not None:
            cells.append(f"definition {found:.2f}")
    return " / ".join(cells)


def _both(entry: Entry) -> str:
    peaks = [entry[side].get("peak") for side in SIDES[:2]]
    return "–" if None in peaks else " / ".join(f"{peak / 1e6:.3g}" for peak in peaks)


def peaks_table(entries: Entries) -> str:
    """What attention over a long text needs, beside torch's fused kernel."""
    rows = []
    for entry in entries:
        ours, reference = (entry.get("peaks", {}).get(side) for side in SIDES[:2])
        if ours and reference:
            cells = (f"{ours / 1e6:.4g}", f"{reference / 1e6:.4g}", f"{ours / reference:.2f}")
            rows.append((f"{entry['name']}, {entry['mode']}", *cells))
    return markdown(("peak of memory", "ours, MB", "torch's fused kernel, MB", "ours by torch's"), rows)


def table(record: Entry) -> str:
    """A record's section."""
    return f"{EXPLANATION}\n\n{fits_table(record['cases'])}\n\n{peaks_table(record['cases'])}"


STUDY = Study(run, table, scaling_chart.draw)
