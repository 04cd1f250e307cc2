"""The pictures of a run are drawn whatever the numbers are, and show what they say."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels.inspection import report

pytest.importorskip("matplotlib", reason="pictures need the plot extra")


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that are saved, also as objects that can be asked."""
    saved: list[Any] = []
    save = report._save

    def remember(figure: Any, path: Path) -> None:
        saved.append(figure)
        save(figure, path)

    monkeypatch.setattr(report, "_save", remember)
    return saved


def texts(figure: Any) -> list[str]:
    tiles = [axes for axes in figure.axes if axes.images]
    return [f"{axes.get_title()}; {axes.get_xlabel()}" for axes in tiles]


def is_png(path: Path) -> bool:
    return path.read_bytes().startswith(b"\x89PNG")


def test_curves_show_every_quantity_with_its_last_value(tmp_path: Path, figures: list[Any]) -> None:
    records = [
        {"epoch": 1, "loss": 1.0, "accuracy": 0.5, "val_loss": 2.0, "val_accuracy": 0.25, "lr": 1e-3},
        {"epoch": 2, "loss": 0.5, "accuracy": 0.75, "val_loss": 1.5, "val_accuracy": 0.5, "lr": 0.0},
    ]
    report.curves(records, tmp_path / "curves.png", "title")
    assert is_png(tmp_path / "curves.png")
    loss, accuracy = figures[0].axes
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["train 0.5", "test 1.5"]
    assert [text.get_text() for text in accuracy.get_legend().get_texts()] == ["train 75", "test 50"]
    assert accuracy.get_title(loc="left") == "accuracy, %"
    assert list(accuracy.lines[0].get_ydata()) == [50.0, 75.0]
    assert loss.get_yscale() == "log"


@pytest.mark.parametrize("title", ["GPT on 红楼梦.txt", "CharLSTM on $x_$.txt", "LSTM on 😀, 50 %", "a\nb"])
def test_a_title_may_hold_whatever_the_name_of_a_file_can(tmp_path: Path, title: str) -> None:
    report.curves([{"epoch": 1, "loss": 1.0}], tmp_path / "curves.png", title)
    assert is_png(tmp_path / "curves.png")


def test_other_scripts_are_drawn_in_a_font_that_has_them(
    tmp_path: Path, figures: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "OTHER_SCRIPTS", ("No Such Font", "DejaVu Serif"))
    report.curves([{"epoch": 1, "loss": 1.0}], tmp_path / "curves.png", "title")
    assert figures[0]._suptitle.get_fontfamily() == ["sans-serif", "DejaVu Serif"]


@pytest.mark.parametrize("loss", [[0.0], [0.0, 0.0], [1e-30, 1e30], [-1.0, -2.0], [2.3]])
def test_curves_of_odd_losses_can_be_drawn(tmp_path: Path, loss: list[float]) -> None:
    records = [{"epoch": epoch, "loss": value} for epoch, value in enumerate(loss, start=1)]
    report.curves(records, tmp_path / "curves.png")
    assert is_png(tmp_path / "curves.png")


def test_validation_that_began_late_stands_over_its_own_epochs(tmp_path: Path, figures: list[Any]) -> None:
    records = [{"epoch": 1, "loss": 3.0}, {"epoch": 2, "loss": 2.0}, {"epoch": 3, "loss": 1.0, "val_loss": 1.5}]
    report.curves(records, tmp_path / "curves.png")
    train, train_end, test, test_end = figures[0].axes[0].lines
    assert [list(line.get_xdata()) for line in (train, train_end, test, test_end)] == [[1, 2, 3], [3], [3], [3]]
    assert list(test.get_ydata()) == [1.5]


def test_mistakes_come_surest_first_and_say_what_was_read(tmp_path: Path, figures: list[Any]) -> None:
    labels = torch.tensor([0, 1, 2, 1])
    probabilities = torch.tensor([[0.4, 0.6, 0.0], [0.1, 0.8, 0.1], [0.9, 0.0, 0.1], [0.2, 0.3, 0.5]])
    report.mistakes(torch.rand(4, 1, 28, 28), labels, probabilities, tmp_path / "m.png", ["cat", "dog", "cow"])
    assert is_png(tmp_path / "m.png")
    assert figures[0].get_suptitle() == "3 of 4 test pictures misread"
    assert texts(figures[0]) == [
        "read cat  90 %; is cow  10 %",
        "read dog  60 %; is cat  40 %",
        "read cow  50 %; is dog  30 %",
    ]


def test_without_mistakes_the_closest_calls_are_shown(tmp_path: Path, figures: list[Any]) -> None:
    probabilities = torch.tensor([[0.9, 0.1], [0.4, 0.6]])
    report.mistakes(torch.rand(2, 1, 8, 8), torch.tensor([0, 1]), probabilities, tmp_path / "m.png")
    assert figures[0].get_suptitle() == "None of 2 test pictures misread; the closest calls"
    assert texts(figures[0]) == ["read 1  60 %; is 1  60 %", "read 0  90 %; is 0  90 %"]


@given(count=st.integers(1, 60), most=st.integers(1, 12))
def test_at_most_so_many_mistakes_are_shown(tmp_path_factory: pytest.TempPathFactory, count: int, most: int) -> None:
    drawn: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "_save", lambda figure, path: drawn.append(figure))
        probabilities = torch.rand(count, 10, generator=torch.Generator().manual_seed(count)).softmax(1)
        labels = (probabilities.argmax(1) + 1) % 10
        report.mistakes(torch.rand(count, 1, 8, 8), labels, probabilities, "unused.png", most=most)
    assert len(texts(drawn[0])) == min(count, most)
    assert ("surest" in drawn[0].get_suptitle()) == (count > most)


@pytest.mark.parametrize("shape", [(32, 1, 3, 3), (3, 4, 5, 2), (1, 1, 1, 1), (20, 3, 7, 7)])
def test_every_filter_is_drawn_on_one_scale(tmp_path: Path, figures: list[Any], shape: tuple[int, ...]) -> None:
    weight = torch.randn(shape, requires_grad=True)
    report.filters(weight, tmp_path / "f.png")
    assert is_png(tmp_path / "f.png")
    tiles = [axes for axes in figures[0].axes if axes.images]
    assert len(tiles) == shape[0]
    scales = {axes.images[0].get_clim() for axes in tiles}
    limit = float(weight.detach().mean(1).abs().max())
    assert scales == {(-limit, limit)}


def test_filters_of_zeros_can_be_drawn(tmp_path: Path) -> None:
    report.filters(torch.zeros(2, 1, 3, 3), tmp_path / "f.png")
    assert is_png(tmp_path / "f.png")


def test_drawing_leaves_no_global_state(tmp_path: Path) -> None:
    report.filters(torch.zeros(2, 1, 3, 3), tmp_path / "f.png")
    assert "matplotlib.pyplot" not in sys.modules


def test_without_matplotlib_there_are_no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    assert report.can_draw()
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)  # also where it is installed, but not whole
    assert not report.can_draw()
