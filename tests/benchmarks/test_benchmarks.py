"""The benchmarks themselves: every case runs, differences are found before anything is timed, records are complete."""

import errno
import io
import itertools
import json
import platform
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks import __main__ as command
from benchmarks import model, optim, report
from benchmarks.cases import Case, Pair, Setting, Study
from benchmarks.checking import MismatchError
from benchmarks.records import machine, record
from benchmarks.rows import columns, row
from benchmarks.run import Effort, attempt, measure
from benchmarks.studies import STUDIES
from benchmarks.tables import line

TINY = Setting(torch.float32, torch.device("cpu"), tiny=True)
ONCE = Effort(repeats=1, min_time=0.0)
EVERY_CASE = [case for cases in command.FAMILIES.values() for case in cases]


@pytest.fixture(autouse=True)
def same_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("case", EVERY_CASE, ids=lambda case: f"{case.family}: {case}")
def test_every_case_runs_and_agrees(case: Case) -> None:
    entry = measure(case, TINY, ONCE)
    assert (entry["name"], entry["mode"]) == (case.name, case.mode)
    assert entry["error"] < 1e-5
    assert entry["ours"]["median"] > 0
    assert entry["ratio"] == pytest.approx(entry["reference"]["median"] / entry["ours"]["median"])


def test_no_two_lines_of_a_table_are_called_the_same() -> None:
    assert len({(case.family, str(case)) for case in EVERY_CASE}) == len(EVERY_CASE)


def test_families_are_found_under_other_names(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    def run(family: str, *_: object) -> list[object]:
        ran.append(family)
        return []

    monkeypatch.setattr(command, "_run", run)
    assert command.main(["lstm", "loss", "models", "gru", "norm", "--tiny"]) == 0
    assert ran == ["recurrent", "losses", "model", "norm"]
    assert set(command.ALIASES.values()) <= {*command.FAMILIES, *STUDIES}
    assert not set(command.ALIASES) & {*command.FAMILIES, *STUDIES}


LACKING = [(case, kind, dtype) for case in EVERY_CASE for kind, dtype in case.lacking if kind == "cpu"]


@pytest.mark.parametrize(("case", "kind", "dtype"), LACKING, ids=str)
def test_a_precision_that_torch_lacks_leaves_the_case_out(
    case: Case, kind: str, dtype: torch.dtype, tmp_path: Path
) -> None:
    setting = replace(TINY, dtype=dtype)
    entry = attempt(case, setting, ONCE)
    word = f"torch has none in {str(dtype).removeprefix('torch.')} on cpu"
    assert entry == {"name": case.name, "mode": case.mode, "omitted": word}
    assert row(entry, ("ours, ms", "error")) == (str(case), f"left out: {word}", "–")
    with pytest.raises(RuntimeError, match="not implemented for"):  # once it runs, it belongs in
        case.make(setting).reference()


@pytest.mark.parametrize("wrong", [lambda x: x + 1e-3, lambda x: x.double(), lambda x: x[:1], lambda x: x * torch.nan])
def test_what_differs_is_not_timed(wrong) -> None:
    calls = []

    def make(setting: Setting) -> Pair:
        right = setting.noise(5)
        outputs = {"ours": [right, wrong(right)], "reference": [right, right]}
        ours, reference = (lambda: calls.append("ours")), (lambda: calls.append("reference"))
        return Pair(ours, reference, lambda side: outputs["ours" if side is ours else "reference"])

    with pytest.raises(MismatchError, match="differ"):
        measure(Case("made up", "wrong", "forward", make), TINY, ONCE)
    assert calls == []


def test_an_optimizer_that_steps_too_far_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    class TooFar(torch.optim.SGD):
        def __init__(self, params, lr, **settings) -> None:
            super().__init__(params, 1.01 * lr, **settings)

    monkeypatch.setattr(optim.optim, "SGD", TooFar)
    with pytest.raises(MismatchError):
        measure(optim.CASES[0], TINY, ONCE)


def test_the_sides_take_turns_and_change_their_order() -> None:
    calls: list[str] = []
    pair = Pair(lambda: calls.append("a"), lambda: calls.append("b"), lambda side: [torch.ones(1)])
    entry = measure(Case("x", "y", "z", lambda setting: pair), TINY, Effort(4, 0.0))
    assert entry["rounds"] > 1
    rounds = re.findall(r"a+|b+", "".join(calls))[-5:]
    assert [side[0] for side in rounds] == ["b", "a", "b", "a", "b"]  # ..., ba, ab, ba, ab: neighbours of a kind join


def test_min_time_holds_for_all_rounds_together(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = Pair(lambda: None, lambda: None, lambda side: [torch.ones(1)])
    ticks = itertools.count()
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(ticks)))  # a second between two looks at the clock
    entry = measure(Case("x", "y", "z", lambda setting: pair), TINY, Effort(1, 7.5))
    assert entry["rounds"] > 1


