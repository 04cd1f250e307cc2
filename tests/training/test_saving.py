"""Saving a run: when, what, and how it ends when somebody asks for it."""

import copy
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from minimodels import nn
from minimodels.checkpoint import States
from minimodels.errors import InputError
from minimodels.optim import Adam
from minimodels.training import Saver, Trainer, saving
from minimodels.training.metrics import Totals
from minimodels.training.saving import Stopped, check_weights

STEPS = 3
"""In an epoch."""


def make_trainer(*callbacks: object) -> Trainer:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.3), nn.Linear(8, 2))
    optimizer = Adam(model.parameters(), lr=0.05)
    return Trainer(model, nn.CrossEntropyLoss(), optimizer, device="cpu", callbacks=callbacks, ema_decay=0.9)


def data() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(4 * STEPS, 4, generator=generator), torch.arange(4 * STEPS) % 2


def train(*callbacks: object, epochs: int = 2) -> Trainer:
    trainer = make_trainer(*callbacks)
    trainer.fit(data(), epochs, batch_size=4)
    return trainer


class Noted(States):
    """States that note the steps at which they are written, and write nothing."""

    def __init__(self) -> None:
        super().__init__("nowhere")
        self.steps: list[int] = []

    def save(self, step: int, state: Any) -> Path:
        assert state["step"] == step
        self.steps.append(step)
        return self.folder


class At:
    """Does something after a step."""

    def __init__(self, step: int, action: Callable[[], object]) -> None:
        self.step = step
        self.action = action

    def on_batch_end(self, trainer: Trainer, totals: Totals) -> None:
        if trainer.step == self.step:
            self.action()


# When


@given(every=st.none() | st.integers(1, 8), epochs=st.integers(1, 3))
def test_it_saves_after_every_epoch_and_every_so_many_steps(every: int | None, epochs: int) -> None:
    states = Noted()
    train(Saver(states, every), epochs=epochs)
    ends = [STEPS * epoch for epoch in range(1, epochs + 1)]
    between = [] if every is None else range(every, STEPS * epochs + 1, every)
    assert states.steps == sorted([*ends, *between])


