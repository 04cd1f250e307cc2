"""What is written for TensorBoard: with a writer that takes notes, and, where it is installed, with the real one."""

import builtins
import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minimodels import nn
from minimodels.errors import InputError
from minimodels.optim import SGD
from minimodels.training import STEPS, TensorBoard, Trainer, accuracy, tensorboard
from minimodels.training.metrics import Totals

Notes = list[tuple[str, int, float]]


class Writer:
    """Takes notes, and takes them back from the step on that it is told."""

    notes: Notes = []
    opened: list[tuple[str, int]] = []
    done: list[str] = []

    def __init__(self, folder: str, purge_step: int) -> None:
        self.opened.append((folder, purge_step))
        self.notes[:] = [note for note in self.notes if note[1] < purge_step]

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.notes.append((name, step, value))

    def flush(self) -> None:
        self.done.append("flush")

    def close(self) -> None:
        self.done.append("close")


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> Notes:
    monkeypatch.setattr(tensorboard, "_summary_writer", lambda: Writer)
    for remembered in (Writer.notes, Writer.opened, Writer.done):
        remembered.clear()
    return Writer.notes


def make_trainer(*callbacks: object, **options: Any) -> Trainer:
    torch.manual_seed(0)
    model = nn.Linear(2, 2)
    optimizer, metrics = SGD(model.parameters(), lr=0.25), {"accuracy": accuracy}
    options = {"device": "cpu", "metrics": metrics, "callbacks": callbacks, **options}
    return Trainer(model, nn.CrossEntropyLoss(), optimizer, **options)


DATA = torch.arange(20.0).view(10, 2).sin(), torch.arange(10) % 2


def of(notes: Notes, name: str) -> dict[int, float]:
    steps = [step for other, step, _ in notes if other == name]
    assert steps == sorted(set(steps)), f"{name} was written twice, or backwards"
    return {step: value for other, step, value in notes if other == name}


@pytest.mark.parametrize("options", [{}, {"units": STEPS}])
def test_every_number_of_an_epoch_has_its_curve(notes: Notes, tmp_path: Path, options: dict[str, Any]) -> None:
    trainer = make_trainer(TensorBoard(tmp_path, every=100), **options)
    history = trainer.fit(DATA, 3, DATA, batch_size=4)
    for curve, name in {
        "loss/train": "loss",
        "loss/val": "val_loss",
        "accuracy/train": "accuracy",
        "accuracy/val": "val_accuracy",
        "lr": "lr",
    }.items():
        assert of(notes, curve) == dict(zip([3, 6, 9], history.history[name], strict=True))
    speeds = {"timing/seconds", "timing/peak_memory_mib", "timing/validation_seconds"}
    speeds |= {f"timing/{name.format(trainer.units.items)}" for name in ("{}", "{}_per_second")}
    assert {name for name, _, _ in notes if "timing" in name} == speeds
    assert of(notes, "timing/seconds") == {3 * (n + 1): timing["seconds"] for n, timing in enumerate(history.timings)}
    assert len({name for name, _, _ in notes}) == 10
    assert Writer.opened == [(str(tmp_path), 1)]
    assert Writer.done == ["flush"] * 3 + ["close"]


@pytest.mark.parametrize("every", [1, 2, 4])
def test_the_loss_in_between_is_that_of_the_steps_since(notes: Notes, tmp_path: Path, every: int) -> None:
    """Five steps an epoch; what is written is the mean over the batches since the last time, in the same epoch."""
    losses: list[float] = []

    class Listener:
        def __init__(self) -> None:
            self.before = 0.0

        def on_batch_end(self, trainer: Trainer, totals: Totals) -> None:
            now = float(totals.sums["loss"])
            losses.append((now - self.before) / 2)
            self.before = now if trainer.step % 5 else 0.0

    make_trainer(Listener(), TensorBoard(tmp_path, every)).fit(DATA, 2, batch_size=2)
    starts = {step: max([0, *range(every, step, every), *range(5, step, 5)]) for step in range(every, 11, every)}
    expected = {step: sum(losses[start:step]) / (step - start) for step, start in starts.items()}
    assert of(notes, "loss/steps") == pytest.approx(expected)


def test_counts_may_be_tensors_and_nothing_counted_is_nothing_written(notes: Notes, tmp_path: Path) -> None:
    board, totals = TensorBoard(tmp_path, 1), Totals()
    trainer: Any = SimpleNamespace(step=0)
    board.on_train_begin(trainer)
    for trainer.step, (total, count) in enumerate([(6.0, 3), (0.0, 0), (5.0, 1)], start=1):
        totals.add("loss", torch.tensor(total), torch.tensor(count))
        board.on_batch_end(trainer, totals)
    assert notes == [("loss/steps", 1, 2.0), ("loss/steps", 3, 5.0)]


