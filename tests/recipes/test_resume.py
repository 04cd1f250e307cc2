"""A run that was stopped, killed or broken off goes on as if nothing had happened, and loses nothing."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from minimodels.checkpoint import States, load_tensors
from minimodels.cli import main
from minimodels.recipes.runs import CHECKPOINTS
from minimodels.training import Trainer
from minimodels.training.speed import Speed

ROOT = Path(__file__).parents[2]
THREADS = ["--threads", "1", "--device", "cpu"]


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """Reviews that are easily told apart."""
    path = tmp_path / "reviews.tsv"
    words = {0: ["dull", "sad", "long"], 1: ["bright", "short", "glad"]}
    lines = [f"a {one} and {two} one\t{label}" for label, kinds in words.items() for one in kinds for two in kinds]
    path.write_text("\n".join(lines * 6) + "\n")
    return path


@pytest.fixture
def song(tmp_path: Path) -> Path:
    path = tmp_path / "song.txt"
    path.write_text("Row, row, row your boat, gently down the stream. Merrily, merrily, life is but a dream.\n" * 30)
    return path


def command(recipe: str, texts: Path, song: Path) -> list[str]:
    """A small run of each recipe, with whatever remembers something."""
    flags = {
        "cnn": ["cnn", "--epochs", "2", "--ema", "0.9", "--batch-size", "16"],
        "resnet": ["resnet", "--epochs", "2", "--batch-size", "16", "--keep", "best"],
        "lstm": [
            "lstm",
            "--data",
            str(texts),
            "--epochs",
            "3",
            "--batch-size",
            "16",
            "--hidden",
            "8",
            "--dropout",
            "0.3",
        ],
        "char-lstm": ["char-lstm", "--data", str(song), "--epochs", "3", "--hidden", "8", "--batch-size", "8"],
        "gpt": ["gpt", "--data", str(song), "--tokenizer", "char", "--layers", "2", "--width", "16", "--heads", "2"],
    }
    gpt = ["--context", "16", "--steps", "12", "--eval-every", "4", "--dropout", "0.1", "--accumulate", "2"]
    return ["train", *flags[recipe], *(gpt if recipe == "gpt" else []), *THREADS]


def left(folder: Path) -> dict[str, Any]:
    """What a run comes to: the files that hold no times, and the last state without its timings."""
    kept: dict[str, Any] = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name in ("metrics.csv", "vocabulary.json", "sample.txt")
    }
    for path in folder.rglob("model.safetensors"):
        tensors, about = load_tensors(path)
        kept[str(path.relative_to(folder))] = (about, list(flat(tensors)))
    state = States(folder / CHECKPOINTS).load()
    kept["state"] = list(flat({name: part for name, part in state.items() if name not in ("timings", "speed")}))
    return kept


def flat(tree: Any, place: str = "") -> Any:
    """The leaves of a tree in one order, tensors as bytes."""
    if isinstance(tree, Tensor):
        yield place, tree.dtype, tuple(tree.shape), tree.reshape(-1).view(torch.uint8).numpy().tobytes()
    elif isinstance(tree, dict):
        for key, value in tree.items():
            yield from flat(value, f"{place}.{key}")
    elif isinstance(tree, list | tuple):
        for key, value in enumerate(tree):
            yield from flat(value, f"{place}.{key}")
    else:
        yield place, repr(tree)


def same(one: Path, other: Path) -> None:
    """The two runs came to the same."""
    first, second = left(one), left(other)
    assert first.keys() == second.keys()
    for name, content in first.items():
        assert content == second[name], name


@pytest.mark.usefixtures("few_digits", "no_pictures")
@pytest.mark.parametrize("recipe", ["cnn", "resnet", "lstm", "char-lstm", "gpt"])
def test_every_recipe_goes_on_bit_for_bit(
    recipe: str, tmp_path: Path, texts: Path, song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken off by an error in the middle of an epoch, the checkpoint being some steps old; and one seed fixes all."""
    run = command(recipe, texts, song)
    assert main([*run, "--out", str(tmp_path / "whole")]) == 0
    step, stops = Trainer._train_step, iter([3, 6])
    stop = next(stops)

    def breaking(self: Trainer, *args: Any) -> None:
        if self.step == stop and self.measure:  # not the baseline of the LSTM
            raise KeyboardInterrupt
        step(self, *args)

    monkeypatch.setattr(Trainer, "_train_step", breaking)
    going_on = ["--out", str(tmp_path / "broken"), "--resume"]
    assert main([*run, "--save-every", "2", *going_on]) == 2
    stop = next(stops)
    assert main(["train", run[1], *going_on]) == 2
    monkeypatch.setattr(Trainer, "_train_step", step)
    torch.manual_seed(99)
    assert main(["train", run[1], *going_on]) == 0
    same(tmp_path / "whole", tmp_path / "broken")


