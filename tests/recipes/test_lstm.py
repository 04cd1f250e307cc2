"""The LSTM recipe, from settings to a run folder and back: text, sequences, one's own files, and what is refused."""

import csv
import json
from pathlib import Path

import pytest
import torch

from minimodels import nn
from minimodels.checkpoint import load_tensors
from minimodels.cli import main
from minimodels.data import TextSet, Vocabulary
from minimodels.data.sequences import _sums
from minimodels.errors import InputError
from minimodels.models import LSTMClassifier, TextClassifier
from minimodels.recipes import lstm, lstm_data, lstm_model
from minimodels.recipes.lstm import LSTMSettings, evaluate, predict, train
from minimodels.recipes.lstm_data import Loaded
from minimodels.recipes.runs import read_config


@pytest.fixture(autouse=True)
def quick(no_pictures: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """No pictures and a short baseline: both have tests of their own."""
    monkeypatch.setattr(lstm_model, "BIGRAM_EPOCHS", 1)


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    """A table of reviews that two words tell apart."""
    lines = [f"the film was {'good' if n % 2 else 'bad'} , {'and' * (n % 3)} long\t{n % 2}" for n in range(60)]
    path = tmp_path / "reviews.tsv"
    path.write_text("\n".join(lines))
    return path


def run(folder: Path, **options: object) -> Path:
    small = {"epochs": 2, "batch_size": 8, "hidden": 8, "device": "cpu", "threads": torch.get_num_threads()}
    return train(LSTMSettings(**{**small, "out": folder, **options}))


def restored(folder: Path) -> LSTMSettings:
    return LSTMSettings.from_json(read_config(folder / "config.json")[1], "config.json")


def test_texts_of_ones_own(tmp_path: Path, reviews: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run(tmp_path / "run", data=str(reviews), epochs=15, lr=1e-2, dropout=0.0, layers=1)
    assert {path.name for path in folder.iterdir()} == {
        *("config.json", "metrics.csv", "timing.csv", "model.safetensors", "summary.json", "vocabulary.json"),
        *("checkpoints", ".lock"),
    }
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["test_accuracy"] == 1.0
    assert summary["baseline"] == "logistic regression on bigrams"
    assert 0 <= summary["baseline_accuracy"] <= 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("baseline, logistic regression on bigrams: test accuracy ")
    assert f"{reviews}: 54 samples to train on, 6 to test with" in lines
    assert lines[-1].startswith("test accuracy 100.00 % after 15 epochs")

    assert evaluate(folder, restored(folder))["accuracy"] == 1.0
    assert ": test accuracy 100.00 % (6 of 6), loss " in capsys.readouterr().out
    texts = [("first", "the film was good"), ("second", "was the film bad")]
    sure = predict(folder, restored(folder), texts)
    assert [probability > 0.5 for probability in sure] == [True, False]
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"first: 1 ({100 * sure[0]:.1f} %)"
    assert second == f"second: 0 ({100 * (1 - sure[1]):.1f} %)"


def test_the_same_from_the_command_line(tmp_path: Path, reviews: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "run")
    flags = ["--epochs", "1", "--hidden", "4", "--layers", "1", "--batch-size", "8", "--device", "cpu", "--out", out]
    assert main(["train", "lstm", "--data", str(reviews), *flags]) == 0
    (tmp_path / "mine.txt").write_text("a good one")
    capsys.readouterr()
    assert main(["predict", out, "--text", "good", str(tmp_path / "mine.txt"), "--device", "cpu", "--text=bad"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(": ")[0] for line in lines] == [str(tmp_path / "mine.txt"), '"good"', '"bad"']
    assert main(["predict", out]) == 2
    assert 'give a text file, or a text itself: --text "..."' in capsys.readouterr().err
    assert main(["predict", out, "--text", " \n "]) == 2
    assert '"": the text is empty' in capsys.readouterr().err
    assert main(["predict", out, str(tmp_path / "none.txt")]) == 2
    assert "none.txt: there is no such file" in capsys.readouterr().err
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    assert main(["predict", out, str(tmp_path / "latin.txt")]) == 2
    assert "latin.txt, line 1: byte 3 (0xe9) is not UTF-8" in capsys.readouterr().err
    assert main(["evaluate", out, "--data", "sst2"]) == 2
    assert "--data-dir" in capsys.readouterr().err


def test_one_seed_gives_the_same_bytes_and_another_does_not(tmp_path: Path, reviews: Path) -> None:
    options = {"data": str(reviews), "dropout": 0.5}
    one, two, other = (run(tmp_path / name, seed=seed, **options) for name, seed in (("1", 7), ("2", 7), ("3", 8)))
    for name in ("metrics.csv", "model.safetensors"):
        assert (one / name).read_bytes() == (two / name).read_bytes()
        assert (one / name).read_bytes() != (other / name).read_bytes()


def test_prose_or_code_with_characters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train_set = TextSet(["it is said", "if x == y:"] * 8, torch.tensor([0.0, 1.0] * 8), ("prose", "code"))
    monkeypatch.setattr(lstm_data, "load_prose_or_code", lambda: (train_set, train_set))
    folder = run(tmp_path / "run")
    assert read_config(folder / "config.json")[1]["tokens"] == "characters"
    vocabulary = json.loads((folder / "vocabulary.json").read_text())
    assert (vocabulary["kind"], vocabulary["labels"]) == ("characters", ["prose", "code"])
    assert load_tensors(folder / "model.safetensors")[1]["model"] == "TextClassifier"
    assert "lstm.weight_ih_l2" in " ".join(load_tensors(folder / "model.safetensors")[0])


def test_the_adding_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lengths = []

    def few(length: int) -> tuple[object, object]:
        lengths.append(length)
        return _sums(64, length, 0), _sums(32, length, 1)

    monkeypatch.setattr(lstm_data, "load_adding", few)
    folder = run(tmp_path / "run", data="adding", length=12, epochs=1)
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["baseline"] == "always the mean"
    assert 0.1 < summary["baseline_squared_error"] < 0.25
    assert summary["test_squared_error"] == pytest.approx(summary["test_loss"], rel=1e-5)
    assert " squared error " in capsys.readouterr().out.splitlines()[-1]
    assert not (folder / "vocabulary.json").exists()
    evaluate(folder, restored(folder).for_evaluation(length=20))
    assert lengths == [12, 20]
    with pytest.raises(InputError, match="was trained on adding, not on text"):
        predict(folder, restored(folder), [("x", "y")])


def test_digits_by_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, labels = torch.rand(20, 28, 28), torch.arange(20) % 10
    monkeypatch.setattr(lstm_data, "load_digit_rows", lambda: ((rows, labels),) * 2)
    monkeypatch.setattr(lstm, "baseline", lambda *parts: ("none", 0.1))
    folder = run(tmp_path / "run", data="digits-rows", epochs=1)
    with (folder / "metrics.csv").open(newline="") as file:
        assert "val_accuracy" in next(csv.DictReader(file))


def test_baselines_without_a_network() -> None:
    data = Loaded(_sums(4000, 10, 0), _sums(1000, 10, 1))
    name, error = lstm.baseline(LSTMSettings(data="adding"), data, None, torch.device("cpu"))
    assert (name, error) == ("always the mean", pytest.approx(1 / 6, rel=0.1))


def test_the_models_that_settings_describe() -> None:
    chosen = LSTMSettings(data="adding").resolved()
    model = lstm.build(chosen, None)
    assert isinstance(model, LSTMClassifier)
    assert (model.lstm.num_layers, model.lstm.input_size) == (1, 2)
    chosen = LSTMSettings(data="sst2").resolved()
    text = lstm.build(chosen, Vocabulary("words", ["a"]))
    assert isinstance(text, TextClassifier)
    assert text.embedding.weight.shape == (3, 100)
    assert (text.classifier.lstm.num_layers, text.classifier.lstm.hidden_size, text.classifier.lstm.dropout) == (
        3,
        128,
        0.5,
    )
    assert LSTMSettings().resolved().dropout == 0.0
    for part in text.modules():
        assert isinstance(part, nn.Module)
        assert type(part).__module__.startswith("minimodels.")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"data": "ssst2"}, "there are no such data and no such file; give prose-or-code, adding, digits-rows, sst2,"),
        ({"data": "ssst2"}, "did you mean sst2?"),
        ({"data": "sst2"}, "sst2: give the folder that holds its files with --data-dir"),
        ({"data_dir": Path("x")}, "x: is for sst2, rt-polarity or imdb; leave this flag out"),
        ({"test": Path("x")}, "x: prose-or-code has a test set of its own"),
        ({"length": 1}, "--length 1: must be at least 2"),
        ({"layers": 0}, "--layers 0: must be at least 1"),
        ({"dropout": 1.5}, "--dropout 1.5: must be at most 1"),
        ({"tokens": "letters"}, "--tokens letters: choose characters or words"),
        ({"device": "gpu"}, "--device gpu"),
    ],
)
def test_settings_that_cannot_be_used_touch_nothing(tmp_path: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError) as caught:
        run(tmp_path / "run", **options)
    assert message in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_texts_that_cannot_be_used_touch_nothing(tmp_path: Path) -> None:
    path = tmp_path / "reviews.tsv"
    path.write_text("good\t1\nbad\t3\n")
    with pytest.raises(InputError, match="line 2: the label is '3'"):
        run(tmp_path / "run", data=str(path))
    assert not (tmp_path / "run").exists()


