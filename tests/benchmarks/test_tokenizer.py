"""The study of tokenizers: everyone gives the same before anything is timed, and a record becomes a table."""

import json
from pathlib import Path

import pytest
import torch

from benchmarks import __main__ as command
from benchmarks import report, tokenizer
from benchmarks.records import machine

FLAGS = ["tokenizer", "--tiny", "--repeats", "2"]


def test_a_run_becomes_a_record_and_a_section(tmp_path: Path) -> None:
    assert command.main([*FLAGS, "--output", str(tmp_path)]) == 0
    slug = machine(torch.device("cpu"), torch.get_num_threads())["slug"]
    stored = json.loads((tmp_path / slug / "tokenizer.json").read_text(encoding="utf-8"))
    assert [entry["name"] for entry in stored["cases"]] == [task.name for task in tokenizer.tasks(tiny=True)]
    page = (tmp_path / "README.md").read_text(encoding="utf-8")
    names = list(dict.fromkeys(name for entry in stored["cases"] for name in entry["times"]))
    assert {"minimodels", "definition"} < set(names)
    for entry in stored["cases"]:
        assert entry["times"].keys() >= {"minimodels"}
        assert "| " + " | ".join(tokenizer.row(entry, names)) + " |" in page
    (tmp_path / "README.md").unlink()
    report.write_readme(tmp_path)
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == page


def test_what_differs_is_not_timed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    learn = tokenizer.definition.learn
    monkeypatch.setattr(tokenizer.definition, "learn", lambda *args, **kwargs: learn(*args, **kwargs)[::-1])
    assert command.main(FLAGS) == 1
    assert "definition gives something else than minimodels; nothing was timed." in capsys.readouterr().err