def test_it_saves_when_the_minutes_have_passed_since_the_last_time(monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock:
        now = 0.0

        def monotonic(self) -> float:
            return self.now

        def on_batch_end(self, trainer: Trainer, totals: Totals) -> None:
            self.now += 60.0

    clock, states = Clock(), Noted()
    monkeypatch.setattr(saving, "time", clock)
    train(clock, Saver(states, minutes=1.5), epochs=1)
    assert states.steps == [2, 3]  # 2 minutes are more than 1.5; one more is not, but the epoch ends
    clock.now, states.steps = 0.0, []
    saver = Saver(states, every=10, minutes=1.5)
    train(clock, saver, epochs=1)
    assert states.steps == [3]  # whoever counts steps does not look at the clock


# What


def test_saving_changes_nothing_in_the_run(tmp_path: Path) -> None:
    """Weights, averages, optimiser, random state and history are those of a run that is never saved, bit for bit."""

    def left(trainer: Trainer) -> list[Any]:
        state = copy.deepcopy(trainer.state_dict())
        for times in ("timings", "speed", "callbacks"):
            del state[times]
        return list(_leaves(state))

    alone, saved = train(), train(Saver(States(tmp_path, keep_last=2), every=1))
    assert left(alone) == left(saved)
    assert [path.name for path in States(tmp_path).all()] == ["step-00000005", "step-00000006"]
    other = make_trainer()
    other.load_state_dict(States(tmp_path).load())
    assert left(other) == left(saved)


def _leaves(tree: Any) -> Any:
    """The leaves of a tree, tensors as bytes."""
    if isinstance(tree, Tensor):
        yield str(tree.dtype), tuple(tree.shape), tree.detach().reshape(-1).view(torch.uint8).numpy().tobytes()
    elif isinstance(tree, dict):
        for key, value in tree.items():
            yield key
            yield from _leaves(value)
    elif isinstance(tree, list | tuple):
        for value in tree:
            yield from _leaves(value)
    else:
        yield repr(tree)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_spoiled_weights_never_take_the_place_of_good_ones(bad: float, tmp_path: Path) -> None:
    states = States(tmp_path, keep_last=1)
    trainer = make_trainer()

    def spoil() -> None:
        trainer.model.get_parameter("2.bias").data[1] = bad

    trainer.callbacks += [At(5, spoil), Saver(states, every=1)]
    with pytest.raises(InputError, match=r"the weights of 2\.bias are not finite after step 5: the state before is"):
        trainer.fit(data(), 2, batch_size=4)
    assert [path.name for path in states.all()] == ["step-00000004"]
    assert states.load()["step"] == 4


@given(numbers=st.lists(st.floats(width=32), max_size=5), dtype=st.sampled_from([torch.float32, torch.bfloat16]))
def test_weights_are_good_if_all_are_numbers(numbers: list[float], dtype: torch.dtype) -> None:
    weights = torch.tensor(numbers, dtype=dtype)
    model = torch.nn.ParameterDict({"good": torch.zeros(2), "weights": weights})
    if all(map(torch.isfinite, weights)):
        check_weights(model, 3)
    else:
        with pytest.raises(InputError, match="the weights of weights are not finite after step 3"):
            check_weights(model, 3)


# Being asked to stop

posix = pytest.mark.skipif(os.name != "posix", reason="a process signals itself this way on POSIX")


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("step", [1, STEPS])
def test_a_signal_lets_the_step_end_saves_it_and_stops(number: signal.Signals, step: int, tmp_path: Path) -> None:
    """Also in the last step of an epoch, which is saved as it is before validation, and goes on from there."""
    saver = Saver(States(tmp_path))
    with saver.listening(), pytest.raises(Stopped) as caught:
        train(At(step, lambda: signal.raise_signal(number)), saver)
    assert (caught.value.signal, caught.value.step) == (number, step)
    assert str(caught.value) == f"stopped by {number.name} after step {step}"
    assert States(tmp_path).load()["step"] == step
    other = make_trainer()
    other.load_state_dict(States(tmp_path).load())
    history = other.fit(data(), 2, batch_size=4).records
    assert history == train().history.records


@posix
def test_a_signal_during_validation_stops_after_the_epoch(tmp_path: Path) -> None:
    trainer, saver = make_trainer(), Saver(States(tmp_path))
    trainer.callbacks.append(saver)
    evaluate = trainer.evaluate

    def interrupted(*args: Any, **options: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        return evaluate(*args, **options)

    trainer.evaluate = interrupted  # type: ignore[method-assign]
    with saver.listening(), pytest.raises(Stopped) as caught:
        trainer.fit(data(), 2, data(), batch_size=4)
    assert caught.value.step == STEPS
    assert (States(tmp_path).load()["epoch"], len(trainer.history.records)) == (1, 1)


@posix
def test_the_second_ctrl_c_does_not_wait() -> None:
    def twice() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    states = Noted()
    saver = Saver(states)
    with saver.listening(), pytest.raises(KeyboardInterrupt) as caught:
        train(At(2, twice), saver)
    assert type(caught.value) is KeyboardInterrupt
    assert states.steps == []


@posix
def test_a_second_ctrl_c_while_the_state_is_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saver = Saver(States(tmp_path, keep_last=1), every=2)
    replace = Path.replace
    interrupting: list[int] = []

    def slow(self: Path, target: Path) -> Path:
        if interrupting:
            signal.raise_signal(signal.SIGINT)
        return replace(self, target)

    def interrupt() -> None:
        signal.raise_signal(signal.SIGINT)
        interrupting.append(1)

    monkeypatch.setattr(Path, "replace", slow)
    with saver.listening(), pytest.raises(KeyboardInterrupt):
        train(At(4, interrupt), saver)
    assert States(tmp_path).load()["step"] == STEPS


@posix
def test_sigterm_twice_still_saves(tmp_path: Path) -> None:
    """Whoever manages the machine may ask again and again, and has SIGKILL for more than that."""

    def twice() -> None:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)

    saver = Saver(States(tmp_path))
    with saver.listening(), pytest.raises(Stopped):
        train(At(2, twice), saver)
    assert States(tmp_path).load()["step"] == 2


@posix
def test_handlers_are_put_back() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    saver = Saver(Noted())
    for error in (None, KeyboardInterrupt):
        try:
            with saver.listening():
                assert all(signal.getsignal(number) is not handler for number, handler in before.items())
                if error is not None:
                    raise error
        except KeyboardInterrupt:
            pass
        assert {number: signal.getsignal(number) for number in before} == before


def test_another_thread_trains_without_listening() -> None:
    before, during = signal.getsignal(signal.SIGINT), []

    def work() -> None:
        with Saver(Noted()).listening():
            during.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert during == [before]
