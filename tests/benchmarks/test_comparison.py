"""Records against older ones, and cases under the roofs of their machine."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import __main__ as command
from benchmarks import options, report, roofline
from benchmarks.cases import Setting, Study
from benchmarks.comparison import compare, stored
from benchmarks.records import load, plain_first, record, variant
from benchmarks.roofline import drawable
from benchmarks.rows import columns, row
from benchmarks.summary import ratios
from benchmarks.tables import ratio
from minimodels.inspection.report import can_draw

RESULTS = Path(report.__file__).parent / "results"
CEILINGS = {"product": "64x64x64", "flops": 1e12, "copied": 1, "bytes": 1e11}


def spread(median: float, width: float = 0.1) -> dict[str, float]:
    return {"q1": median * (1 - width), "median": median, "q3": median * (1 + width)}


def made(ours: float, **changes: Any) -> dict[str, Any]:
    entry = {"name": "a", "mode": "forward", "error": 0.0, "rounds": 3, "ours": spread(ours), "reference": spread(1e-3)}
    entry |= {"ratio": 1e-3 / ours, "ratio_of_rounds": spread(1e-3 / ours)} | changes
    made = record("conv", Setting(torch.float32, torch.device("cpu")), [entry], "python -m benchmarks conv")
    made["machine"]["ceilings"] = CEILINGS
    return made


def test_what_moved_beyond_the_spread_is_told() -> None:
    old = made(1e-3)
    assert compare([old], [made(1.15e-3)]) == ["1 cases compared, 0 beyond the spread."]
    (slower, _) = compare([old], [made(1.5e-3)])
    assert slower == (
        "slower: conv, float32, a, forward: ours 1.00 (0.90 to 1.10) ms, now 1.50 (1.35 to 1.65) ms, +50 %; "
        "torch 1.00 (0.90 to 1.10) ms, now 1.00 (0.90 to 1.10) ms, +0 %; ratio 1.00, now 0.67"
    )
    (faster, _) = compare([old], [made(0.5e-3)])
    assert faster.startswith("faster: conv")


def test_only_what_is_alike_is_compared() -> None:
    old = made(1e-3)
    failed = copy.deepcopy(old)
    failed["cases"] = [{"name": "a", "mode": "forward", "failed": "no"}]
    for other in (old | {"mode": "compiled"}, old | {"tf32": True}, old | {"dtype": "bfloat16"}, failed):
        assert compare([old], [other]) == ["0 cases compared, 0 beyond the spread."]
    elsewhere = copy.deepcopy(old)
    elsewhere["machine"]["slug"] = "abacus"
    assert compare([elsewhere], [old])[-1].endswith("The old times are of another machine, abacus.")
    assert compare([made(2e-3), elsewhere], [old])[0].startswith("faster")  # the same machine's counts


def test_the_command_line_compares(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["lookup", "--tiny", "--repeats", "2", "--output", str(tmp_path)]
    assert command.main(flags) == 0
    (path,) = tmp_path.glob("*/lookup.json")
    old = json.loads(path.read_text(encoding="utf-8"))
    for entry in old["cases"]:
        entry["ours"] = spread(1e3)
    (tmp_path / "old.json").write_text(json.dumps(old), encoding="utf-8")
    assert command.main([*flags, "--compare", str(tmp_path / "old.json")]) == 0
    assert "4 cases compared, 4 beyond the spread." in capsys.readouterr().out
    (tmp_path / "old.json").rename(tmp_path / "old")
    assert command.main(["--report", "--output", str(tmp_path), "--compare", str(path.parent)]) == 0
    assert "4 cases compared, 0 beyond the spread." in capsys.readouterr().out


ABOUT = '"family": "conv", "machine": {"slug": "x"}, "dtype": "float32"'
SIDES = '{"name": "a", "mode": "b", "ours": {"q1": 1, "median": 1, "q3": %s}, "reference": {}}'
DAMAGED = [
    None,
    "{}",
    "no JSON",
    "null",
    '"family machine dtype cases"',
    '{"family": "conv", "machine": {}, "dtype": "float32", "cases": []}',
    '{"family": "conv", "machine": [], "dtype": "float32", "cases": null}',
    *(f'{{{ABOUT}, "cases": {cases}}}' for cases in ("{}", "[1]", f"[{SIDES % 1}]", f"[{SIDES % '[]'}]")),
]


@pytest.mark.parametrize("content", DAMAGED)
def test_what_cannot_be_compared_with_is_named_first(
    content: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / "old.json").write_text(content, encoding="utf-8")
    assert command.main(["conv", "--tiny", "--compare", str(tmp_path / "old.json")]) == 2
    printed = capsys.readouterr()
    assert "old.json" in printed.err
    assert printed.err.count("\n") == 1
    assert printed.out == ""


@pytest.mark.parametrize(
    ("then", "now", "word"), [(100, 120, "more memory"), (120, 100, "less memory"), (100, 109, ""), (None, 5, "")]
)
def test_memory_that_grew_is_told(then: int | None, now: int, word: str) -> None:
    old, new = made(1e-3), made(1e-3)
    if then is not None:
        old["cases"][0]["ours"] |= {"peak": then * 1_000_000}
    new["cases"][0]["ours"] |= {"peak": now * 1_000_000}
    *lines, count = compare([old], [new])
    assert count == "1 cases compared, 0 beyond the spread."
    assert [line.split(":")[0] for line in lines] == ([word] if word else [])
    assert not word or lines[0].endswith(f": peak {then} MB, now {now} MB")


def test_results_of_before_can_still_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every picture of them is composed, and none of them painted, which takes longer than all the rest."""
    if can_draw():
        painted = "matplotlib.figure.Figure.savefig"
        monkeypatch.setattr(painted, lambda figure, path, **options: Path(path).touch())
    records = stored(RESULTS)
    assert {record["family"] for record in records} >= {"conv", "optim", "algorithms", "errors", "tokenizer"}
    for path in RESULTS.glob("*/*.*"):
        (tmp_path / path.parent.name).mkdir(exist_ok=True)
        (tmp_path / path.parent.name / path.name).write_bytes(path.read_bytes())
    report.write_readme(tmp_path)
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == (RESULTS / "README.md").read_text(encoding="utf-8")
    old = load(Path(__file__).parent / "record_of_before.json")
    assert columns(old["cases"]) == ("ours, ms", "torch, ms", "ratio", "error")


