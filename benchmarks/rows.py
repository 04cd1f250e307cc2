"""One case as a line of a table: its columns, and what stands in each."""

from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.cases import Setting
from benchmarks.roofline import speed
from benchmarks.tables import milliseconds, ratio

Entry = dict[str, Any]
Ceilings = dict[str, Any] | None

COLUMNS: dict[str, tuple[str, Callable[[Entry, Ceilings], str]]] = {
    "ours, ms": ("ours", lambda entry, _: _time(entry, "ours")),
    "torch, ms": ("reference", lambda entry, _: _time(entry, "reference")),
    "ratio": ("ratio", lambda entry, _: ratio(entry)),
    "host, ms": ("waited", lambda entry, _: _both(entry, lambda side: f"{1e3 * side['waited']['median']:.3f}")),
    "reached": ("bytes", speed),
    "peak, MB": ("peak", lambda entry, _: _both(entry, lambda side: f"{side['peak'] / 1e6:.3g}")),
    "error": ("error", lambda entry, _: error(entry)),
}
"""Each with what an entry, or its side `ours`, must have for it."""

ALWAYS = ("ours, ms", "torch, ms", "ratio", "error")


def columns(entries: Iterable[Entry]) -> tuple[str, ...]:
    """The columns for which there are numbers: older records know less, and a processor tells less than a card."""
    known = [{*entry, *entry.get("ours", ())} for entry in entries]
    return tuple(name for name, (key, _) in COLUMNS.items() if name in ALWAYS or any(key in keys for keys in known))


def row(entry: Entry, names: tuple[str, ...] = ALWAYS, ceilings: Ceilings = None) -> tuple[str, ...]:
    """One case as the cells of a table; what failed says why."""
    title = f"{entry['name']}, {entry['mode']}"
    if why := unmeasured(entry):
        return title, why, *["–"] * (len(names) - 1)
    known = {*entry, *entry["ours"]}
    return title, *(COLUMNS[name][1](entry, ceilings) if COLUMNS[name][0] in known else "–" for name in names)


def unmeasured(entry: Entry) -> str:
    """Why there are no numbers of a case; empty where there are."""
    for key, word in (("failed", "failed"), ("omitted", "left out")):
        if key in entry:
            return f"{word}: {entry[key]}".replace("|", "/")
    return ""


def _time(entry: Entry, side: str) -> str:
    """A time; ≤ where the card waited for the host at times."""
    return ("≤ " if entry[side].get("ahead", 1) < AHEAD else "") + milliseconds(entry[side])


AHEAD = 0.5
"""A time on a card is called exact if in so many of the samples the host was ahead."""


def _both(entry: Entry, show: Callable[[Entry], str]) -> str:
    return f"{show(entry['ours'])} / {show(entry['reference'])}"


def error(entry: Entry) -> str:
    """How far ours is off, and the reference where either was held against the truth."""
    against = f" / {entry['reference_error']:.0e}" if "reference_error" in entry else ""
    return f"{entry['error']:.0e}{against}"


def expected(setting: Setting) -> tuple[str, ...]:
    """The columns of a table that is printed while it is measured."""
    lacking = {"cuda": (), "cpu": ("host, ms",)}.get(setting.device.type, ("host, ms", "peak, MB"))
    return tuple(name for name in COLUMNS if name not in lacking)
