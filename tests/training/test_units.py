"""A run that is counted in steps over tokens: the same numbers as ever, under their own names."""

import math
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from minimodels import nn
from minimodels.checkpoint import load_model
from minimodels.data import RandomWindows
from minimodels.errors import InputError
from minimodels.inspection import report
from minimodels.optim import SGD
from minimodels.training import EPOCHS, STEPS, CSVLogger, Keeper, ModelCheckpoint, ProgressBar, Trainer, Units


class Next(nn.Module):
    """Scores the next of five tokens by the present one."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(5, 5)

    def forward(self, tokens: Tensor) -> Tensor:
        scores: Tensor = self.table(tokens)
        return scores.transpose(1, 2)


TEXT = np.arange(50, dtype=np.uint16) % 5
WINDOWS: dict[str, Any] = {"length": 4, "batch_size": 3, "batches": 2, "total": 5}


def trained(units: Units, *callbacks: object) -> Trainer:
    """Five steps, of which two belong to a stretch."""
    torch.manual_seed(0)
    model = Next()
    loss, optimizer = nn.CrossEntropyLoss(), SGD(model.parameters(), lr=0.5)
    trainer = Trainer(model, loss, optimizer, device="cpu", units=units, count=Tensor.numel, callbacks=callbacks)
    trainer.fit(RandomWindows(TEXT, **WINDOWS), 3, RandomWindows(TEXT, 4, 3, 2))
    return trainer


def test_steps_and_tokens_take_the_place_of_epochs_and_samples() -> None:
    steps, epochs = trained(STEPS).history, trained(EPOCHS).history
    assert [record.pop("step") for record in steps.records] == [2, 4, 5]
    assert [record.pop("epoch") for record in epochs.records] == [1, 2, 3]
    assert steps.records == epochs.records
    names = ["tokens", "seconds", "tokens_per_second", "peak_memory_mib", "validation_seconds"]
    assert all(list(timing) == ["step", *names] for timing in steps.timings)
    assert steps.total("tokens") == 4 * epochs.total("samples") == 60


def test_the_history_knows_where_it_was_measured() -> None:
    trainer = trained(STEPS)
    assert trainer.history.epoch == [2, 4, 5]
    assert trainer.done == trainer.step == 5
    assert list(trainer.history.history) == ["loss", "val_loss", "lr"]
    assert trained(EPOCHS).done == 3


def test_files_say_so(tmp_path: Path) -> None:
    trainer = trained(STEPS, CSVLogger(tmp_path), ModelCheckpoint(tmp_path / "model.safetensors"))
    assert (tmp_path / "metrics.csv").read_text().startswith("step,loss,val_loss,lr\n2,")
    assert (tmp_path / "timing.csv").read_text().startswith("step,tokens,seconds,tokens_per_second,")
    assert load_model(tmp_path / "model.safetensors", trainer.model)["steps"] == 5


def test_a_loss_that_is_no_number_is_told_by_its_step() -> None:
    class Poison:
        def on_batch_end(self, trainer: Trainer, totals: object) -> None:
            trainer.model.table.weight.data.fill_(math.nan)

    with pytest.raises(InputError, match=r"the loss is nan by step 2: .*table\.weight.*; training cannot go on"):
        trained(STEPS, Poison())


def test_one_line_a_measurement_and_one_bar_for_all(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stderr", screen)
    bar, seen = ProgressBar(steps=5), []

    class Look:
        def on_batch_end(self, trainer: Trainer, totals: object) -> None:
            seen.append((bar.bar.n, bar.bar.total, bar.bar.desc))

    trained(STEPS, bar, Look())
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["step 2/5", "step 4/5", "step 5/5"]
    assert all(line.endswith(" tokens/s") for line in lines)
    assert seen == [(number, 5, "training") for number in range(1, 6)]


def test_curves_go_over_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    figures: list[Any] = []
    monkeypatch.setattr(report, "_save", lambda figure, path: figures.append(figure))
    report.curves(trained(STEPS).history.records, tmp_path / "curves.png")
    (axes,) = figures[0].axes
    assert axes.get_xlabel() == "step"
    assert list(axes.lines[0].get_xdata()) == [2, 4, 5]


@pytest.mark.parametrize(("best", "saved"), [(True, [3.0, 2.0, 1.0]), (False, [3.0, 2.0, 2.5, 2.0, 1.0, math.inf])])
def test_a_keeper_saves_the_best_or_every_model(best: bool, saved: list[float]) -> None:
    written: list[float] = []
    now = math.nan
    keeper, trainer = Keeper(lambda model: written.append(now), best), trained(EPOCHS)
    for now in (3.0, 2.0, 2.5, 2.0, 1.0, math.inf):
        keeper.on_epoch_end(trainer, {"val_loss": now})
    assert written == saved
