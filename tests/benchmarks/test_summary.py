"""A machine's summary: geometric means by family and variant, of what is timed with its backward pass or without."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks import summary
from minimodels.inspection.report import can_draw


def made(family: str, dtype: str, mode: str, *entries: tuple[str, float]) -> dict[str, Any]:
    cases: list[dict[str, Any]] = [{"name": "case", "mode": kind, "ratio": ratio} for kind, ratio in entries]
    cases.append({"name": "broken", "mode": "forward + backward", "failed": "a reason"})
    return {"family": family, "dtype": dtype, "mode": mode, "cases": cases}


RECORDS = [
    made("norm", "bfloat16", "compiled", ("forward + backward", 3.0)),
    made("norm", "bfloat16", "eager", ("forward + backward", 0.25)),
    made("conv", "float32", "eager", ("forward", 9.0), ("forward + backward", 0.5), ("forward + backward", 2.0)),
    made("norm", "float32", "eager", ("forward", 0.5), ("forward + backward", 4.0)),
    made("optim", "float32", "eager", ("step", 0.8)),
    made("tokenizer", "float32", "eager", ("forward + backward", 7.0)),
    made("seeds", "float32", "eager", ("training epoch", 1.5)),
    made("errors", "float32", "eager"),
]


def test_what_has_a_backward_pass_is_kept_apart_from_what_has_not() -> None:
    whole, forward = summary.ratios(RECORDS), summary.ratios(RECORDS, forward=True)
    assert whole == {
        "float32": {"conv": [0.5, 2.0], "norm": [4.0], "optim": [0.8], "seeds": [1.5]},
        "bfloat16": {"norm": [0.25]},
        "bfloat16, compiled": {"norm": [3.0]},
    }
    assert list(whole) == ["float32", "bfloat16", "bfloat16, compiled"]
    assert forward == {"float32": {"conv": [9.0], "norm": [0.5]}}


def test_half_and_twice_as_fast_make_one() -> None:
    assert summary.mean([0.5, 2.0]) == pytest.approx(1.0)
    lines = summary.table(summary.ratios(RECORDS)).splitlines()
    assert lines[0] == "| family | float32 | bfloat16 | bfloat16, compiled |"
    assert lines[2] == "| conv | 1.00 (0.50 to 2.00) | – | – |"
    assert lines[3] == "| norm | 4.00 (4.00 to 4.00) | 0.25 (0.25 to 0.25) | 3.00 (3.00 to 3.00) |"


@pytest.mark.skipif(not can_draw(), reason="needs matplotlib")
def test_the_picture_is_drawn(tmp_path: Path) -> None:
    summary.draw("a machine", summary.ratios(RECORDS), tmp_path / "ratios.png")
    assert (tmp_path / "ratios.png").read_bytes().startswith(b"\x89PNG")
