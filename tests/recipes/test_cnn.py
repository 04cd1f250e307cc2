"""The digit CNN, from settings to a run folder and back."""

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from minimodels import nn
from minimodels.checkpoint import load_tensors
from minimodels.data import Batches, ImageSet
from minimodels.errors import InputError
from minimodels.inspection import report
from minimodels.models import ConvNet
from minimodels.recipes import RECIPES, find_recipe, pictures
from minimodels.recipes.cnn import RECIPE, CNNSettings
from minimodels.recipes.runs import read_config, write_config
from minimodels.training import Trainer

train, evaluate, predict = RECIPE.train, RECIPE.evaluate, RECIPE.predict
pytestmark = pytest.mark.usefixtures("few_digits")


def run(folder: Path, **options: object) -> Path:
    return train(CNNSettings(**{"epochs": 2, "batch_size": 16, "device": "cpu", "out": folder, **options}))


def write_picture(path: Path, image: torch.Tensor) -> str:
    from PIL import Image

    Image.fromarray((255 - 255 * image[0]).byte().numpy()).resize((140, 140)).save(path)
    return str(path)


def test_a_run_leaves_everything_in_its_folder(
    tmp_path: Path, few_digits: tuple[ImageSet, ImageSet], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run(tmp_path / "run", lr=3e-3, epochs=8)
    assert {path.name for path in folder.iterdir()} == {
        *("config.json", "metrics.csv", "timing.csv", "model.safetensors", "summary.json"),
        *("curves.png", "mistakes.png", "filters.png", "checkpoints", ".lock"),
    }
    with (folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == [str(epoch) for epoch in range(1, 9)]
    assert float(rows[-1]["loss"]) < 0.8 * float(rows[0]["loss"])
    assert "seconds" not in rows[0]

    summary = json.loads((folder / "summary.json").read_text())
    assert summary["test_accuracy"] == float(rows[-1]["val_accuracy"])
    assert summary["parameters"] == 93_322
    assert load_tensors(folder / "model.safetensors")[1]["epochs"] == 8

    lines = capsys.readouterr().out.splitlines()
    assert f"test accuracy {100 * summary['test_accuracy']:.2f} % after 8 epochs, " in lines[-1]
    assert lines[-1].endswith(" samples/s")

    chosen = CNNSettings.from_json(read_config(folder / "config.json")[1], "config.json")
    results = evaluate(folder, chosen)
    assert results["accuracy"] == pytest.approx(summary["test_accuracy"])
    assert results["loss"] == pytest.approx(summary["test_loss"])
    assert capsys.readouterr().out.startswith(f"digits: test accuracy {100 * summary['test_accuracy']:.2f} % (")


@pytest.mark.usefixtures("no_pictures")
def test_one_seed_gives_the_same_bytes_and_another_does_not(tmp_path: Path) -> None:
    one, two, other = (run(tmp_path / name, seed=seed) for name, seed in (("one", 7), ("two", 7), ("other", 8)))
    for name in ("metrics.csv", "model.safetensors"):
        assert (one / name).read_bytes() == (two / name).read_bytes()
        assert (one / name).read_bytes() != (other / name).read_bytes()


@pytest.mark.usefixtures("no_pictures")
def test_seed_and_shift_reach_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    class Spy(Batches):
        def __init__(self, *tensors: torch.Tensor, **options: Any) -> None:
            super().__init__(*tensors, **options)
            made.append(self)

    monkeypatch.setattr(pictures, "Batches", Spy)
    run(tmp_path / "run", seed=5, shift=2, epochs=1)
    train_batches, test_batches = made
    assert (train_batches.shuffle, train_batches.seed, train_batches.batch_size) == (True, 5, 16)
    assert repr(train_batches.augment) == "RandomShift(2)"
    assert not test_batches.shuffle
    assert test_batches.augment is None


@pytest.mark.usefixtures("no_pictures")
def test_the_rate_rises_and_falls_to_nothing(tmp_path: Path) -> None:
    folder = run(tmp_path / "run", lr=0.01, warmup=0.5)  # 2 epochs of 4 steps
    with (folder / "metrics.csv").open(newline="") as file:
        rates = [float(row["lr"]) for row in csv.DictReader(file)]
    assert rates == pytest.approx([0.01 * (0.2 + 0.8 * 3 / 4), 0.01 * 0.5 * (1 + math.cos(0.75 * math.pi))])


@pytest.mark.usefixtures("no_pictures")
def test_config_json_repeats_the_run(tmp_path: Path) -> None:
    first = run(tmp_path / "run", seed=3)
    _, values = read_config(first / "config.json")
    second = train(CNNSettings.from_json(values, "config.json"))
    assert second == tmp_path / "run-2"
    assert (second / "metrics.csv").read_bytes() == (first / "metrics.csv").read_bytes()


def test_without_matplotlib_training_goes_on_and_says_how_to_get_pictures(
    tmp_path: Path, no_pictures: None, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run(tmp_path / "run", epochs=1)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2] == "For pictures of the run: pip install matplotlib"
    assert lines[-1].startswith("test accuracy ")
    assert not list(folder.glob("*.png"))


def test_a_drawing_that_fails_leaves_the_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **options: object) -> None:
        raise RuntimeError("no font")

    monkeypatch.setattr(report, "curves", fail)
    with pytest.raises(RuntimeError, match="no font"):
        run(tmp_path / "run", epochs=1)
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["epochs"] == 1


@pytest.mark.usefixtures("no_pictures")
def test_a_result_that_is_no_number_is_null(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Trainer, "evaluate", lambda self, data: {"loss": math.inf, "accuracy": 0.5})
    folder = run(tmp_path / "run", epochs=1)
    assert json.loads((folder / "summary.json").read_text())["test_loss"] is None


@pytest.mark.usefixtures("no_pictures")
def test_accumulated_and_clipped_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainers, fit = [], Trainer.fit

    def remember(self: Trainer, *args: Any) -> Any:
        trainers.append(self)
        return fit(self, *args)

    monkeypatch.setattr(Trainer, "fit", remember)
    run(tmp_path / "run", accumulate=3, clip_norm=0.5)  # 2 epochs of 4 batches: steps of 3 and 1
    (trainer,) = trainers
    assert (trainer.accumulate, trainer.clip_norm, trainer.step) == (3, 0.5, 4)
    assert trainer.optimizer is not None
    assert trainer.optimizer.param_groups[0]["lr"] == pytest.approx(0, abs=1e-12)  # the schedule has reached its end


@pytest.mark.usefixtures("no_pictures")
def test_predict_reads_a_picture_of_any_polarity(
    tmp_path: Path, few_digits: tuple[ImageSet, ImageSet], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run(tmp_path / "run")
    image = few_digits[1].images[0]
    paths = [write_picture(tmp_path / "dark.png", image), write_picture(tmp_path / "light.png", 1 - image)]
    capsys.readouterr()
    answers = predict(folder, CNNSettings(device="cpu"), paths)
    lines = capsys.readouterr().out.splitlines()
    assert len(answers) == 2
    for path, answer, line in zip(paths, answers, lines, strict=True):
        assert line.startswith(f"{path}: {answer} (")
        assert " %), or else " in line
    assert answers[0] == answers[1]


@pytest.mark.usefixtures("no_pictures")
def test_pictures_of_clothes_have_names_and_fill_the_frame(
    tmp_path: Path,
    few_digits: tuple[ImageSet, ImageSet],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = run(tmp_path / "run", data="fashion-mnist")
    capsys.readouterr()
    boxes, read = [], pictures.read_digit
    monkeypatch.setattr(pictures, "read_digit", lambda path, box: boxes.append(box) or read(path, box=box))
    predict(folder, CNNSettings(data="fashion-mnist"), [write_picture(tmp_path / "x.png", few_digits[1].images[0])])
    answer = capsys.readouterr().out.split(": ")[1]
    assert answer.startswith(pictures.CLOTHES)
    assert boxes == [28]


@pytest.mark.usefixtures("no_pictures")
def test_ctrl_c_keeps_the_last_full_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = Trainer._train_step

    def interrupted(self: Trainer, *args: object) -> None:
        if self.step == 6:
            raise KeyboardInterrupt
        step(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Trainer, "_train_step", interrupted)
    with pytest.raises(
        KeyboardInterrupt,
        match=r"go on with `minimodels train cnn --out .*run --resume`; .* keeps the run as it was after step 4\.",
    ):
        run(tmp_path / "run", epochs=5)
    assert load_tensors(tmp_path / "run" / "model.safetensors")[1]["epochs"] == 1
    assert len((tmp_path / "run" / "metrics.csv").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data_dir": Path("somewhere")}, "--data-dir somewhere: digits need no folder"),
        ({"data": "mnist", "split": "writers"}, "--split writers: mnist has one split"),
        ({"epochs": 0}, "--epochs 0: must be at least 1"),
        ({"batch_size": 0}, "--batch-size 0: must be at least 1"),
        ({"lr": float("nan")}, "--lr nan: must be a finite number"),
        ({"lr": -1.0}, "--lr -1.0: must be above 0"),
        ({"data": "minst"}, "did you mean mnist?"),
        ({"device": "gpu"}, "--device gpu: there is no such device here; choose --device auto, --device cpu"),
        ({"accumulate": 0}, "--accumulate 0: must be at least 1"),
        ({"clip_norm": 0}, "--clip-norm 0: must be above 0"),
    ],
)
def test_settings_that_cannot_be_used_touch_nothing(tmp_path: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as caught:
        run(tmp_path / "run", **options)
    assert message in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_rate_that_is_too_high_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the loss is nan by step .* --lr.* --clip-norm"):
        run(tmp_path / "run", lr=1e30, warmup=0)
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_a_batch_is_not_larger_than_the_data(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"--batch-size 65: there are 64 samples to train on, which do not fill a batch"
    ):
        run(tmp_path / "run", batch_size=65, epochs=1)
    assert not (tmp_path / "run").exists()


def test_defaults_that_depend_on_the_data_are_written_down() -> None:
    assert CNNSettings().resolved().epochs == 25
    assert CNNSettings(data="mnist").resolved().epochs == 5
    assert CNNSettings(epochs=3).resolved().epochs == 3
    there = CNNSettings(data="mnist", data_dir=Path("x")).resolved().data_dir
    assert there is not None
    assert there.is_absolute()


def test_evaluation_on_other_data_forgets_folder_and_split() -> None:
    chosen = CNNSettings(data="mnist", data_dir=Path("x"))
    assert chosen.for_evaluation(data="digits").data_dir is None
    assert chosen.for_evaluation(data="mnist").data_dir == Path("x")
    assert CNNSettings(split="writers").for_evaluation(data="mnist").split == "random"
    assert CNNSettings(split="writers").for_evaluation(device="cpu").split == "writers"


def test_every_recipe_is_found_and_has_a_config_file_of_its_own(tmp_path: Path) -> None:
    for name in RECIPES:
        chosen = find_recipe(name).settings()
        write_config(tmp_path / "config.json", name, chosen)
        assert read_config(tmp_path / "config.json") == (name, chosen.to_json())
    with pytest.raises(InputError, match=r"recipe cmn: .* did you mean cnn"):
        find_recipe("cmn")


def test_the_network_is_built_from_our_layers_alone() -> None:
    for part in ConvNet().modules():
        assert isinstance(part, nn.Sequential) or type(part).__module__.startswith("minimodels.")
