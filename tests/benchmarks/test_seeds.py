"""The study `seeds`: what the other libraries compute is the same, and without them there is one sentence."""

from argparse import Namespace
from typing import Any

import pytest
import torch

from benchmarks import keras_twins, seeds
from benchmarks.cases import Setting
from benchmarks.checking import MismatchError
from minimodels.models import ConvNet, LSTMClassifier

TINY = Setting(torch.float32, torch.device("cpu"), tiny=True)
ONCE = Namespace(repeats=1)
NAMES = [
    "CNN, 28x28, batches of 64",
    "LSTM, 3 steps of 100, batches of 64",
    "GPT-2, 4 + 2 tokens, batch 1",
    "GPT-2, 4 + 2 tokens, batch 8",
]


def test_without_the_other_libraries_ours_runs_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(seeds, "find_spec", lambda name: None)
    entries = seeds.run(TINY, ONCE)
    assert [entry["name"] for entry in entries] == NAMES
    assert not any(key in entry for entry in entries for key in ("reference", "ratio", "error"))
    printed = capsys.readouterr().out
    assert printed.count('is not installed; pip install "minimodels[peers]" brings the other side along.') == 4
    assert "| CNN, 28x28, batches of 64, training epoch | Keras | " in seeds.table({"cases": entries})


def test_keras_is_given_every_weight_once() -> None:
    model = ConvNet()
    arrays = keras_twins.pictures_arrays(dict(model.named_parameters()))
    assert [array.shape for array in arrays[:2]] == [(3, 3, 1, 32), (32,)]
    assert sum(array.size for array in arrays) == 93_322
    lstm = LSTMClassifier()
    assert sum(array.size for array in keras_twins.sequences_arrays(dict(lstm.named_parameters()))) == 380_545


def test_a_program_that_computes_something_else_is_not_timed() -> None:
    calls: list[str] = []

    def call() -> None:
        calls.append("called")

    wrong = seeds.Contest("made up", "generation", "a library", 1, "tokens", 1e-2, call, call)
    with pytest.raises(MismatchError, match=r"made up: ours and a library differ by 1\.0e-02; nothing was timed\."):
        seeds._hold(wrong, TINY, 1)
    assert calls == []


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("program", [seeds.pictures, seeds.sequences])
def test_keras_computes_the_same(program: Any) -> None:
    pytest.importorskip("tensorflow")
    pytest.importorskip("keras")
    contest = program(TINY)
    assert contest.error < 1e-5
    entry = seeds._hold(contest, TINY, 1)
    assert entry["ratio"] == pytest.approx(entry["reference"]["median"] / entry["ours"]["median"])
    ours, theirs = entry["losses"]
    assert ours == pytest.approx(theirs, rel=0.1)


@pytest.mark.filterwarnings("ignore")
def test_transformers_writes_the_same() -> None:
    pytest.importorskip("transformers")
    contest = seeds.generation(2, TINY)
    assert contest.error is not None
    assert contest.error < 1e-5
    assert contest.theirs is not None
    torch.testing.assert_close(contest.ours(), contest.theirs())
