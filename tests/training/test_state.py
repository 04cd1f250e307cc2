"""A run that is stopped and goes on is a run that was never stopped, bit for bit."""

import copy
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from minimodels import nn
from minimodels.data import Batches, RandomShift
from minimodels.errors import InputError
from minimodels.optim import SGD, Adam, WarmupCosineLR
from minimodels.training import EarlyStopping, Trainer, accuracy

SAMPLES, BATCH, EPOCHS = 26, 4, 3
"""Seven batches an epoch, of which the last is short."""


class BrokenOffError(KeyboardInterrupt):
    """Breaks training off."""


class StopAt:
    """Takes the state after some steps, as a file would hold it, and breaks training off."""

    def __init__(self, step: int) -> None:
        self.step = step
        self.state: dict[str, Any] = {}

    def on_batch_end(self, trainer: Trainer, totals: object) -> None:
        if trainer.step == self.step:
            self.state = copy.deepcopy(trainer.state_dict())
            raise BrokenOffError

    def on_epoch_end(self, trainer: Trainer, record: object) -> None:
        if trainer.step == -self.step:
            self.state = copy.deepcopy(trainer.state_dict())
            raise BrokenOffError


def pictures() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(SAMPLES, 1, 6, 6, generator=generator), torch.randint(3, (SAMPLES,), generator=generator)


def batches() -> Batches:
    return Batches(*pictures(), batch_size=BATCH, shuffle=True, seed=3, augment=RandomShift(1))


def loader() -> DataLoader[Any]:
    """Its order comes from the global random state."""
    return DataLoader(TensorDataset(*pictures()), batch_size=BATCH, shuffle=True)


class Noisy:
    """Batches that draw noise from NumPy's global state, as some people's augmentation does."""

    def __len__(self) -> int:
        return 7

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for inputs, targets in zip(*(part.split(BATCH) for part in pictures()), strict=True):
            yield inputs + torch.from_numpy(np.random.rand(*inputs.shape)).float(), targets


def trainer(seed: int = 0, **options: Any) -> Trainer:
    """With whatever remembers something: momentum, schedule, dropout, batch statistics, averages, scaler."""
    torch.manual_seed(seed)
    np.random.seed(seed)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.3), nn.Flatten(), nn.Linear(64, 3)
    )
    kind = options.pop("optimizer", Adam)
    optimizer = kind(model.parameters(), lr=0.01, **({"momentum": 0.9} if kind is SGD else {}))
    options = {"device": "cpu", "metrics": {"accuracy": accuracy}, "clip_norm": 1.0, "ema_decay": 0.9, **options}
    schedule = WarmupCosineLR(optimizer, 2, 21)
    return Trainer(model, nn.CrossEntropyLoss(), optimizer, schedule=schedule, **options)


def tensors(state: Any) -> Iterator[Tensor]:
    if isinstance(state, Tensor):
        yield state
    for part in state.values() if isinstance(state, dict) else state if isinstance(state, list | tuple) else ():
        yield from tensors(part)


def same(one: Trainer, other: Trainer) -> bool:
    """Weights, and all else that the next step would depend on, bit for bit."""
    pairs = zip(tensors(one.state_dict()), tensors(other.state_dict()), strict=True)
    return all(torch.equal(a, b) for a, b in pairs) and one.history.records == other.history.records


@cache
def never_stopped(data: Any, **options: Any) -> Trainer:
    """One for all the runs that are broken off: the same call trains it the same."""
    whole = trainer(**options)
    whole.fit(data(), EPOCHS, (pictures()))
    return whole


@pytest.mark.parametrize("data", [batches, loader, Noisy])
@given(
    step=st.integers(-21, 21).filter(lambda step: step > 0 or step % 7 == 0).filter(bool),
    options=st.sampled_from([{}, {"optimizer": SGD}, {"precision": "float16"}, {"precision": "bfloat16"}]),
)
def test_going_on_is_never_having_stopped(data: Any, step: int, options: dict[str, Any]) -> None:
    """Stopped after any step (above 0), or at the end of an epoch (below 0)."""
    whole = never_stopped(data, **options)
    stop = StopAt(step)
    first = trainer(**options, callbacks=[stop])
    with pytest.raises(BrokenOffError):
        first.fit(data(), EPOCHS, (pictures()))
    torch.rand(5)
    second = trainer(seed=1, **options)
    second.load_state_dict(stop.state)
    if second.epoch < EPOCHS:
        second.fit(data(), EPOCHS - second.epoch, (pictures()))
    assert same(whole, second)


@given(accumulate=st.integers(1, 8), group=st.integers(1, 3))
def test_an_epoch_goes_on_between_accumulated_batches(accumulate: int, group: int) -> None:
    steps = -(-7 // accumulate) * EPOCHS
    whole = trainer(accumulate=accumulate)
    whole.fit(batches(), EPOCHS)
    stop = StopAt(min(group, steps))
    with pytest.raises(BrokenOffError):
        trainer(accumulate=accumulate, callbacks=[stop]).fit(batches(), EPOCHS)
    second = trainer(seed=1, accumulate=accumulate)
    second.load_state_dict(stop.state)
    second.fit(batches(), EPOCHS - second.epoch)
    assert same(whole, second)


def test_taking_the_state_changes_nothing() -> None:
    class Look:
        def on_batch_end(self, trainer: Trainer, totals: object) -> None:
            trainer.state_dict()

    found = []
    for callbacks in ([], [Look()]):
        found.append(trainer(callbacks=callbacks))
        found[-1].fit(loader(), EPOCHS)
    assert same(*found)


def test_the_state_of_another_model_or_optimizer_is_refused() -> None:
    state = trainer().state_dict()
    other = nn.Linear(2, 2)
    with pytest.raises(InputError, match=r"does not fit this training \(Error\(s\) in loading state_dict for Linear"):
        Trainer(other, nn.MSELoss(), SGD(other.parameters(), lr=0.1), device="cpu").load_state_dict(state)
    state = trainer().state_dict()
    state["optimizer"]["param_groups"] = []
    with pytest.raises(InputError, match="does not fit this training"):
        trainer().load_state_dict(state)


def test_callbacks_are_asked_for_what_they_remember() -> None:
    class Counter:
        count = 0

        def on_epoch_end(self, trainer: Trainer, record: object) -> None:
            self.count += 1

        def state_dict(self) -> dict[str, int]:
            return {"count": self.count}

        def load_state_dict(self, state: dict[str, int]) -> None:
            self.count = state["count"]

    first = trainer(callbacks=[Counter(), object()])
    first.fit(batches(), 2)
    counter = Counter()
    trainer(callbacks=[counter]).load_state_dict(first.state_dict())
    assert counter.count == 2


def test_callbacks_of_one_class_remember_each_their_own() -> None:
    def watching() -> list[EarlyStopping]:
        return [EarlyStopping("loss", patience=9), EarlyStopping("accuracy", patience=9)]

    one, other = watching(), watching()
    first = trainer(callbacks=one)
    first.fit(batches(), 2)
    trainer(callbacks=other).load_state_dict(copy.deepcopy(first.state_dict()))
    assert [each.state_dict() for each in one] == [each.state_dict() for each in other]
    assert one[0].best != one[1].best


def test_a_callback_that_the_run_did_not_have_begins_when_it_goes_on() -> None:
    first, new = trainer(), EarlyStopping("loss", patience=9)
    first.fit(batches(), 1)
    second = trainer(callbacks=[new])
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    records = second.fit(batches(), 1).records
    assert records[:1] == first.history.records
    assert new.best == records[1]["loss"]
