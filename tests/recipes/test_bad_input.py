"""Whatever goes wrong with a run is one sentence and status 2, what was saved stays whole, and the run can go on."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch

from minimodels.checkpoint import States, weights
from minimodels.cli import main
from minimodels.errors import InputError
from minimodels.inspection import report
from minimodels.recipes import fitting
from minimodels.recipes.runs import CHECKPOINTS, CONFIG, LOCK, MODEL, SUMMARY
from minimodels.training import Trainer
from tests import commands

pytestmark = pytest.mark.usefixtures("few_digits", "no_pictures")
RUN = ("train", "cnn", "--batch-size", "16", "--device", "cpu")
SMALL = (*RUN, "--epochs", "2")


@pytest.fixture
def with_pictures(no_pictures: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are part of what is looked at."""
    monkeypatch.setattr(report, "can_draw", lambda: True)


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """The sentence of a command that must fail, without the program's name."""
    return commands.refused(capsys, *words).removeprefix("minimodels: ")


def trained(*words: object) -> None:
    assert main([str(word) for word in words]) == 0


def held(folder: Path) -> dict[str, bytes]:
    """Every file in a folder, byte for byte, but for the lock."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != LOCK
    }


def same_result(folder: Path, tmp_path: Path, *words: str) -> None:
    """The run came to what one comes to that nothing went wrong with."""
    trained(*(words or SMALL), "--out", tmp_path / "undisturbed")
    for name in ("metrics.csv", MODEL):
        assert (folder / name).read_bytes() == (tmp_path / "undisturbed" / name).read_bytes()


# Before anything is made


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--batch-size 0", "--batch-size 0: must be at least 1."),
        ("--lr nan", "--lr nan: must be a finite number."),
        ("--ema 1", "--ema 1: must be below 1."),
        ("--ema 0", "--ema 0: must be above 0."),
        ("--patience 0", "--patience 0: must be at least 1."),
        ("--keep-checkpoints 0", "--keep-checkpoints 0: must be at least 1."),
        ("--save-every 0", "--save-every 0: must be at least 1."),
        ("--timeout 0", "--timeout 0: must be above 0."),
        ("--accumulate 0", "--accumulate 0: must be at least 1."),
        ("--keep worst", "--keep worst: choose best or last."),
        (
            "--batch-size 65",
            "--batch-size 65: there are 64 samples to train on, which do not fill a batch; lower it.",
        ),
        (
            "--recompute",
            "--recompute: the model of this recipe has no repeated blocks that could be computed again; leave it out, "
            "and save memory by a lower --batch-size and a higher --accumulate.",
        ),
        (
            "--shard --precision float16",
            "--precision float16: a sharded model (--shard) needs the range of bfloat16; choose that.",
        ),
        (
            "--shard",
            "--shard: divides the model among several processes, and here is one alone; start them by `torchrun "
            "--standalone --nproc_per_node=2 -m minimodels train cnn --shard ...`, or go without (--no-shard).",
        ),
    ],
)
@pytest.mark.parametrize("resume", [False, True])
def test_bad_settings_leave_nothing_behind(
    words: str, sentence: str, resume: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    going_on = ["--resume"] if resume else []
    assert refused(capsys, *RUN, "--out", tmp_path / "run", *going_on, *words.split()) == sentence
    assert not (tmp_path / "run").exists()


def test_float16_trains_on_a_cpu_too(tmp_path: Path) -> None:
    trained(*RUN, "--epochs", "1", "--precision", "float16", "--out", tmp_path / "run")


# Going on in a folder that does not suit


def test_the_run_of_another_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trained(*SMALL, "--out", tmp_path)
    before = held(tmp_path)
    sentence = refused(capsys, "train", "resnet", "--resume", "--out", tmp_path)
    assert sentence == f"--resume: {tmp_path} is a run of the recipe cnn, not of resnet; choose another --out."
    assert held(tmp_path) == before


def test_what_a_killed_process_left_half_written_goes(tmp_path: Path) -> None:
    trained(*SMALL, "--out", tmp_path)
    before = held(tmp_path)
    (tmp_path / "model").mkdir()
    for left in (".curves.png.0123abcd.part", "model/.model.safetensors.4567cdef.part", ".metrics.csv.89abcdef.part"):
        (tmp_path / left).touch()
    (tmp_path / "mine.part").touch()
    trained(*SMALL, "--out", tmp_path, "--resume")
    assert held(tmp_path).keys() - before.keys() == {"mine.part"}


@pytest.mark.parametrize(
    ("words", "was", "now"),
    [
        ("--lr 0.1", "--lr 0.002", "--lr 0.1"),
        ("--epochs 3", "--epochs 2", "--epochs 3"),
        ("--batch-size 8", "--batch-size 16", "--batch-size 8"),
        ("--compile", "--no-compile", "--compile"),
        ("--ema 0.9", "--ema none", "--ema 0.9"),
    ],
)
def test_other_settings(words: str, was: str, now: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trained(*SMALL, "--out", tmp_path)
    before = held(tmp_path)
    sentence = refused(capsys, "train", "cnn", "--resume", "--out", tmp_path, *words.split())
    assert sentence == (
        f"--resume: {tmp_path} was begun with {was} and cannot go on with {now}; give --out {tmp_path} --resume "
        f"alone to go on as it was begun, or choose another --out to begin a new run."
    )
    assert held(tmp_path) == before


def test_other_settings_that_nobody_gave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without --out a run goes on with the defaults, in the default folder; what the sentence says to do works."""
    monkeypatch.chdir(tmp_path)
    trained(*SMALL)
    assert "give --out runs/cnn-digits --resume alone" in refused(capsys, "train", "cnn", "--resume")
    trained("train", "cnn", "--out", "runs/cnn-digits", "--resume")