@pytest.mark.usefixtures("few_digits", "no_pictures")
@pytest.mark.parametrize("known", [True, False], ids=["now", "states of earlier versions"])
def test_an_epoch_of_which_only_the_measurement_is_left(
    known: bool, tmp_path: Path, texts: Path, song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process that goes on makes no step in it, and takes down all the same what the steps came to."""
    run = [*command("cnn", texts, song), "--save-every", "1"]
    assert main([*run, "--out", str(tmp_path / "whole")]) == 0

    def breaking(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    load = Speed.load_state_dict

    def lacking(self: Speed, state: dict[str, Any]) -> None:
        load(self, {name: value for name, value in state.items() if name != "operations"})

    if not known:
        monkeypatch.setattr(Speed, "load_state_dict", lacking)
    going_on = [*run, "--out", str(tmp_path / "broken"), "--resume"]
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "evaluate", breaking)
        assert main(going_on) == 2
    assert main(going_on) == 0
    same(tmp_path / "whole", tmp_path / "broken")
    timings = States(tmp_path / "broken" / CHECKPOINTS).load()["timings"]
    assert ["utilisation" in timing for timing in timings] == [known, True]
    assert "utilisation" in json.loads((tmp_path / "broken" / "summary.json").read_text())


FORKER = """
import json, os, sys
from minimodels import cli
from minimodels.data import ImageSet
from minimodels.inspection import report
from minimodels.recipes import RECIPES, find_recipe, pictures

report.can_draw = lambda: False  # what is killed is a run that trains
digits = pictures.load_data


def few_digits(chosen):
    return tuple(ImageSet(each.images[:most], each.labels[:most]) for each, most in zip(digits(chosen), (160, 40)))


pictures.load_data = few_digits
for name in RECIPES:
    find_recipe(name)  # imported once, for all the processes to come
for line in sys.stdin:
    process = os.fork()
    if process == 0:
        os.dup2(os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1)
        os.dup2(1, 2)
        os._exit(cli.main(json.loads(line)))
    print(process, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
"""
"""Runs every command that it reads in a process of its own: says its number at once, and its status when it ends."""


class Forker:
    """Runs commands in processes of their own, each of which can be killed."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.main = subprocess.Popen(
            [sys.executable, "-c", FORKER, str(log)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def start(self, words: list[str]) -> int:
        """Begin a command; its process."""
        assert self.main.stdin is not None
        self.main.stdin.write(json.dumps(words) + "\n")
        self.main.stdin.flush()
        return int(self.answer())

    def answer(self) -> str:
        assert self.main.stdout is not None
        return self.main.stdout.readline()

    def end(self) -> int:
        """Wait for the command; its status, below 0 for the signal that killed it."""
        return int(self.answer())


@pytest.fixture(scope="module")
def forker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forker]:
    forker = Forker(tmp_path_factory.mktemp("forker") / "log")
    yield forker
    forker.main.kill()
    forker.main.communicate()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked, and killed by SIGKILL, on POSIX")
@pytest.mark.parametrize(("recipe", "kills"), [("cnn", 7), ("lstm", 7), ("gpt", 6)])
def test_killed_at_any_moment(recipe: str, kills: int, tmp_path: Path, texts: Path, song: Path, forker: Forker) -> None:
    """SIGKILL, twenty times in all, at random moments of runs that save after every step."""
    run = [*command(recipe, texts, song), "--save-every", "1"]
    start = time.perf_counter()
    forker.start([*run, "--out", str(tmp_path / "whole")])
    assert forker.end() == 0, forker.log.read_text()
    length = time.perf_counter() - start
    folder, chance, ends = tmp_path / "killed", random.Random(recipe), []
    for _ in range(kills):
        process = forker.start([*run, "--out", str(folder), "--resume"])
        time.sleep(chance.random() * length / 2)
        with suppress(ProcessLookupError):  # it has ended
            os.kill(process, signal.SIGKILL)
        ends.append(forker.end())
        assert ends[-1] in (0, -signal.SIGKILL), forker.log.read_text()
        if States(folder / CHECKPOINTS).newest() is not None:
            States(folder / CHECKPOINTS).load()
    assert -signal.SIGKILL in ends
    forker.start([*run, "--out", str(folder), "--resume"])
    assert forker.end() == 0, forker.log.read_text()
    same(tmp_path / "whole", folder)
