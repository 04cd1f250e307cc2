"""Which measurement is better, when to stop, what to keep; and going on from the middle."""

import copy
import itertools
import json
import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from minimodels import nn
from minimodels.errors import InputError
from minimodels.inspection.report import is_share, larger_is_better
from minimodels.optim import SGD
from minimodels.training import EarlyStopping, Keeper, Monitor, Trainer, accuracy

values = st.lists(st.sampled_from([0.0, 1.0, 2.0, 2.5, 3.0, math.nan, math.inf, -math.inf]), min_size=1, max_size=12)
patiences = st.integers(1, 4)


def told(stopping: EarlyStopping, measured: list[float]) -> int:
    """How many epochs a run takes whose measurements would be these."""
    trainer: Any = SimpleNamespace(stop_training=False)
    stopping.on_train_begin(trainer)
    for epoch, value in enumerate(measured):
        if trainer.stop_training:
            return epoch
        stopping.on_epoch_end(trainer, {"epoch": epoch + 1, "loss": 0.0, "val_loss": value})
    return len(measured)


def records_of(measured: list[float], delta: float = 0.0) -> list[int]:
    """The epochs whose value is smaller than all before, by more than `delta` than the last such one."""
    found: list[int] = []
    for epoch, value in enumerate(measured):
        if all(value < measured[earlier] - delta for earlier in found[-1:]) and value < math.inf:
            found.append(epoch)
    return found


# Stopping


@given(measured=values, patience=patiences, delta=st.sampled_from([0.0, 0.5, 1.0]))
@example(measured=[3.0, 2.5, 0.0], patience=1, delta=0.5)
def test_training_ends_when_the_last_record_is_patience_epochs_old(
    measured: list[float], patience: int, delta: float
) -> None:
    lows = [-1, *records_of(measured, delta)]
    expected = min(
        (low + patience + 1 for low, after in itertools.pairwise([*lows, 10**9]) if after - low > patience),
        default=10**9,
    )
    stopping = EarlyStopping(patience=patience, min_delta=delta)
    assert told(stopping, measured) == min(expected, len(measured))
    assert bool(stopping.reason) == (expected <= len(measured))


@given(measured=values, patience=patiences)
def test_larger_is_smaller_upside_down(measured: list[float], patience: int) -> None:
    down, up = EarlyStopping(patience=patience), EarlyStopping(patience=patience, mode="max")
    assert told(down, measured) == told(up, [-value for value in measured])
    assert down.best == -up.best


@given(measured=values, patience=patiences, stop=st.integers(0, 12))
def test_stopping_in_the_middle_and_going_on_is_never_stopping(measured: list[float], patience: int, stop: int) -> None:
    whole, first, second = (EarlyStopping(patience=patience) for _ in range(3))
    end = told(whole, measured)
    reached = told(first, measured[:stop])
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert reached + told(second, measured[reached:]) == end
    assert whole.state_dict() == second.state_dict()
    assert whole.reason == second.reason


def test_what_is_said_when_training_was_ended() -> None:
    stopping = EarlyStopping(patience=2)
    told(stopping, [0.5, 0.25, 1.0])
    assert stopping.reason == ""
    told(stopping, [0.25])
    assert stopping.reason == "val_loss was no better than 0.25 the last 2 times in a row that it was measured"


class Idle:
    """A run in which nothing is learnt."""

    def __init__(self, *callbacks: object) -> None:
        torch.manual_seed(0)
        model, data = nn.Linear(2, 2), (torch.rand(8, 2), torch.tensor([0, 1] * 4))
        optimizer, metrics = SGD(model.parameters(), lr=0.0), {"accuracy": accuracy}
        self.trainer = Trainer(
            model, nn.CrossEntropyLoss(), optimizer, metrics=metrics, device="cpu", callbacks=callbacks
        )
        self.data = data

    def run(self, epochs: int, validation: bool = True) -> list[int]:
        return self.trainer.fit(self.data, epochs, self.data if validation else None).epoch


def test_the_loop_ends_and_stays_ended() -> None:
    stopping = EarlyStopping("val_accuracy", patience=2)
    idle = Idle(stopping)
    assert idle.run(10) == [1, 2, 3]
    assert idle.run(10) == [1, 2, 3]
    resumed = EarlyStopping("val_accuracy", patience=2)
    resumed.load_state_dict(stopping.state_dict())
    assert Idle(resumed).run(10) == []


