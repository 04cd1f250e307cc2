"""The study of generation: both sides write the same before anything is timed, and a record becomes a table."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from benchmarks import __main__ as command
from benchmarks import generation, report
from benchmarks.cases import Setting
from benchmarks.records import machine

FLAGS = ["generation", "--tiny", "--repeats", "2"]
SETTING = Setting(torch.float32, torch.device("cpu"), tiny=True)


def test_a_run_becomes_a_record_and_a_section(tmp_path: Path) -> None:
    assert command.main([*FLAGS, "--output", str(tmp_path)]) == 0
    slug = machine(torch.device("cpu"), torch.get_num_threads())["slug"]
    stored = json.loads((tmp_path / slug / "generation.json").read_text(encoding="utf-8"))
    assert [entry["mode"] for entry in stored["cases"]] == ["prompt", "token", "prompt", "token", "step"]
    page = (tmp_path / "README.md").read_text(encoding="utf-8")
    for entry in stored["cases"]:
        assert ("ratio" in entry) == (find_spec("transformers") is not None)
        assert ("reading" in entry) == (entry["mode"] == "token")
        assert "| " + " | ".join(generation.row(entry)) + " |" in page
    (tmp_path / "README.md").unlink()
    report.write_readme(tmp_path)
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == page


def test_the_row_of_a_token_beside_a_peer() -> None:
    spread = {"q1": 0.01, "median": 0.02, "q3": 0.03}
    entry = {
        "name": "GPT-2",
        "mode": "token",
        "items": 8,
        "peer": "transformers 5",
        "ours": spread,
        "reference": spread,
    }
    entry |= {
        "ratio": 1.0,
        "ratio_of_rounds": {"q1": 0.9, "median": 1.0, "q3": 1.1},
        "reading": {**spread, "median": 0.01},
    }
    row = generation.row({**entry, "peak": {"ours": 3e6, "reference": 4e6}})
    assert row[4:6] == ("1.00 (0.90 to 1.10)", "400.0 / 400.0")
    assert row[7:] == ("50% / 50%", "3 / 4")


def test_what_is_read_has_as_many_bytes_as_a_token_reads() -> None:
    model = generation.models(SETTING)["ours"]
    read = generation.reading(model).args[0].nbytes
    wanted = sum(p.nbytes for name, p in model.named_parameters() if "wpe" not in name)
    assert 0.5 * wanted <= read <= wanted


def test_sides_that_differ_are_not_timed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def differing(batch: int, setting: Setting) -> generation.Line:
        results = {"ours": lambda: (torch.ones(2),), "reference": lambda: (torch.zeros(2),)}
        return generation.Line("a line", {}, results)

    monkeypatch.setattr(generation, "writing", differing)
    assert command.main(FLAGS) == 1
    assert "a line: ours and transformers' differ by" in capsys.readouterr().err