def test_the_device_is_asked_rarely(notes: Notes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, real = [], torch.Tensor.__float__
    monkeypatch.setattr(torch.Tensor, "__float__", lambda self: asked.append(1) or real(self))
    board, totals = TensorBoard(tmp_path, 4), Totals()
    totals.add("loss", torch.tensor(1.0), 1)
    trainer: Any = SimpleNamespace(step=0)
    board.on_train_begin(trainer)
    for trainer.step in range(1, 10):
        board.on_batch_end(trainer, totals)
    assert len(asked) == 2


@given(stop=st.integers(0, 9), every=st.integers(1, 4), lost=st.integers(0, 3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_stopping_in_the_middle_and_going_on_is_never_stopping(
    notes: Notes, tmp_path: Path, stop: int, every: int, lost: int
) -> None:
    """A run that is killed some steps after its last checkpoint, which begins there again, with the totals of then."""
    state: dict[str, Any] = {}

    def run(board: TensorBoard, steps: range, totals: Totals, keep: int = -1) -> None:
        trainer: Any = SimpleNamespace(step=steps.start, units=STEPS, history=SimpleNamespace(timings=[{"step": 0}]))
        board.on_train_begin(trainer)
        for step in steps:
            if step == keep:
                state.update(board=board.state_dict(), totals=copy.deepcopy(totals))
            totals.add("loss", torch.tensor(float(step * step)), 1)
            trainer.step = step + 1
            board.on_batch_end(trainer, totals)
            if trainer.step % 5 == 0:
                board.on_epoch_end(trainer, {"step": trainer.step, **totals.means()})
                totals = Totals()

    def written() -> Notes:
        return sorted(note for note in Writer.notes)

    Writer.notes.clear()
    run(TensorBoard(tmp_path, every), range(10), Totals())
    whole = written()
    Writer.notes.clear()
    run(TensorBoard(tmp_path, every), range(min(10, stop + lost + 1)), Totals(), keep=stop)
    board = TensorBoard(tmp_path, every)
    board.load_state_dict(state["board"])
    run(board, range(stop, 10), state["totals"])
    assert written() == whole


def test_a_checkpoint_finds_on_disk_what_came_before_it(notes: Notes, tmp_path: Path) -> None:
    board = TensorBoard(tmp_path)
    assert board.state_dict() == {"total": 0.0, "count": 0.0}
    board.on_train_begin(SimpleNamespace(step=7))  # type: ignore[arg-type]
    board.state_dict()
    assert (Writer.opened, Writer.done) == ([(str(tmp_path), 8)], ["flush"])


def test_an_epoch_that_broke_off_is_forgotten(notes: Notes, tmp_path: Path) -> None:
    board = TensorBoard(tmp_path, 1)

    class Break:
        def on_batch_end(self, trainer: Trainer, totals: Totals) -> None:
            if trainer.step == 3:
                raise KeyboardInterrupt

    trainer = make_trainer(board, Break())
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(DATA, 1, batch_size=2)
    trainer.callbacks = [board]
    losses = trainer.fit(DATA, 1, batch_size=2).history["loss"]
    assert sum(list(of(notes, "loss/steps").values())[3:]) / 5 == pytest.approx(losses[-1])
    assert Writer.done == ["close", "flush", "close"]


def test_without_the_package_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refused(name: str, *details: Any) -> Any:
        if name.startswith("torch.utils.tensorboard"):
            raise ImportError(name)
        return real(name, *details)

    monkeypatch.setattr(builtins, "__import__", refused)
    with pytest.raises(InputError, match=r'tensorboard is not installed.*pip install "minimodels\[tensorboard\]"'):
        TensorBoard(tmp_path)


def test_steps_lie_between(notes: Notes, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"every 0: .* give 1 or more"):
        TensorBoard(tmp_path, 0)


# The real one


def read(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard itself finds in the event files."""
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(folder))
    events.Reload()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_tensorboard_reads_what_was_written(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    history = make_trainer(TensorBoard(tmp_path, every=2)).fit(DATA, 3, DATA, batch_size=4).history
    found = read(tmp_path)
    for curve, name in {"loss/train": "loss", "accuracy/val": "val_accuracy", "lr": "lr"}.items():
        assert [step for step, _ in found[curve]] == [3, 6, 9]
        assert [value for _, value in found[curve]] == pytest.approx(history[name])
    assert [step for step, _ in found["loss/steps"]] == [2, 4, 6, 8]
    assert all(value > 0 for _, value in found["timing/samples_per_second"])


def test_a_resumed_run_leaves_one_curve(tmp_path: Path) -> None:
    """Three epochs are run, the run dies, and goes on from the end of the first: to be seen is one run of four."""
    pytest.importorskip("tensorboard")
    make_trainer(TensorBoard(tmp_path / "whole", every=2)).fit(DATA, 4, batch_size=4)
    make_trainer(TensorBoard(tmp_path / "parts", every=2)).fit(DATA, 3, batch_size=4)
    trainer = make_trainer()
    trainer.fit(DATA, 1, batch_size=4)
    trainer.callbacks.append(TensorBoard(tmp_path / "parts", every=2))
    trainer.fit(DATA, 3, batch_size=4)
    whole, parts = read(tmp_path / "whole"), read(tmp_path / "parts")
    assert whole.keys() == parts.keys()
    assert all(whole[tag] == parts[tag] for tag in whole if "timing" not in tag)
    assert [step for step, _ in parts["timing/seconds"]] == [3, 6, 9, 12]