def test_what_is_reached_is_counted_against_the_lower_roof() -> None:
    products = made(1e-3, flops=5e8, bytes=1000)["cases"][0]
    assert roofline.speed(products, CEILINGS) == "500 / 500 GFLOP/s (50 / 50 %)"
    memory = made(2e-3, flops=1e6, bytes=50_000_000)["cases"][0]
    assert roofline.speed(memory, CEILINGS) == "25 / 50 GB/s (25 / 50 %)"
    assert roofline.speed(made(2.0, bytes=50_000_000)["cases"][0], None) == "25 MB/s / 50 GB/s"


def test_a_card_fills_more_columns_than_a_processor() -> None:
    sides = {"waited": spread(2e-3), "peak": 3_000_000, "ahead": 0.0}
    entry = made(1e-3, flops=5e8, bytes=1000, reference_error=1e-3)["cases"][0]
    entry["ours"] |= sides
    entry["reference"] |= sides | {"ahead": 1.0}
    names = columns([entry])
    cells = dict(zip(names, row(entry, names, CEILINGS)[1:], strict=True))
    assert cells["host, ms"] == "2.000 / 2.000"
    assert cells["peak, MB"] == "3 / 3"
    assert cells["ours, ms"].startswith("≤ 1.00")
    assert not cells["torch, ms"].startswith("≤")
    assert cells["error"] == "0e+00 / 1e-03"


