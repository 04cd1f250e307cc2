"""The character LSTM recipe: it reads, it carries its state, it writes."""

import json
from pathlib import Path

import pytest
import torch

from minimodels import nn
from minimodels.cli import main
from minimodels.errors import InputError
from minimodels.models import CharLSTM
from minimodels.recipes import char_lstm
from minimodels.recipes.char_lstm import Carrying, CharLSTMSettings, bits_per_character, evaluate, load, predict, train
from minimodels.recipes.runs import read_config

SONG = "la li lu, nur der Mann im Mond schaut zu. " * 40


@pytest.fixture(autouse=True)
def quick(no_pictures: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(char_lstm, "SAMPLE", 20)


@pytest.fixture
def song(tmp_path: Path) -> Path:
    path = tmp_path / "song.txt"
    path.write_text(SONG)
    return path


def run(folder: Path, **options: object) -> Path:
    small = {"epochs": 1, "batch_size": 4, "hidden": 16, "layers": 1, "length": 20, "device": "cpu", "dropout": 0.0}
    return train(CharLSTMSettings(**{**small, "out": folder, **options}))


def restored(folder: Path) -> CharLSTMSettings:
    return CharLSTMSettings.from_json(read_config(folder / "config.json")[1], "config.json")


def test_it_learns_a_song_and_sings_it(tmp_path: Path, song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run(tmp_path / "run", data=str(song), epochs=12, lr=3e-2, hidden=48, temperature=0.0, prompt="la li lu,")
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["test_bits_per_character"] < 0.5
    assert summary["test_bits_per_character"] == pytest.approx(summary["test_loss"] / 0.6931472, rel=1e-4)
    out = capsys.readouterr().out
    assert "test bits per character " in out
    assert out.endswith("la li lu, nur der Mann im Mon\n")  # the prompt and twenty characters more
    assert evaluate(folder, restored(folder))["bits_per_character"] < 0.5
    capsys.readouterr()
    assert predict(folder, restored(folder), [("x", "der Mann"), ("y", "nur")]) == [
        "der Mann im Mond schaut zu. ",
        "nur der Mann im Mond sc",
    ]


def test_the_same_from_the_command_line(tmp_path: Path, song: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "run")
    flags = ["--epochs", "1", "--hidden", "4", "--layers", "1", "--device", "cpu", "--out", out]
    assert main(["train", "char-lstm", "--data", str(song), *flags]) == 0
    capsys.readouterr()
    texts = []
    for seed in ("0", "0", "1"):
        assert main(["predict", out, "--text", "la", "--seed", seed, "--temperature", "2", "--device", "cpu"]) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] != texts[2]
    assert main(["predict", out, "--text", ""]) == 2
    assert '"": the text is empty; give at least one character' in capsys.readouterr().err
    assert main(["evaluate", out, "--data", str(song)]) == 0


def test_one_seed_gives_the_same_bytes(tmp_path: Path, song: Path) -> None:
    one, two, other = (
        run(tmp_path / name, data=str(song), seed=seed, dropout=0.3) for name, seed in (("1", 7), ("2", 7), ("3", 8))
    )
    for name in ("metrics.csv", "model.safetensors"):
        assert (one / name).read_bytes() == (two / name).read_bytes()
        assert (one / name).read_bytes() != (other / name).read_bytes()


def test_the_state_is_carried_and_its_gradient_is_not() -> None:
    model = CharLSTM(5, 3, 4, 1).double()
    tokens = torch.randint(5, (2, 6))
    carrying = Carrying(model)
    begin, go_on = torch.tensor([True]), torch.tensor([False])
    pieces = torch.cat([carrying(tokens[:, :2], begin), carrying(tokens[:, 2:], go_on)], 2)
    torch.testing.assert_close(pieces, model(tokens)[0].transpose(1, 2))
    again = carrying(tokens[:, :2], begin)
    torch.testing.assert_close(again, pieces[:, :, :2])
    again.sum().backward()
    carrying(tokens[:, 2:], go_on).sum().backward()  # would fail if it reached into the graph that is gone
    assert list(carrying.state_dict()) == [f"model.{name}" for name in model.state_dict()]


def test_bits() -> None:
    logits, targets = torch.randn(3, 7, 4), torch.randint(7, (3, 4))
    total, count = bits_per_character(logits, targets)
    expected = -torch.log2(logits.softmax(1).gather(1, targets[:, None])).sum()
    torch.testing.assert_close(total, expected)
    assert count == 12


def test_texts_that_can_be_read(tmp_path: Path) -> None:
    train_text, test_text = load("topics")
    assert len(train_text) / (len(train_text) + len(test_text)) == pytest.approx(0.9, abs=1e-4)
    (tmp_path / "b.txt").write_text("bb" * 10)
    (tmp_path / "a.txt").write_text("aa" * 10)
    assert "".join(load(str(tmp_path))) == "aa" * 10 + "\n\n" + "bb" * 10


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such file"),
        (b"", "holds 0 characters, too few to learn from"),
        (b"abc", "holds 3 characters, too few"),
        (b" " * 100, "too few to learn from"),
        (b" " * 100 + b"ab", "too few to learn from"),
        (b"ab\xff" * 50, "line 1: byte 2 (0xff) is not UTF-8"),
    ],
)
def test_texts_that_cannot_be_used_touch_nothing(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "x.txt").write_bytes(content)
    with pytest.raises(InputError) as caught:
        run(tmp_path / "run", data=str(tmp_path / "x.txt"))
    assert message in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_folder_without_texts_is_said_to_have_none(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").touch()
    with pytest.raises(InputError, match=r"--data .*: has no \.txt file; give something to read\.$"):
        load(str(tmp_path))


def test_the_model_is_built_from_our_layers_alone() -> None:
    for part in CharLSTM(5).modules():
        assert isinstance(part, nn.Module)
        assert type(part).__module__.startswith("minimodels.")
