"""The newest state is whole at every moment, whatever fails or is killed; where it is damaged, another is offered."""

import errno
import multiprocessing
import os
import random
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from minimodels.checkpoint import States, check_state, read_state, write_state
from minimodels.checkpoint.manifest import STATE
from minimodels.errors import InputError
from tests.checkpoint.trees import assert_same

TENSORS = "tensors-00000-00001.safetensors"


def state(step: int) -> dict[str, Any]:
    return {"step": step, "model": {"weight": torch.full((3, 2), float(step)), "bias": torch.full((2,), step)}}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def states(tmp_path: Path) -> States:
    """With those of the steps 50, 100 and 150."""
    states = States(tmp_path / "checkpoints")
    for step in (100, 50, 150):
        assert states.save(step, state(step)).name == f"step-{step:08d}"
    return states


def damage(path: Path) -> None:
    content = bytearray((path / TENSORS).read_bytes())
    content[-1] ^= 1
    (path / TENSORS).write_bytes(content)


def test_states_are_in_the_order_of_their_steps(states: States) -> None:
    states.save(1_000_000_000, state(1_000_000_000))
    assert [path.name for path in states.all()] == [
        "step-00000050",
        "step-00000100",
        "step-00000150",
        "step-1000000000",
    ]
    assert states.newest() == states.folder / "step-1000000000"
    assert_same(states.load(), state(1_000_000_000))


def test_a_folder_without_states(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nothing"):
        assert States(folder).all() == []
        assert States(folder).newest() is None
        with pytest.raises(InputError, match=r"holds no state to go on from; begin a new run, without --resume\."):
            States(folder).load()


@pytest.mark.parametrize(
    "name",
    [
        "step--0000050",
        "step-50",
        "step-000000500",
        "step-99999999999999999999",
        "step-" + "9" * 200,
        "step-٠٠٠٠٠٩٠٠",
        "step-00000900.old",
        ".step-00000900.0123abcd.part",
        "step-0000090x",
        "best",
    ],
)
def test_other_names_are_none_of_ours(states: States, name: str) -> None:
    shutil.copytree(states.folder / "step-00000150", states.folder / name)
    (states.folder / "step-00000999").write_text("a file")
    assert len(states.all()) == 3
    assert_same(states.load(), state(150))


@pytest.mark.parametrize("step", [-1, 10**18, 10**30])
def test_a_step_that_is_none(states: States, step: int) -> None:
    with pytest.raises(InputError, match="give a whole number from 0 on with at most 18 digits"):
        states.save(step, state(0))
    assert len(names(states.folder)) == 3


@pytest.mark.parametrize("keep", [1, 2, 3, 9])
def test_older_ones_go(tmp_path: Path, keep: int) -> None:
    states = States(tmp_path, keep_last=keep)
    for step in range(5):
        states.save(step, state(step))
    assert [path.name for path in states.all()] == [f"step-{step:08d}" for step in range(5)][-keep:]
    assert names(tmp_path) == [path.name for path in states.all()]


def test_what_is_newer_than_a_new_state_stays(states: States) -> None:
    States(states.folder, keep_last=1).save(100, {"again": True})
    assert [path.name for path in states.all()] == ["step-00000100", "step-00000150"]
    assert read_state(states.folder / "step-00000100") == {"again": True}


def test_keep_last_needs_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="keep_last 0: the newest state has to be kept"):
        States(tmp_path, keep_last=0)


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (damage, f"its {TENSORS} is damaged"),
        (lambda path: (path / TENSORS).unlink(), f"lacks {TENSORS}"),
        (lambda path: (path / STATE).unlink(), f"lacks {STATE}, so it is no state of minimodels"),
        (lambda path: (path / STATE).write_text("{}"), f"its {STATE} is damaged, or not one of minimodels"),
    ],
)
def test_the_newest_whole_one_is_offered(states: States, harm: Callable[[Path], object], words: str) -> None:
    first, second, third = states.all()
    harm(third)
    ways = f"{third}: {words}; delete that folder, and --resume goes on from {second}, which is whole."
    with pytest.raises(InputError, match=f"^{re.escape(ways)}$"):
        states.load()
    harm(second)
    ways = f"{third}: {words}; delete that folder and {second}, and --resume goes on from {first}, which is whole."
    with pytest.raises(InputError, match=f"^{re.escape(ways)}$"):
        states.load()
    harm(first)
    ways = f"{third}: {words}; begin a new run without --resume, since no whole state is left in {states.folder}."
    with pytest.raises(InputError, match=f"^{re.escape(ways)}$"):
        states.load()
    states.save(150, state(151))
    assert_same(states.load(), state(151))


