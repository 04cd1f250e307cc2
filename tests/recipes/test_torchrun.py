"""Several processes as a user runs them: torchrun, signals, resuming, and one voice whatever happens.

What does not ask how the processes were started is done by forked ones, which need not import PyTorch each.
"""

import csv
import io
import json
import os
import resource
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import torch

from minimodels.checkpoint import States, load_tensors
from minimodels.cli import main
from minimodels.inspection import report
from minimodels.recipes.runs import CHECKPOINTS, PRETRAINED
from minimodels.training import Trainer
from tests.distributed import run as forked

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds the processes in Linux' /proc")

ROOT = Path(__file__).parents[2]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
HERE = ["--threads", "1", "--device", "cpu"]
PATIENCE = 120
"""Seconds after which a run hangs, as far as these tests are concerned."""

GPT = "gpt --tokenizer char --layers 2 --width 16 --heads 2 --context 16 --batch-size 6 --steps 12 --eval-every 12"
SONG = "char-lstm --hidden 8 --length 8 --batch-size 6 --epochs 2"


@pytest.fixture
def song(tmp_path: Path) -> Path:
    path = tmp_path / "song.txt"
    path.write_text("Row, row, row your boat, gently down the stream. Merrily, merrily, life is but a dream.\n" * 10)
    return path


@pytest.fixture(autouse=True)
def no_pictures_there_either(no_pictures: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To import matplotlib and to draw would take the processes longer than to train."""
    (tmp_path / "absent").mkdir()
    (tmp_path / "absent" / "matplotlib.py").write_text("raise ImportError")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "absent"), prepend=os.pathsep)


@pytest.fixture(autouse=True)
def nobody_left(tmp_path: Path) -> Iterator[None]:
    """Whatever a test does, none of its processes outlives it."""
    yield
    left = processes(tmp_path)
    for pid in left.values():
        os.kill(pid, signal.SIGKILL)
    assert not left


def processes(folder: Path) -> dict[str, int]:
    """The processes of a run, by their ranks; torchrun itself is "main"."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder) in (place / "cmdline").read_text():
                words = (place / "environ").read_text().split("\0")
                found[next((word[5:] for word in words if word.startswith("RANK=")), "main")] = int(place.name)
        except OSError:  # it has ended
            continue
    return found


def start(words: list[str], **options: Any) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, **options
    )


def end(run: "subprocess.Popen[str]") -> tuple[int, str, list[str]]:
    """Exit status, stdout, and the sentences of ours on stderr; a traceback of ours is an error."""
    out, errors = run.communicate(timeout=PATIENCE)
    assert str(ROOT / "minimodels") not in errors, errors
    return run.returncode, out, [line for line in errors.splitlines() if line.startswith("minimodels")]


def several(command: list[str], number: int = 2, **options: Any) -> "subprocess.Popen[str]":
    """A run of several processes that begins."""
    return start([*TORCHRUN, f"--nproc_per_node={number}", "train.py", *command, *HERE], **options)


def together(command: list[str], number: int = 2) -> None:
    """Several forked processes run to the end."""
    results = forked(number, trained, command)
    assert [status for status, *_ in results] == [0] * number, results
    assert not any("minimodels" in said for *_, said in results), results
    assert ["the run folder is" in said for _, said, _ in results] == [True] + [False] * (number - 1)  # one speaks


def trained(command: list[str], most: int | None = None, last: int | None = None) -> tuple[int, str, str]:
    """In one of the forked processes: exit status, stdout and stderr of a run.

    Its files grow to `most` bytes at most, and after the step `last` it is stopped, wherever it is.
    """
    report.can_draw = lambda: False
    if most is not None:
        limit(most)
    if last is not None:
        Trainer._train_step = stopped_after(last)  # type: ignore[method-assign]
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as errors:
        status = main(["train", *command, *HERE])
    return status, out.getvalue(), errors.getvalue()


def stopped_after(last: int) -> Callable[..., None]:
    """A trainer's step, but that the run is stopped in the place of the one after so many."""
    step = Trainer._train_step

    def breaking(self: Trainer, *args: Any) -> None:
        if self.step == last:
            raise KeyboardInterrupt
        step(self, *args)

    return breaking