def test_a_test_set_of_ones_own(tmp_path: Path, reviews: Path) -> None:
    other = tmp_path / "other.tsv"
    other.write_text("good\t1\nbad\t0\n")
    loaded = lstm_data.load(str(reviews), None, other, 200)
    assert (len(loaded.train.texts), len(loaded.test.texts)) == (60, 2)
    for part in ("train", "test"):
        for kind in ("ham", "spam"):
            (tmp_path / "mail" / part / kind).mkdir(parents=True)
            (tmp_path / "mail" / part / kind / "1.txt").write_text(f"{part} {kind}")
    loaded = lstm_data.load(str(tmp_path / "mail"), None, None, 200)
    assert (loaded.train.texts, loaded.test.texts) == (["train ham", "train spam"], ["test ham", "test spam"])


def test_who_was_trained_on_one_set_of_reviews_is_not_measured_on_the_other() -> None:
    for one, other in (("sst2", "rt-polarity"), ("rt-polarity", "sst2")):
        with pytest.raises(InputError, match="shares many sentences"):
            LSTMSettings(data=one).for_evaluation(data=other)
    assert LSTMSettings(data="imdb", data_dir=Path("x")).for_evaluation(data="sst2").data_dir is None
    assert LSTMSettings(data="imdb", data_dir=Path("x")).for_evaluation(device="cpu").data_dir == Path("x")


@pytest.mark.parametrize(
    ("data", "other"),
    [("sst2", "adding"), ("prose-or-code", "digits-rows"), ("adding", "imdb"), ("adding", "digits-rows")],
)
def test_who_was_trained_on_texts_is_not_measured_on_numbers(data: str, other: str) -> None:
    with pytest.raises(InputError, match=f"--data {other}: is of another kind than {data}, which is all"):
        LSTMSettings(data=data).for_evaluation(data=other)
    assert LSTMSettings(data="adding").for_evaluation(data="adding", length=9).length == 9


def test_a_text_without_a_token_is_named() -> None:
    with pytest.raises(InputError, match=r"text 2 .* has no token in it"):
        lstm_data.encoded(["a", " \n"], Vocabulary("words", ["a"]))