def test_a_state_of_a_later_version(states: States, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minimodels.checkpoint.manifest.STATE_FORMAT", 2)
    states.save(200, state(200))
    monkeypatch.undo()
    with pytest.raises(InputError, match=r"in a newer format; upgrade minimodels, or delete that folder, and --resume"):
        states.load()


class Faults:
    """Lets the calls of the system fail from the n-th on, once or for good."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, number: int, lasting: bool) -> None:
        self.calls, self.number, self.lasting = 0, number, lasting
        for owner, name in (
            *((os, name) for name in ("fsync", "mkdir", "rename", "replace")),
            *((Path, name) for name in ("open", "touch", "chmod")),
        ):
            monkeypatch.setattr(owner, name, self.failing(getattr(owner, name)))

    def failing(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            if self.calls == self.number or (self.lasting and self.calls > self.number):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return function(*args, **kwargs)

        return call


def failure(work: Callable[[], object]) -> str | None:
    """What the system said, if it failed."""
    try:
        work()
    except OSError as error:
        return str(error)
    return None


@pytest.mark.parametrize("step", [150, 200], ids=["again", "new"])
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "lasting"])
def test_a_full_disk_at_any_moment(states: States, step: int, lasting: bool) -> None:
    """Every call of the system fails in its turn, until there is none left that could."""
    for number in range(1, 100):
        with pytest.MonkeyPatch.context() as patch:
            faults = Faults(patch, number, lasting)
            sentence = failure(lambda: states.save(step, state(7)))
        assert sentence is None or (str(states.folder) in sentence and ".part" not in sentence)
        assert_same(read_state(states.newest() or ""), state(7 if sentence is None else 150))
        assert not any(name.endswith(".part") for name in names(states.folder))
        if faults.calls < number:
            break
        if sentence is None:  # what failed may fail: an old folder or a list of names that is not flushed
            shutil.rmtree(states.folder)
            for old in (50, 100, 150):
                states.save(old, state(old))
    assert 10 < number < 99


def test_what_a_killed_process_left_is_cleared_away(states: States) -> None:
    folder = states.folder
    for name in ("step-00000200", "step-00000150"):
        shutil.copytree(folder / "step-00000050", folder / f".{name}.0123abcd.part")
    shutil.copytree(folder / "step-00000050", folder / ".step-00000150.0123abcd.old")
    (folder / "step-00000100").rename(folder / ".step-00000100.0123abcd.old")
    (folder / ".mine.0123abcd.part").touch()
    assert [path.name for path in states.all()] == ["step-00000050", "step-00000100", "step-00000150"]
    assert_same(read_state(folder / "step-00000100"), state(100))
    states.save(200, state(200))
    assert names(folder) == [
        ".mine.0123abcd.part",
        *(f"step-{step:08d}" for step in (50, 100, 150, 200)),
    ]
    for step, path in zip((50, 100, 150, 200), states.all(), strict=True):
        assert_same(read_state(path), state(step))


def write_on(folder: Path, first: int) -> None:
    """Write states until somebody kills this process, and take down each that was written."""
    torch.set_num_threads(1)
    states = States(folder / "checkpoints", keep_last=2)
    with (folder / "returned").open("ab", buffering=0) as report:
        for step in range(first, first + 10_000):
            states.save(step, state(step))
            write_state(folder / "last", state(step))
            report.write(b"%d\n" % step)


def test_a_process_killed_at_any_moment(tmp_path: Path) -> None:
    """After each of twenty kills the newest state is whole, and none that was reported as written is lost."""
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload([__name__])  # so that a new process need not import PyTorch
    states, moments = States(tmp_path / "checkpoints"), random.Random(0)
    (tmp_path / "returned").touch()
    first = caught = 0
    for _ in range(20):
        process = processes.Process(target=write_on, args=(tmp_path, first))
        process.start()
        size = (tmp_path / "returned").stat().st_size
        while (tmp_path / "returned").stat().st_size == size:  # until it has begun
            assert process.is_alive()
            time.sleep(0.001)
        time.sleep(moments.uniform(0, 0.05))
        process.kill()
        process.join()
        returned = int((tmp_path / "returned").read_bytes().split()[-1])
        caught += any(name.startswith(".") for name in names(tmp_path) + names(states.folder))
        for path in states.all():
            check_state(path)
        newest = states.load()
        assert_same(newest, state(newest["step"]))
        assert returned <= newest["step"] <= returned + 1
        assert read_state(tmp_path / "last")["step"] in (returned, returned + 1)
        first = newest["step"] + 1
    assert caught, "no kill came in the middle of a state"
