"""The study `scaling`: exponents are those of the points, budgets are kept, everything runs, table and picture too."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import growth, scaling, scaling_chart
from benchmarks.cases import Case, Pair, Setting
from benchmarks.growth import SERIES, Series
from minimodels.inspection.report import can_draw

TINY = Setting(torch.float32, torch.device("cpu"), tiny=True)
ONCE = Namespace(repeats=1)


@pytest.fixture(scope="module")
def entries() -> list[dict[str, Any]]:
    return scaling.run(TINY, ONCE)


@pytest.fixture(scope="module")
def record(entries: list[dict[str, Any]]) -> dict[str, Any]:
    return {"cases": entries, "threads": 1, "dtype": "float32", "machine": {"name": "a machine"}}


def test_every_series_runs_without_and_with_a_backward_pass(entries: list[dict[str, Any]]) -> None:
    assert {(entry["series"], entry["mode"]) for entry in entries if "series" in entry} == {
        (series.name, mode) for series in SERIES for mode in scaling.MODES
    }
    for entry in entries[:-8]:
        assert entry["error"] < 1e-4
        assert entry["ours"]["median"] > 0 < entry["reference"]["peak"]
    assert ["definition" in entry for entry in entries] == [entry.get("axis") == "length" for entry in entries]
    peaks = entries[-8:]
    assert [set(entry["peaks"]) for entry in peaks] == [{"ours", "reference"}] * 8
    assert [entry["name"].endswith(("float32", "bfloat16")[i // 4]) for i, entry in enumerate(peaks)] == [True] * 8


def test_the_table_has_a_line_for_each_series_and_one_for_each_peak(record: dict[str, Any]) -> None:
    lines = scaling.table(record).splitlines()
    assert sum(line.startswith("| conv, image size, forward") for line in lines) == 2
    for kind in ("everything", "causal"):
        assert sum(line.startswith(f"| attention, {kind}: 1x12x8192x64, ") for line in lines) == 4
    assert "Left out" not in scaling.table(record)


@pytest.mark.skipif(not can_draw(), reason="needs matplotlib")
def test_the_picture_is_drawn(record: dict[str, Any], tmp_path: Path) -> None:
    scaling_chart.draw(record, tmp_path / "scaling.png")
    assert (tmp_path / "scaling.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("true", [0.0, 1.0, 2.0, 2.5])
def test_the_exponent_is_that_of_the_upper_half(true: float) -> None:
    places = [1, 2, 4, 8, 16, 32]
    values = [7.0, 7.0, 7.0, *(3 * place**true for place in places[3:])]
    assert scaling.exponent(places, values) == pytest.approx(true)
    assert scaling.exponent([8, 16], [values[0], 2**true * values[0]]) == pytest.approx(true)
    assert scaling.exponent([8], [1.0]) is None
    assert scaling.exponent([8, 16], [0.0, 1.0]) is None


def test_a_point_beyond_the_budget_is_left_out_and_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[int] = []
    pair = Pair(lambda: (torch.ones(1),), lambda: (torch.ones(1),), lambda side: side())

    def cases(place: int) -> list[Case]:
        ran.append(place)
        return [Case("scaling", f"{place} long", mode, lambda setting: pair) for mode in scaling.MODES]

    series = Series("made up", "length", (1, 2, 2_000_000, 4_000_000), 3, (1, 1), cases)
    monkeypatch.setattr(scaling, "SERIES", [series])
    monkeypatch.setattr(scaling, "_peaked", lambda case, setting: {"name": "peak", "mode": case.mode})
    found = scaling.run(Setting(torch.float32, torch.device("cpu")), ONCE)
    forward = [entry for entry in found if entry.get("series") and entry["mode"] == "forward"]
    assert ["omitted" in entry for entry in forward] == [False, False, True, True]
    assert "Left out: made up 2000000: 2000000 long, forward: would take about" in scaling.fits_table(found)
    assert set(ran) == {1, 2, 2_000_000, 4_000_000}


def test_the_definition_leaves_before_its_scores_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    (attention,) = (series for series in SERIES if series.axis == "length")
    pair = attention.cases(256)[0].make(TINY)
    monkeypatch.setattr(growth, "MOST_SCORES", 4 * 5 * 5)
    assert list(attention.others(pair, "forward")) == ["definition"]
    monkeypatch.setattr(growth, "MOST_SCORES", 4 * 5 * 5 - 1)
    assert attention.others(pair, "forward") == {}
