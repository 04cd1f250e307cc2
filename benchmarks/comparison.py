"""What got slower or faster since another run: `--compare` holds new records against stored ones."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.records import load, variant
from benchmarks.tables import milliseconds
from minimodels.errors import InputError

Record = dict[str, Any]
Key = tuple[str, str, str, str]
"""Family, variant, case and mode."""

MORE = 1.1
"""A peak of memory is said to have changed beyond this."""


def stored(place: Path) -> list[Record]:
    """The records of a file, or of a folder and all folders in it.

    Args:
        place: the file or folder.

    Raises:
        InputError: there are none.
    """
    paths = sorted(place.rglob("*.json")) if place.is_dir() else [place]
    if not paths or not paths[0].exists():
        raise InputError(
            f"--compare {place}: there are no records; give a JSON file of this benchmark or their folder."
        )
    return [load(path) for path in paths]


def compare(old: list[Record], new: list[Record]) -> list[str]:
    """A sentence for every case whose times do not overlap from quartile to quartile, and one that counts.

    Another sentence names what needs a tenth more memory than it did, or less.

    Where torch's time moved as ours did, it was the machine that changed, not our code: it stands beside.

    Args:
        old: what to compare with. Records of other machines serve where none is of the same.
        new: what was measured now.
    """
    lines, seen, moved = [], 0, 0
    for record in new:
        before = _entries(_related(old, record))
        for key, entry in _entries([record]).items():
            if key not in before:
                continue
            seen += 1
            if word := _verdict(before[key]["ours"], entry["ours"]):
                moved += 1
                lines.append(f"{word}: {', '.join(key)}: {_change(before[key], entry)}")
            if peaks := _peaks(before[key]["ours"], entry["ours"]):
                lines.append(f"{peaks[0]} memory: {', '.join(key)}: {peaks[1]}")
    others = {r["machine"]["slug"] for r in old} - {r["machine"]["slug"] for r in new}
    same = {r["machine"]["slug"] for r in old} & {r["machine"]["slug"] for r in new}
    note = f" The old times are of another machine, {', '.join(sorted(others))}." if others and not same else ""
    return [*lines, f"{seen} cases compared, {moved} beyond the spread.{note}"]


def _related(old: list[Record], record: Record) -> list[Record]:
    """The old records of the same machine; all if there are none."""
    return [r for r in old if r["machine"]["slug"] == record["machine"]["slug"]] or old


def _entries(records: list[Record]) -> dict[Key, dict[str, Any]]:
    return dict(_beside_torch(records))


def _beside_torch(records: list[Record]) -> Iterator[tuple[Key, dict[str, Any]]]:
    """The entries that have two sides; those of studies have not."""
    for record in records:
        for entry in record["cases"]:
            if "ours" in entry and "reference" in entry:
                yield (record["family"], variant(record), entry["name"], entry["mode"]), entry


def _verdict(before: dict[str, float], after: dict[str, float]) -> str:
    if after["q1"] > before["q3"]:
        return "slower"
    return "faster" if after["q3"] < before["q1"] else ""


def _peaks(before: dict[str, float], after: dict[str, float]) -> tuple[str, str] | None:
    """In which direction our peak of memory has changed, and from what to what."""
    then, now = before.get("peak"), after.get("peak")
    if then is None or now is None or max(then, now) <= MORE * min(then, now):
        return None
    return ("more" if now > then else "less"), f"peak {then / 1e6:.3g} MB, now {now / 1e6:.3g} MB"


def _change(before: dict[str, Any], after: dict[str, Any]) -> str:
    peer = after.get("peer", "torch")
    sides = (f"{name} {_times(before[side], after[side])}" for name, side in (("ours", "ours"), (peer, "reference")))
    return f"{'; '.join(sides)}; ratio {before['ratio']:.2f}, now {after['ratio']:.2f}"


def _times(before: dict[str, float], after: dict[str, float]) -> str:
    percent = 100 * (after["median"] / before["median"] - 1)
    return f"{milliseconds(before)} ms, now {milliseconds(after)} ms, {percent:+.0f} %"
