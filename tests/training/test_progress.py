"""What a person sees: a bar on a screen, one line an epoch in a log."""

import io
import sys

import pytest
import torch

from minimodels import nn
from minimodels.optim import SGD
from minimodels.training import ProgressBar, Trainer, accuracy, progress
from minimodels.training.metrics import Totals
from minimodels.training.progress import has_screen


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def train(*callbacks: object, epochs: int = 2) -> None:
    torch.manual_seed(0)
    model = nn.Linear(2, 2)
    loss, optimizer = nn.CrossEntropyLoss(), SGD(model.parameters(), lr=0.1)
    trainer = Trainer(model, loss, optimizer, metrics={"accuracy": accuracy}, device="cpu", callbacks=callbacks)
    trainer.fit((torch.rand(8, 2), torch.tensor([0, 1] * 4)), epochs, batch_size=4)


def test_a_log_has_one_plain_line_an_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    train(ProgressBar(), epochs=2)
    out, err = capsys.readouterr()
    first, second = out.splitlines()
    assert first.startswith("epoch 1/2  loss 0.")
    assert second.startswith("epoch 2/2  loss 0.")
    assert " %  " in first
    assert first.endswith(" samples/s")
    assert err == ""
    assert "\r" not in out


def test_a_terminal_has_a_bar_that_vanishes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(progress, "REFRESH_SECONDS", 0)
    bar = ProgressBar()

    class Redraw:
        def on_batch_end(self, trainer: Trainer, totals: Totals) -> None:
            bar.bar.refresh()  # tqdm itself draws ten times a second, and these steps are faster

    train(bar, Redraw(), epochs=1)
    drawn = screen.getvalue()
    assert "epoch 1/1" in drawn
    assert "2/2" in drawn
    assert "loss 0." in drawn
    assert drawn.endswith(" \r")
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_a_bar_is_taken_away_when_training_breaks_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    bar = ProgressBar()

    class Stop:
        def on_batch_end(self, trainer: Trainer, totals: Totals) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(bar, Stop())
    assert bar.bar.disable  # tqdm's mark of a bar that is closed


def test_a_bar_that_nobody_sees_never_asks_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(Totals, "means", lambda self, world=None: asked.append(1) or {"loss": 0.0, "accuracy": 0.0})
    train(ProgressBar(), epochs=3)
    assert len(asked) == 3


def test_a_notebook_counts_as_a_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not has_screen(io.StringIO())
    assert has_screen(Terminal())
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    assert has_screen(io.StringIO())