def test_a_run_stores_a_record_and_its_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--tiny", "--threads", "1", "--repeats", "2", "--min-time", "0", "--output", str(tmp_path)]
    assert command.main(["linear", *flags]) == 0
    assert command.main(["linear", *flags, "--dtype", "bfloat16"]) == 0
    printed = capsys.readouterr().out
    slug = machine(torch.device("cpu"), 1)["slug"]
    stored = json.loads((tmp_path / slug / "linear.json").read_text(encoding="utf-8"))
    assert stored["threads"] == 1
    assert stored["command"] == "python -m benchmarks linear --threads 1 --repeats 2 --min-time 0.0 --tiny"
    assert stored["versions"]["torch"] == torch.__version__
    assert [entry["name"] for entry in stored["cases"]] == [case.name for case in command.FAMILIES["linear"]]
    assert (tmp_path / slug / "linear-bfloat16.json").exists()
    table = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert columns(stored["cases"]) == ("ours, ms", "torch, ms", "ratio", "reached", "peak, MB", "error")
    for entry in stored["cases"]:
        cells = row(entry, columns(stored["cases"]), stored["machine"]["ceilings"])
        assert "| " + " | ".join(cells) + " |" in table
        assert line(cells) in printed
    (tmp_path / "README.md").unlink()
    assert command.main(["--report", "--output", str(tmp_path)]) == 0
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == table


def test_a_study_brings_its_own_run_table_and_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    study = Study(
        run=lambda setting, options: [{"name": "a", "answer": 42, "tiny": setting.tiny}],
        table=lambda record: f"the answer is {record['cases'][0]['answer']}",
        draw=lambda record, path: path.write_bytes(b"picture"),
    )
    monkeypatch.setitem(STUDIES, "question", study)
    flags = ["--tiny", "--threads", "1", "--repeats", "7", "--output", str(tmp_path)]
    assert command.main(["question", *flags]) == 0
    assert command.main(["qestion", *flags]) == 2
    assert "did you mean question?" in capsys.readouterr().err
    folder = tmp_path / machine(torch.device("cpu"), 1)["slug"]
    stored = json.loads((folder / "question.json").read_text(encoding="utf-8"))
    assert stored["cases"] == [{"name": "a", "answer": 42, "tiny": True}]
    (folder / "question.png").unlink()
    assert command.main(["--report", "--output", str(tmp_path)]) == 0
    assert (folder / "question.png").read_bytes() == b"picture"
    page = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert f"]({folder.name}/question.png)\n\nthe answer is 42\n" in page