def begun(command: list[str], folder: Path, step: int, number: int = 2) -> "subprocess.Popen[str]":
    """A run of several processes that has just come so far."""
    run = several([*command, "--save-every", "1", "--out", str(folder), "--resume"], number)
    deadline = time.monotonic() + PATIENCE
    while reached(folder) < step:
        assert run.poll() is None, run.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return run


def reached(folder: Path) -> int:
    """The step of the newest state."""
    newest = States(folder / CHECKPOINTS).newest()
    return 0 if newest is None else int(newest.name.split("-")[1])


def left(folder: Path) -> dict[str, bytes]:
    """What a run comes to."""
    names = ("model.safetensors", "metrics.csv", "sample.txt")
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*")) if path.name in names}


def test_sharded_processes_that_were_stopped_and_killed_go_on_bit_for_bit(tmp_path: Path, song: Path) -> None:
    """By SIGTERM to torchrun and, gone on by the very command that was then named, by SIGKILL to all processes."""
    command = [*f"{GPT} --dropout 0.1 --accumulate 2 --ema 0.9 --shard --data".split(), str(song)]
    together([*command, "--out", str(tmp_path / "whole")])
    folder = tmp_path / "broken"

    run = begun(command, folder, 2)
    run.send_signal(signal.SIGTERM)
    status, _, sentences = end(run)
    assert status != 0
    (sentence,) = sentences
    assert "Stopped by SIGTERM" in sentence
    assert 2 <= reached(folder) < 12
    words = shlex.split(sentence.split("`")[1])
    assert words[:3] == ["torchrun", "--standalone", "--nproc_per_node=2"]
    going_on = [*TORCHRUN, *words[2:]]

    run, before = start(going_on), reached(folder)
    assert run.stdout is not None
    said = iter(run.stdout.readline, "")
    assert f"resumed from the checkpoint after step {before}\n" in said
    while reached(folder) < before + 2 and run.poll() is None:
        time.sleep(0.01)
    for pid in processes(folder).values():
        os.kill(pid, signal.SIGKILL)
    run.communicate(timeout=PATIENCE)
    assert before < reached(folder) < 12

    assert end(start(going_on))[0] == 0
    assert left(folder) == left(tmp_path / "whole")


def test_a_dead_process_ends_the_others_and_the_run_goes_on_bit_for_bit(tmp_path: Path, song: Path) -> None:
    """First the main one dies, then another; the model carries what each has read, and drops out what it likes."""
    command = [*f"{SONG} --dropout 0.3 --layers 2 --data".split(), str(song)]
    together([*command, "--out", str(tmp_path / "whole")], 3)
    folder = tmp_path / "broken"
    for rank in "0", "1":
        run = begun([*command, "--timeout", "20"], folder, reached(folder) + 3, 3)
        os.kill(processes(folder)[rank], signal.SIGKILL)
        status, _, sentences = end(run)
        assert status != 0
        (sentence,) = sentences
        assert "another process of this run has died" in sentence
        assert "start the run again with --resume" in sentence
        assert not processes(folder)
    together([*command, "--out", str(folder), "--resume"], 3)
    assert left(folder) == left(tmp_path / "whole")


