"""The residual network's recipe: it is the digit CNN's with another network and another optimiser."""

import json
from pathlib import Path

import pytest

from minimodels.checkpoint import load_tensors
from minimodels.data import ImageSet
from minimodels.errors import InputError
from minimodels.recipes.resnet import RECIPE, ResNetSettings
from minimodels.recipes.runs import read_config
from minimodels.training import Trainer
from tests.recipes.test_cnn import write_picture

train, evaluate, predict = RECIPE.train, RECIPE.evaluate, RECIPE.predict
pytestmark = pytest.mark.usefixtures("few_digits")


def run(folder: Path, **options: object) -> Path:
    small = {"epochs": 1, "batch_size": 16, "depth": 8, "device": "cpu"}
    return train(ResNetSettings(**{**small, "out": folder, **options}))


def test_a_run_from_settings_to_folder_and_back(
    tmp_path: Path, few_digits: tuple[ImageSet, ImageSet], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run(tmp_path / "run", epochs=2)
    assert {path.name for path in folder.iterdir()} == {
        *("config.json", "metrics.csv", "timing.csv", "model.safetensors", "summary.json"),
        *("curves.png", "mistakes.png", "filters.png", "checkpoints", ".lock"),
    }
    summary = json.loads((folder / "summary.json").read_text())
    tensors, about = load_tensors(folder / "model.safetensors")
    assert about["model"] == "ResNet"
    assert tensors["bn1.num_batches_tracked"] == 8  # 2 epochs of 4 batches: what the norms have seen is saved too
    chosen = ResNetSettings.from_json(read_config(folder / "config.json")[1], "config.json")
    assert evaluate(folder, chosen)["accuracy"] == pytest.approx(summary["test_accuracy"])
    capsys.readouterr()
    (answer,) = predict(folder, chosen, [write_picture(tmp_path / "a.png", few_digits[1].images[0])])
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'a.png'}: {answer} (")


@pytest.mark.usefixtures("no_pictures")
def test_the_settings_reach_the_optimiser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainers, fit = [], Trainer.fit
    monkeypatch.setattr(Trainer, "fit", lambda self, *args: trainers.append(self) or fit(self, *args))
    run(tmp_path / "run", weight_decay=0.25)
    (group,) = trainers[0].optimizer.param_groups
    assert (type(trainers[0].optimizer).__name__, group["momentum"], group["weight_decay"]) == ("SGD", 0.9, 0.25)


@pytest.mark.usefixtures("no_pictures")
def test_one_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    one, two = (run(tmp_path / name, seed=7) for name in ("one", "two"))
    for name in ("metrics.csv", "model.safetensors"):
        assert (one / name).read_bytes() == (two / name).read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 18}, "--depth 18: this form has 6n + 2 layers; give 8, 14, 20, 32, 44, 56 or 110."),
        ({"depth": 2}, "--depth 2: must be at least 8"),
        ({"weight_decay": -1.0}, "--weight-decay -1.0: must be at least 0"),
    ],
)
def test_settings_that_cannot_be_used_touch_nothing(tmp_path: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as caught:
        run(tmp_path / "run", **options)
    assert message in str(caught.value)
    assert not (tmp_path / "run").exists()