def test_a_record_names_no_host_and_no_folder() -> None:
    text = json.dumps(record("conv", TINY, [], "python -m benchmarks conv"))
    assert str(Path.cwd()) not in text
    if len(platform.node()) > 3:
        assert platform.node() not in text


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["cnov"], "cnov: there is no such family of benchmarks, only conv, linear, "),
        (["cnov"], "; did you mean conv?"),
        (["linear", "optimiser"], "; did you mean optim?"),
        (["xyz"], ", pooling, "),
        (["--threads", "0"], "--threads 0: give a number from 1 upwards."),
        (["--threads", "100000000"], "--threads 100000000: give at most 1024."),
        (["--repeats", "0"], "--repeats 0"),
        (["--min-time", "-3"], "--min-time -3.0: give a number of seconds from 0 upwards."),
        (["--min-time", "inf"], "--min-time inf: give a number"),
        (["--min-time", "nan"], "--min-time nan: give a number"),
        (["--device", "abacus"], "device abacus: there is no such device here; choose auto, cpu"),
        (["--device", "meta:x"], "device meta:x"),
        (["--device", "meta"], "device meta"),
    ],
)
def test_bad_input_gets_one_sentence(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(arguments) == 2
    printed = capsys.readouterr()
    assert sentence in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""


def test_a_file_that_is_no_record_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "some-machine").mkdir()
    (tmp_path / "some-machine" / "conv.json").write_text("{}", encoding="utf-8")
    assert command.main(["--report", "--output", str(tmp_path)]) == 2
    assert "conv.json is not a record" in capsys.readouterr().err
    (tmp_path / "some-machine" / "conv.json").unlink()
    (tmp_path / "some-machine" / "conv.json").mkdir()
    assert command.main(["--report", "--output", str(tmp_path)]) == 2
    assert "conv.json is not a record" in capsys.readouterr().err


@pytest.mark.parametrize("flags", [[], ["--report"]])
def test_an_output_that_cannot_be_written_is_named_before_anything_is_timed(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    assert command.main(["optim", "--tiny", *flags, "--output", str(tmp_path / "file" / "folder")]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(f"--output {tmp_path / 'file' / 'folder'}: cannot be written (")
    assert printed.err.count("\n") == 1
    assert printed.out == ""


def test_a_disk_that_fills_up_gets_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(report, "save", full)
    assert command.main(["pooling", "--tiny", "--repeats", "1", "--min-time", "0", "--output", str(tmp_path)]) == 2
    printed = capsys.readouterr().err
    assert printed == f"--output {tmp_path}: cannot be written (No space left on device); give another folder.\n"


def test_ctrl_c_gets_one_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def stopped() -> None:
        raise KeyboardInterrupt

    pair = Pair(stopped, float, lambda side: [torch.ones(1)])
    monkeypatch.setitem(command.FAMILIES, "conv", [Case("conv", "long", "forward", lambda setting: pair)])
    assert command.main(["conv", "--tiny"]) == 2
    assert capsys.readouterr().err == "Stopped by Ctrl-C: only families that were finished have been saved.\n"


def test_text_is_utf_8_whatever_the_system_prefers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def explicit(encoding: str | None, stacklevel: int = 2) -> str:
        assert encoding == "utf-8"
        return encoding

    entry = measure(command.FAMILIES["pooling"][0], TINY, ONCE) | {"name": "3×3"}
    monkeypatch.setattr(io, "text_encoding", explicit)
    report.save(record("pooling", TINY, [entry], "python -m benchmarks pooling"), tmp_path)
    assert "3×3" in (tmp_path / "README.md").read_bytes().decode("utf-8")


def test_a_model_that_is_not_the_same_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    forward = model.ConvNet.forward
    monkeypatch.setattr(model.ConvNet, "forward", lambda self, images: 1.01 * forward(self, images))
    for case in model.CASES:
        with pytest.raises(MismatchError):
            measure(case, TINY, ONCE)


def test_what_fails_is_told_and_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(setting: Setting) -> Pair:
        raise NotImplementedError("no such|kernel\nat great length")

    wrong = Pair(int, float, lambda side: [torch.tensor([float(side is int)])])
    right = Pair(int, float, lambda side: [torch.ones(1)])
    cases = [
        Case("conv", "broken", "forward", lambda setting: wrong),
        Case("conv", "missing", "forward", refuse),
        Case("conv", "whole", "forward", lambda setting: right),
    ]
    monkeypatch.setitem(command.FAMILIES, "conv", cases)
    assert command.main(["conv", "--tiny", "--output", str(tmp_path)]) == 1
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "conv: broken, forward: ours and torch's differ by 1.0e+00; it was not timed"
    assert told[1].startswith("conv: missing, forward: NotImplementedError: no such|kernel (tests/")
    assert len(told) == 2
    table = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "| broken, forward | failed: ours and torch's differ by 1.0e+00; it was not timed | – |" in table
    assert "| failed: NotImplementedError: no such/kernel (" in table
    assert "| whole, forward | 0.0" in table
