"""The error table: the truth is the truth, what is wrong shows, and a run becomes a record and a section."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import tests.registry
from benchmarks import __main__ as command
from benchmarks import errors
from benchmarks.cases import Setting
from benchmarks.records import machine
from tests.registry import LAYERS

TINY = Setting(torch.float32, torch.device("cpu"), tiny=True)
LINEAR = next(row for row in LAYERS if str(row) == "Linear")
RELU = next(row for row in LAYERS if str(row) == "ReLU")


@pytest.mark.parametrize("row", LAYERS, ids=str)
@pytest.mark.parametrize("dtype", errors.DTYPES)
def test_every_layer_runs_wherever_torchs_does_and_is_about_as_close(row, dtype):
    for found in errors.measure(row, dtype, TINY).values():
        if found["reference"] is not None:
            assert found["ours"] <= 16 + 4 * found["reference"]


def test_the_truth_is_torchs_layer_in_double_precision():
    problem = errors._Problem(LINEAR, LINEAR.example.inputs, torch.float64, 0)
    assert problem.errors("reference", torch.device("cpu")) == (0.0, 0.0)
    weight, bias = problem.weights["weight"], problem.weights["bias"]
    (x,) = problem.inputs
    torch.testing.assert_close(problem.truth[0][0], x @ weight.t() + bias)


@pytest.mark.parametrize("dtype", errors.DTYPES)
def test_what_is_wrong_shows_in_units_of_the_last_place(dtype):
    class Off(torch.nn.Linear):
        def forward(self, input):
            return super().forward(input) * (1 + 32 * torch.finfo(input.dtype).eps)

    found = errors.measure(replace(LINEAR, ours=Off), dtype, TINY)
    for part in errors.PARTS:
        assert found[part]["reference"] < 2
        assert found[part]["ours"] == pytest.approx(32, abs=2)


def test_numbers_are_rounded_before_the_truth_is_computed():
    problem = errors._Problem(LINEAR, LINEAR.example.inputs, torch.bfloat16, 0)
    assert all(weight.dtype == torch.bfloat16 for weight in problem.weights.values())
    identity = errors._Problem(RELU, RELU.example.inputs, torch.bfloat16, 0)
    assert identity.errors("reference", torch.device("cpu")) == (0.0, 0.0)


def test_what_does_not_run_or_is_no_number():
    class Picky(torch.nn.Linear):
        def forward(self, input):
            if input.dtype == torch.float16:
                raise RuntimeError("not implemented for 'Half'")
            return super().forward(input) * torch.nan

    row = replace(LINEAR, ours=Picky)
    assert errors.measure(row, "float16", TINY)["forward"]["ours"] is None
    assert errors.measure(row, "bfloat16", TINY)["forward"]["ours"] == math.inf


def test_longer_inputs_are_those_that_the_layer_takes():
    shapes = [[list(x.shape) for x in inputs] for inputs in errors._shapes(LINEAR, tiny=False)]
    assert shapes == [[[4, 5]], [[64, 5]]]  # the last dimension is the layer's own
    (loss,) = (row for row in LAYERS if str(row) == "CrossEntropyLoss")
    shapes = [[list(x.shape) for x in inputs] for inputs in errors._shapes(loss, tiny=False)]
    assert shapes == [[[4, 3], [4]], [[64, 3], [64]], [[4, 48], [4]]]
    assert len(errors._shapes(LINEAR, tiny=True)) == 1


def test_new_numbers_stay_in_range_and_labels_stay_labels():
    generator = torch.Generator().manual_seed(0)
    parts = torch.rand(5, 7, dtype=torch.float64)
    mixed = errors._redrawn(parts, generator)
    assert parts.min() <= mixed.min() < mixed.max() <= parts.max()
    assert not torch.equal(mixed, errors._redrawn(parts, generator))
    for kept in (torch.tensor([1.0, -1.0]), torch.tensor([2, 0]), torch.zeros(0), "sum", None):
        assert errors._redrawn(kept, generator) is kept


def test_the_largest_of_all_draws_counts():
    cpu = torch.device("cpu")
    found = errors.measure(LINEAR, "float32", Setting(torch.float32, cpu))
    each = [
        errors._Problem(LINEAR, inputs, torch.float32, seed).errors("ours", cpu)
        for inputs in errors._shapes(LINEAR, tiny=False)
        for seed in range(errors.DRAWS)
    ]
    assert len(each) == 2 * errors.DRAWS
    assert [found[part]["ours"] for part in errors.PARTS] == [max(part) for part in zip(*each, strict=True)]


def test_the_same_numbers_every_time():
    assert errors.measure(LINEAR, "bfloat16", TINY) == errors.measure(LINEAR, "bfloat16", TINY)


def test_cells():
    def entry(ours, reference):
        cell = {part: {"ours": ours, "reference": reference} for part in errors.PARTS}
        return {"name": "Layer", **dict.fromkeys(errors.DTYPES, cell)}

    assert errors.row(entry(0.5, 0.1), bold="**")[:2] == ("Layer", "0.50 / 0.10")  # below one: rounded once or twice
    assert errors.row(entry(3.0, 1.4), bold="**")[1] == "**3.00 / 1.40**"
    assert errors.row(entry(30.4, 20000.0), bold="**")[1] == "30 / 2e+04"
    assert errors.row(entry(math.inf, None), bold="**")[1] == "inf / –"
    assert errors.summary([entry(1.0, 2.0), entry(1.0, 1.005), entry(2.0, 1.0), entry(1.0, None)]).startswith(
        "Of 18 cells, ours is closer to the truth than torch's in 6, farther in 6,"
    )


def test_a_run_becomes_a_record_and_a_section(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tests.registry, "LAYERS", [LINEAR, RELU])
    assert command.main(["errors", "--tiny", "--output", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    slug = machine(torch.device("cpu"), torch.get_num_threads())["slug"]
    stored = json.loads((tmp_path / slug / "errors.json").read_text(encoding="utf-8"))
    assert stored["command"] == "python -m benchmarks errors --tiny"
    assert stored["dtype"] == "float32, bfloat16, float16"
    assert [entry["name"] for entry in stored["cases"]] == ["Linear", "ReLU"]
    section = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert f"## errors, float32, bfloat16, float16, {slug}" in section
    assert errors.EXPLANATION in section
    for entry in stored["cases"]:
        assert "| " + " | ".join(errors.row(entry, bold="**")) + " |" in section
        assert errors._line(errors.row(entry)) in printed
    (tmp_path / "README.md").unlink()
    assert command.main(["--report", "--output", str(tmp_path)]) == 0
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == section