@pytest.mark.skipif(not can_draw(), reason="needs matplotlib")
def test_a_roofline_is_drawn_for_each_machine(tmp_path: Path) -> None:
    kept = made(1e-3, flops=5e8, bytes=1000)
    path = report.save(kept, tmp_path)
    report.save(kept | {"dtype": "bfloat16"}, tmp_path)
    assert (path.parent / "roofline.png").read_bytes().startswith(b"\x89PNG")
    assert "![rooflines](" in (tmp_path / "README.md").read_text(encoding="utf-8")
    assert list(roofline.drawable(stored(path.parent))) == ["float32", "bfloat16"]


def test_variants_have_files_of_their_own(tmp_path: Path) -> None:
    kept = made(1e-3) | {"device": "cuda"}
    variants = {
        "conv.json": {},
        "conv-tf32.json": {"tf32": True},
        "conv-bfloat16.json": {"dtype": "bfloat16"},
        "conv-bfloat16-compiled.json": {"dtype": "bfloat16", "mode": "compiled"},
    }
    assert [report.save(kept | changes, tmp_path).name for changes in variants.values()] == [*variants]


def test_the_command_is_what_was_typed() -> None:
    typed = ["conv", "--only", "CNN layer 2", "--only", "8x64", "--quick", "--dtype", "bfloat16", "--mode", "compiled"]
    chosen = options.parser([]).parse_args(typed)
    assert options.command("conv", chosen) == (
        "python -m benchmarks conv --only 'CNN layer 2' --only 8x64 --quick --dtype bfloat16 --mode compiled"
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--tf32"], "--tf32: it rounds float32 products on CUDA"),
        (["conv", "--only", "abacus"], "--only abacus: no case there"),
        (["conv", "errors", "--mode", "compiled"], "errors: it runs eagerly; leave out --mode."),
        (["conv", "training", "--only", "CNN"], "training: it brings its own cases; leave out --only."),
        (["conv", "--all", "--mode", "compiled"], "--all: goes through all precisions and modes"),
    ],
)
def test_flags_that_do_not_go_together(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(arguments) == 2
    assert sentence in capsys.readouterr().err


def test_all_goes_through_precisions_and_modes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torch, "compile", lambda work, **_: work)
    monkeypatch.setattr(command, "STUDIES", {"question": Study(lambda setting, options: [], lambda record: "")})
    flags = ["lookup", "question", "--all", "--tiny", "--repeats", "1", "--output", str(tmp_path)]
    assert command.main(flags) == 0
    assert {path.name for path in tmp_path.glob("*/*.json")} == {
        *("lookup.json", "lookup-bfloat16.json", "lookup-compiled.json", "lookup-bfloat16-compiled.json"),
        "question.json",
    }
    (path,) = tmp_path.glob("*/lookup-bfloat16-compiled.json")
    typed = "python -m benchmarks lookup --repeats 1 --dtype bfloat16 --mode compiled --tiny"
    assert load(path)["command"] == typed


def test_only_some_cases_of_only_those_families_that_have_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--only", "GELU(approximate=tanh)", "--tiny"]) == 0
    lines = capsys.readouterr().out.strip().splitlines()
    assert [line.split(" ")[0] for line in lines] == ["activations", "case", *["GELU(approximate=tanh):"] * 2]


def test_a_ratio_that_single_rounds_contradict_is_told() -> None:
    rounds = {"q1": 0.9, "median": 1.0, "q3": 1.1}
    assert ratio({"ratio": 1.05, "ratio_of_rounds": rounds}) == "1.05 (0.90 to 1.10)"
    for contradicted in (0.8, 1.2):
        assert ratio({"ratio": contradicted, "ratio_of_rounds": rounds}).endswith("1.10, unsteady)")


def test_variants_stand_in_the_same_order_everywhere() -> None:
    kinds = [("bfloat16", "compiled"), ("float32", "compiled"), ("bfloat16", None), ("float32", None)]
    records = [made(1e-3) | {"dtype": dtype, "mode": mode} for dtype, mode in kinds]
    order = ["float32", "bfloat16", "float32, compiled", "bfloat16, compiled"]
    assert [variant(one) for one in plain_first(records)] == order
    for one in records:
        one["cases"][0] |= {"flops": 1.0, "bytes": 1.0}
    assert list(drawable(records)) == list(ratios(records, forward=True)) == order
