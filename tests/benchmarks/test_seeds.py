"""The study `seeds`: what the other libraries compute is the same, and without them there is one sentence."""

from argparse import Namespace
from typing import Any

import pytest
import torch

from benchmarks import keras_twins, programs, seeds
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
    monkeypatch.setattr(programs, "find_spec", lambda name: None)
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


def test_a_madethat_computes_something_else_is_not_timed() -> None:
    calls: list[str] = []

    def call() -> None:
        calls.append("called")

    wrong = programs.Program("made up", "generation", "a library", 1, "tokens", 1e-2, call, call)
    with pytest.raises(MismatchError, match=r"made up: ours and a library differ by 1\.0e-02; nothing was timed\."):
        seeds._hold(wrong, 1)
    assert calls == []


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("program", [programs.pictures, programs.sequences])
def test_keras_computes_the_same(program: Any) -> None:
    pytest.importorskip("tensorflow")
    pytest.importorskip("keras")
    made = program(TINY)
    assert made.error < 1e-5
    entry = seeds._hold(made, 1)
    assert entry["ratio"] == pytest.approx(entry["reference"]["median"] / entry["ours"]["median"])
    ours, theirs = entry["losses"]
    assert ours == pytest.approx(theirs, rel=0.1)


@pytest.mark.filterwarnings("ignore")
def test_transformers_writes_the_same() -> None:
    pytest.importorskip("transformers")
    made = programs.generation(2, TINY)
    assert made.error is not None
    assert made.error < 1e-5
    assert made.theirs is not None
    torch.testing.assert_close(made.ours(), made.theirs())