def test_a_run_goes_on_in_another_number_of_processes(
    tmp_path: Path, song: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From two sharded ones to one, and from one to two sharded ones, in the middle of an epoch."""
    saving = ["--save-every", "1", "--out"]
    command = [*f"{GPT} --dropout 0 --ema 0.9 --clip-norm 0.5 --data".split(), str(song)]
    whole, fewer, more = (tmp_path / name for name in ("whole", "fewer", "more"))
    assert main(["train", *command, *HERE, "--out", str(whole)]) == 0

    broken = forked(2, trained, [*command, "--shard", *saving, str(fewer)], None, 3)
    assert [status for status, *_ in broken] == [2, 2], broken
    assert reached(fewer) == 3
    assert main(["train", "gpt", "--out", str(fewer), "--resume", "--no-shard"]) == 0

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_train_step", stopped_after(3))
        assert main(["train", *command, *HERE, *saving, str(more)]) == 2
    assert reached(more) == 3
    status, out, sentences = end(several(["gpt", "--out", str(more), "--resume", "--shard"]))
    assert (status, sentences) == (0, []), (out, sentences)
    assert out.count("the run folder is") == 1  # one speaks

    for folder in fewer, more:
        alike(folder, whole)


def metrics(folder: Path) -> list[dict[str, float]]:
    """The lines of metrics.csv."""
    with (folder / "metrics.csv").open(newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def alike(folder: Path, other: Path) -> None:
    """The same results, but for how sums are rounded."""
    one, two = (load_tensors(each / PRETRAINED / "model.safetensors")[0] for each in (folder, other))
    torch.testing.assert_close(one, two, rtol=1e-6, atol=2e-6)  # the keys' biases follow rounding alone, as Adam does
    (first,), (second,) = metrics(folder), metrics(other)
    assert first == pytest.approx(second, rel=1e-6)


def test_what_is_wrong_is_said_once(tmp_path: Path, song: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A setting, the run of another recipe, a folder that cannot be made, a disk that is full."""
    command = [*SONG.split(), "--data", str(song), "--timeout", "30"]
    other = tmp_path / "other"
    assert main(["train", *GPT.split(), "--steps", "1", "--data", str(song), *HERE, "--out", str(other)]) == 0
    small = 9000  # bytes in a file: less than the model's, which one process writes
    full = ["--hidden", "32", "--out", str(tmp_path / "full")]
    where = f"--resume: {other} is a run of the recipe gpt, not of char-lstm"
    apart: list[tuple[list[str], str, dict[str, Any]]] = [  # here torchrun and its store decide who speaks
        (["--batch-size", "0"], "--batch-size 0: must be at least 1.", {}),
        (["--out", str(other), "--resume"], where, {}),
        (full, "model.safetensors: cannot be written", {"preexec_fn": lambda: limit(small)}),
    ]
    for flags, wanted, options in apart:
        status, _, sentences = end(several([*command, *flags], **options))
        assert status != 0
        assert len(sentences) == 1, (flags, sentences)
        assert wanted in sentences[0]
    agreed: list[tuple[list[str], str, int | None]] = [  # here the processes tell each other
        (["--out", str(song / "run")], str(song), None),
        ([*full, "--save-every", "1"], "step-00000001", small),
    ]
    for flags, wanted, most in agreed:
        results = forked(2, trained, [*command, *flags], most)
        assert [status for status, *_ in results] == [2, 2]
        said = [line for *_, errors in results for line in errors.splitlines()]
        assert len(said) == 1, (flags, said)
        assert wanted in said[0]

    capfd.readouterr()
    assert main(["train", *command, *HERE, "--recompute", "--out", str(tmp_path / "alone")]) == 2
    assert main(["train", *command, *HERE, "--shard", "--out", str(tmp_path / "alone")]) == 2
    said = capfd.readouterr().err
    assert "torchrun --standalone --nproc_per_node=2 -m minimodels train char-lstm --shard" in said
    assert not (tmp_path / "alone").exists()


def limit(size: int) -> None:
    """No file of this process, and of those that it starts, grows beyond so many bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


EVERYTHING = "--ema 0.9 --keep best --patience 3 --accumulate 2 --recompute --precision bfloat16 --clip-norm 1"


@pytest.mark.parametrize(
    "recipe", [f"{GPT} --eval-every 4 --shard", f"{GPT} --eval-every 4", "cnn --epochs 2 --no-recompute --shard"]
)
def test_everything_at_once(
    recipe: str, tmp_path: Path, song: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The summary is that of the model that was saved."""
    folder = tmp_path / "run"
    data = ["--data", str(song)] if recipe.startswith("gpt") else ["--batch-size", "256"]
    together([recipe.split()[0], *EVERYTHING.split(), *recipe.split()[1:], *data, "--out", str(folder)])
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["device"] == "2 x cpu"
    assert not any(path.name.endswith(".part") for path in folder.rglob("*"))
    assert len(metrics(folder)) == (3 if "gpt" in recipe else 2)

    found: dict[str, float] = {}
    fitting = sys.modules["minimodels.recipes.fitting"]
    evaluate = fitting.Trainer.evaluate
    monkeypatch.setattr(
        fitting.Trainer,
        "evaluate",
        lambda *given: found.update(evaluate(*given)) or dict(found),
    )
    assert main(["evaluate", str(folder)]) == 0
    expected = {name: summary[f"test_{name}"] for name in found}
    assert len(found) == 2
    assert found == pytest.approx(expected, rel=1e-2)