def test_a_folder_that_is_no_run_is_left_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "holiday.jpg").write_text("sun")
    sentence = refused(capsys, *SMALL, "--resume", "--out", tmp_path)
    assert sentence == f"--resume: {tmp_path} holds files, but no run (it has no {CONFIG}); choose another --out."
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]


def test_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes").write_text("mine")
    sentence = refused(capsys, *SMALL, "--resume", "--out", tmp_path / "notes")
    assert sentence == f"--out {tmp_path / 'notes'}: is a file; give the name of a folder."
    assert (tmp_path / "notes").read_text() == "mine"


def test_a_folder_without_permission(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trained(*SMALL, "--out", tmp_path)
    before, opened = held(tmp_path), os.open

    def closed(path: Any, *args: Any, **options: Any) -> int:
        if str(path).endswith(LOCK):  # the superuser may write anywhere, so that a chmod would not do
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return opened(path, *args, **options)

    monkeypatch.setattr(os, "open", closed)
    sentence = refused(capsys, "train", "cnn", "--resume", "--out", tmp_path)
    assert sentence == (f"{tmp_path / LOCK}: permission denied; change its permissions or choose another place.")
    assert held(tmp_path) == before


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX's")
def test_one_run_at_a_time_in_a_folder_and_the_lock_dies_with_its_process(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = "import sys, filelock; lock = filelock.FileLock(sys.argv[1]); lock.acquire(); print(flush=True); input()"
    command = [sys.executable, "-c", code, str(tmp_path / LOCK)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as other:
        assert other.stdout is not None
        other.stdout.readline()
        sentence = refused(capsys, *SMALL, "--resume", "--out", tmp_path)
        assert sentence == (
            f"{tmp_path}: another run is writing to this folder at this moment; wait until it ends, or choose another "
            f"with --out."
        )
        other.kill()
    trained(*SMALL, "--resume", "--out", tmp_path)


# Going on with a run that is complete


@pytest.mark.usefixtures("with_pictures")
def test_a_complete_run_stays_byte_for_byte(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trained(*SMALL, "--out", tmp_path)
    before, last = held(tmp_path), capsys.readouterr().out.splitlines()[-1]
    trained("train", "cnn", "--resume", "--out", tmp_path)
    said = capsys.readouterr().out.splitlines()
    assert "resumed from the checkpoint after step 8" in said
    assert "the run is complete: nothing is left to train" in said
    assert said[-1] == last
    assert held(tmp_path) == before


@pytest.mark.usefixtures("with_pictures")
def test_a_run_that_was_killed_before_its_summary_gets_one(tmp_path: Path) -> None:
    trained(*SMALL, "--out", tmp_path)
    before = held(tmp_path)
    (tmp_path / SUMMARY).unlink()
    trained("train", "cnn", "--resume", "--out", tmp_path)
    assert held(tmp_path).keys() == before.keys()


# While it trains


def full(*args: object, **options: object) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("victim", ["state", "model", "metrics"])
def test_a_full_disk_loses_nothing(
    victim: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The disk is full in the second epoch."""
    run, ended = tmp_path / "run", Trainer._epoch

    def filling(self: Trainer, *args: Any) -> Any:
        if self.epoch == 1:
            match victim:
                case "state":
                    monkeypatch.setattr("minimodels.checkpoint.pieces.write_tensors", full)
                case "model":
                    monkeypatch.setattr(weights, "save_file", full)
                case _:
                    monkeypatch.setattr("csv.DictWriter.writerows", full)
        return ended(self, *args)

    with monkeypatch.context():
        monkeypatch.setattr(Trainer, "_epoch", filling)
        sentence = refused(capsys, *SMALL, "--out", run)
    monkeypatch.undo()
    assert sentence.startswith(str(run))
    assert sentence.endswith(": no space left on device; free some space or choose another disk with --out.")
    assert States(run / CHECKPOINTS).load()["step"] == 4
    assert not [path for path in run.rglob("*") if path.name.endswith((".part", ".tmp"))]


@pytest.mark.parametrize(
    ("recipe", "error"),
    [
        ("cnn", RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you")),
        ("resnet", torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.\nmore lines")),
        ("cnn", MemoryError()),
    ],
)
def test_memory_that_is_used_up(
    recipe: str, error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sentence says what to lower; and what it says about going on is true."""
    run = tmp_path / "run"
    words = ("train", recipe, *SMALL[2:], *(("--depth", "8") if recipe == "resnet" else ()))
    going_on = "go on with --resume --recompute, or " if recipe == "resnet" else ""
    assert failing(monkeypatch, 6, error, lambda: refused(capsys, *words, "--out", run)) == (
        f"out of memory ({str(error).partition(chr(10))[0].rstrip('.') or 'no more memory'}): {going_on}begin a new "
        f"run with a lower --batch-size (now 16) and an --accumulate that is higher by as much or with --precision "
        f"bfloat16; what was saved stays as it is."
    )
    assert States(run / CHECKPOINTS).load()["step"] == 4
    trained("train", recipe, "--resume", "--out", run, *(["--recompute"] if going_on else []))
    same_result(run, tmp_path, *words)


def failing(monkeypatch: pytest.MonkeyPatch, step: int, error: BaseException, work: Callable[[], str]) -> str:
    """What some work gives in which a step fails."""
    plain = Trainer._train_step

    def broken(self: Trainer, *args: Any) -> None:
        if self.step == step:
            raise error
        plain(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_train_step", broken)
        return work()


def test_another_error_is_not_taken_for_one_of_these(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error = RuntimeError("a bug")
    with pytest.raises(RuntimeError) as caught:
        failing(monkeypatch, 6, error, lambda: str(main([*SMALL, "--out", str(tmp_path / "run")])))
    assert caught.value is error


def test_a_loss_that_is_no_number_keeps_the_state_before(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    sentence = refused(capsys, *SMALL, "--lr", "1e30", "--save-every", "1", "--out", run)
    assert sentence.startswith("the loss is ")
    assert "features." in sentence
    assert "what was saved stays as it is; lower the learning rate" in sentence
    before = held(run)
    assert States(run / CHECKPOINTS).load()["step"] >= 1
    assert "cannot go on with --lr 0.001; give --out" in refused(
        capsys, "train", "cnn", "--resume", "--lr", "0.001", "--out", run
    )
    assert refused(capsys, "train", "cnn", "--resume", "--out", run) == sentence
    assert held(run) == before


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        ("cut", "its files are too short for its tensors; "),
        ("flipped", "is damaged"),
        ("newer", "in a newer format; upgrade minimodels, or "),
        ("foreign", "lacks state.json, so it is no state of minimodels; "),
    ],
)
def test_a_newest_state_that_cannot_be_read(
    damage: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The newest whole one is offered; and after what the sentence says was done, the run comes to the same."""
    run = tmp_path / "run"
    refuse = lambda: refused(capsys, *SMALL, "--save-every", "2", "--out", run)  # noqa: E731
    failing(monkeypatch, 6, InputError("stop."), refuse)
    older, newest = States(run / CHECKPOINTS).all()
    match damage:
        case "cut":
            os.truncate(next(newest.glob("*.safetensors")), 1000)
        case "flipped":
            path = next(newest.glob("*.safetensors"))
            content = path.read_bytes()
            path.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
        case "newer":
            monkeypatch.setattr("minimodels.checkpoint.manifest.STATE_FORMAT", 2)
            States(run / CHECKPOINTS).save(6, States(run / CHECKPOINTS).load())
            monkeypatch.setattr("minimodels.checkpoint.manifest.STATE_FORMAT", 1)
        case _:
            (newest / "state.json").rename(newest / "notes.json")
    sentence = refused(capsys, "train", "cnn", "--resume", "--out", run)
    assert sentence.startswith(f"{newest}: ")
    assert problem in sentence
    assert sentence.endswith(f"delete that folder, and --resume goes on from {older}, which is whole.")
    subprocess.run(["rm", "-r", str(newest)], check=True)
    trained("train", "cnn", "--resume", "--out", run)
    same_result(run, tmp_path)


# What is not installed


def test_no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from torch._inductor.exc import InductorError, InvalidCxxCompiler

    def missing(*args: object) -> NoReturn:
        raise InductorError(InvalidCxxCompiler(), None)

    monkeypatch.setattr(torch, "compile", lambda module: missing)
    monkeypatch.setattr(fitting.Trainer, "_operations", lambda *args: 1.0)
    sentence = refused(capsys, *SMALL, "--compile", "--out", tmp_path / "run")
    assert sentence.startswith("--compile: torch.compile does not succeed here (")
    assert sentence.endswith("such as g++, on the PATH; install one, or begin a run without --compile.")


def test_no_tensorboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    trained(*SMALL, "--out", tmp_path / "run")
    before = held(tmp_path / "run")
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    for words in (["train", "cnn", "--resume", "--out", tmp_path / "run"], [*SMALL, "--out", tmp_path / "new"]):
        sentence = refused(capsys, *words, "--tensorboard")
        assert 'pip install "minimodels[tensorboard]", or train without.' in sentence
    assert held(tmp_path / "run") == before
    assert not (tmp_path / "new").exists()