def test_another_callback_may_stop_as_well() -> None:
    class Enough:
        def on_epoch_end(self, trainer: Trainer, record: dict[str, float]) -> None:
            trainer.stop_training = True

    assert Idle(Enough(), EarlyStopping(patience=5)).run(9) == [1]


# What is better


@pytest.mark.parametrize(
    ("name", "larger"),
    [
        ("loss", False),
        ("val_loss", False),
        ("val_accuracy", True),
        ("val_top5_accuracy", True),
        ("bits_per_byte", False),
        ("val_squared_error", False),
        ("macro_f1", True),
        ("kappa", None),
    ],
)
def test_the_name_says_what_is_better(name: str, larger: bool | None) -> None:
    assert larger_is_better(name) is larger
    assert not is_share(name) or larger


def test_every_number_of_the_recipes_says_what_is_better() -> None:
    assert None not in map(larger_is_better, ["accuracy", "bits_per_byte", "bits_per_character", "squared_error"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "smallest"}, "mode smallest: give auto, min or max"),
        ({"mode": "mix"}, "mode mix: give auto, min or max; did you mean m"),
        ({"min_delta": -1.0}, "min_delta -1.0: is an amount"),
        ({"min_delta": math.inf}, "min_delta inf: is an amount"),
        ({"min_delta": math.nan}, "min_delta nan: is an amount"),
        ({"monitor": "val_kappa"}, "monitor val_kappa: its name does not say whether more is better; add mode min or"),
    ],
)
def test_options_that_cannot_be_used(options: dict[str, Any], message: str) -> None:
    for build in (lambda: EarlyStopping(patience=1, **options), lambda: Keeper(print, True, **options)):
        with pytest.raises(InputError, match=message):
            build()


def test_a_mode_speaks_for_a_name_that_does_not() -> None:
    assert Monitor("kappa", "max").larger
    assert not Monitor("accuracy", "min").larger


@pytest.mark.parametrize("patience", [0, -1])
def test_patience_is_needed(patience: int) -> None:
    with pytest.raises(InputError, match=f"patience {patience}: .* give 1 or more"):
        EarlyStopping(patience=patience)


@pytest.mark.parametrize(
    ("monitor", "validation", "message"),
    [
        ("val_acuracy", True, "loss, accuracy, val_loss or val_accuracy; did you mean val_accuracy\\?"),
        ("val_loss", False, "measured; train with validation data, or give loss or accuracy; did you mean loss\\?"),
        ("bleu", False, "measured; give loss or accuracy\\."),
    ],
)
def test_a_number_that_is_not_measured(monitor: str, validation: bool, message: str) -> None:
    for callback in (
        EarlyStopping(monitor, patience=1, mode="max"),
        Keeper(lambda model: None, True, monitor, mode="max"),
    ):
        with pytest.raises(InputError, match=f"monitor {monitor}: there is no such number among .*{message}"):
            Idle(callback).run(1, validation)


# Keeping


@given(measured=values, stop=st.integers(0, 12), best=st.booleans())
def test_a_keeper_that_goes_on_saves_what_it_would_have_saved(measured: list[float], stop: int, best: bool) -> None:
    written: list[int] = []
    trainer = Trainer(nn.Linear(1, 1), nn.MSELoss(), device="cpu")
    keepers = [Keeper(lambda model: written.append(epoch), best) for _ in range(2)]
    for epoch, value in enumerate(measured):
        if epoch == stop:
            keepers[1].load_state_dict(copy.deepcopy(keepers[0].state_dict()))
        keepers[epoch >= stop].on_epoch_end(trainer, {"epoch": epoch + 1, "val_loss": value})
    assert written == (records_of(measured) if best else list(range(len(measured))))


def test_a_keeper_of_the_most_accurate() -> None:
    written: list[float] = []
    keeper = Keeper(lambda model: written.append(value), True, "val_accuracy", min_delta=0.125)
    trainer = Trainer(nn.Linear(1, 1), nn.MSELoss(), device="cpu")
    for value in (0.25, 0.375, 0.5, 0.125, math.nan, 1.0):
        keeper.on_epoch_end(trainer, {"epoch": 1, "val_loss": 0.0, "val_accuracy": value})
    assert written == [0.25, 0.5, 1.0]


def test_a_keeper_of_every_model_needs_no_validation() -> None:
    written: list[int] = []
    Idle(Keeper(lambda model: written.append(1))).run(3, validation=False)
    assert written == [1, 1, 1]
