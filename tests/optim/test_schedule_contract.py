"""Around the numbers of the schedules: torch's warnings, errors and arguments, and its schedules beside ours."""

import gc
import inspect
import types
import warnings
import weakref

import pytest
import torch

from minimodels import optim
from minimodels.optim import lr_scheduler
from tests.optim.groups import two_groups

ROOMS = (lr_scheduler, torch.optim.lr_scheduler)
LIBRARIES = (optim, torch.optim)


def root(t):
    return (t + 1) ** -0.5


def texts(record: list) -> list[str]:
    return [str(each.message)[:40] for each in record if each.category is UserWarning]


def late(room, optimizer):
    room.StepLR(optimizer, 1).step()


def in_order(room, optimizer):
    schedule = room.StepLR(optimizer, 1)
    optimizer.step()
    schedule.step()
    schedule.step()


def after_another_schedule(room, optimizer):
    room.StepLR(optimizer, 1)
    optimizer.step()
    room.ExponentialLR(optimizer, 0.5).step()


def overridden(room, optimizer):
    schedule = room.StepLR(optimizer, 1)
    before = optimizer.step
    optimizer.step = types.MethodType(lambda self: before(), optimizer)
    optimizer.step()
    schedule.step()


def asked_from_outside(room, optimizer):
    for schedule in (
        room.StepLR(optimizer, 1), room.LambdaLR(optimizer, root), room.MultiplicativeLR(optimizer, root),
        room.CosineAnnealingLR(optimizer, 3), room.OneCycleLR(optimizer, 0.1, 9, cycle_momentum=False),
        room.CyclicLR(optimizer, 0.1, 0.2, cycle_momentum=False), room.CosineAnnealingWarmRestarts(optimizer, 3),
    ):  # fmt: skip
        schedule.get_lr()


def with_an_epoch(room, optimizer):
    schedule = room.StepLR(optimizer, 1)
    optimizer.step()
    schedule.step(3)
    room.ReduceLROnPlateau(optimizer).step(1.0, epoch=2)


@pytest.mark.parametrize(
    ("act", "number"),
    [
        (late, 1),
        (in_order, 0),
        (after_another_schedule, 0),
        (overridden, 1),
        (asked_from_outside, 7),
        (with_an_epoch, 2),
    ],
)
def test_the_same_warnings(act, number):
    found = []
    for room, library in zip(ROOMS, LIBRARIES, strict=True):
        with warnings.catch_warnings(record=True) as record:
            warnings.simplefilter("always")
            act(room, two_groups(library))
        found.append(texts(record))
        assert room is not lr_scheduler or all(each.filename == __file__ for each in record)
    assert found[0] == found[1]
    assert len(found[0]) == number


ERRORS = [
    lambda room, o: room.StepLR([torch.zeros(1)], 1),
    lambda room, o: room.LambdaLR([torch.zeros(1)], root),
    lambda room, o: room.LambdaLR(o, [root]),
    lambda room, o: room.LambdaLR(o, 3.0),
    lambda room, o: room.MultiplicativeLR(o, [root] * 3),
    lambda room, o: room.MultiplicativeLR(o, 0.5),
    lambda room, o: room.StepLR(o, 1, last_epoch=3),
    lambda room, o: room.ConstantLR(o, factor=1.5),
    lambda room, o: room.ConstantLR(o, factor=-0.5),
    lambda room, o: room.LinearLR(o, start_factor=0.0),
    lambda room, o: room.LinearLR(o, start_factor=1.5),
    lambda room, o: room.LinearLR(o, end_factor=-0.1),
    lambda room, o: room.LinearLR(o, end_factor=1.1),
    lambda room, o: room.LRScheduler(o),
    lambda room, o: room.OneCycleLR([torch.zeros(1)], 0.1, 5),
    lambda room, o: room.OneCycleLR(o, 0.1),
    lambda room, o: room.OneCycleLR(o, 0.1, epochs=3),
    lambda room, o: room.OneCycleLR(o, 0.1, total_steps=0),
    lambda room, o: room.OneCycleLR(o, 0.1, total_steps=2.5),
    lambda room, o: room.OneCycleLR(o, 0.1, epochs=-1, steps_per_epoch=3),
    lambda room, o: room.OneCycleLR(o, 0.1, epochs=1, steps_per_epoch=1.5),
    lambda room, o: room.OneCycleLR(o, 0.1, 9, pct_start=1),
    lambda room, o: room.OneCycleLR(o, 0.1, 9, pct_start=1.5),
    lambda room, o: room.OneCycleLR(o, 0.1, 9, anneal_strategy="exp"),
    lambda room, o: room.OneCycleLR(o, [0.1], 9),
    lambda room, o: room.OneCycleLR(o, 0.1, 9, base_momentum=[0.8]),
    lambda room, o: room.OneCycleLR(o, 0.1, 9, max_momentum=[0.8]),
    lambda room, o: room.OneCycleLR(o, 0.1, 2, pct_start=0.5),
    lambda room, o: room.OneCycleLR(torch.optim.Adagrad([torch.nn.Parameter(torch.zeros(1))]), 0.1, 9),
    lambda room, o: steps(room.OneCycleLR(o, 0.1, 3), 5),
    lambda room, o: room.CosineAnnealingWarmRestarts(o, 0),
    lambda room, o: room.CosineAnnealingWarmRestarts(o, 2.0),
    lambda room, o: room.CosineAnnealingWarmRestarts(o, 2, T_mult=0),
    lambda room, o: room.CosineAnnealingWarmRestarts(o, 2, T_mult=1.5),
    lambda room, o: room.CosineAnnealingWarmRestarts(o, 2, eta_min="low"),
    lambda room, o: room.CosineAnnealingWarmRestarts(o, 2).step(-1),
    lambda room, o: room.CyclicLR([torch.zeros(1)], 0.1, 0.2),
    lambda room, o: room.CyclicLR(o, 0.1, 0.2, mode="square"),
    lambda room, o: room.CyclicLR(o, [0.1], 0.2),
    lambda room, o: room.CyclicLR(o, 0.1, [0.2]),
    lambda room, o: room.CyclicLR(o, 0.1, 0.2, max_momentum=[0.9]),
    lambda room, o: room.CyclicLR(torch.optim.Adagrad([torch.nn.Parameter(torch.zeros(1))]), 0.1, 0.2),
    lambda room, o: room.ReduceLROnPlateau(o, factor=1.0),
    lambda room, o: room.ReduceLROnPlateau([torch.zeros(1)]),
    lambda room, o: room.ReduceLROnPlateau(o, mode="least"),
    lambda room, o: room.ReduceLROnPlateau(o, threshold_mode="both"),
    lambda room, o: room.ReduceLROnPlateau(o, min_lr=[0.1]),
    lambda room, o: room.SequentialLR(o, [], []),
    lambda room, o: room.SequentialLR(o, [3], []),
    lambda room, o: room.SequentialLR(o, [room.StepLR(o, 1)], [1]),
    lambda room, o: room.SequentialLR(o, [room.StepLR(o, 1), room.StepLR(two_groups(optim), 1)], [1]),
    lambda room, o: room.SequentialLR(o, [room.ReduceLROnPlateau(o)], []),
    lambda room, o: room.ChainedScheduler([]),
    lambda room, o: room.ChainedScheduler([room.StepLR(o, 1), 3]),
    lambda room, o: room.ChainedScheduler([room.StepLR(o, 1), room.StepLR(two_groups(optim), 1)]),
    lambda room, o: room.ChainedScheduler([room.StepLR(o, 1)], two_groups(optim)),
    lambda room, o: room.ChainedScheduler([room.StepLR(o, 1), room.ReduceLROnPlateau(o)]),
]  # fmt: skip


def steps(schedule, number):
    for _ in range(number):
        schedule.optimizer.step()
        schedule.step()


@pytest.mark.parametrize("call", ERRORS)
def test_the_same_errors(call):
    found = []
    for room, library in zip(ROOMS, LIBRARIES, strict=True):
        with pytest.raises(
            (TypeError, ValueError, KeyError, AttributeError, ArithmeticError, NotImplementedError)
        ) as error:
            call(room, two_groups(library, momentum=0.9))
        found.append((error.type, str(error.value)[:25]))
    assert found[0] == found[1]


@pytest.mark.parametrize("name", torch.optim.lr_scheduler.__all__)
def test_the_same_arguments(name):
    ours, theirs = (inspect.signature(getattr(room, name)).parameters.values() for room in ROOMS)
    assert [(p.name, p.default, p.kind) for p in ours] == [(p.name, p.default, p.kind) for p in theirs]
    step, other = (inspect.signature(getattr(room, name).step).parameters.values() for room in ROOMS)
    assert [(p.name, p.default) for p in step] == [(p.name, p.default) for p in other]


def test_schedules_of_both_libraries_share_a_sequence():
    rates = []
    for outer, (first, second) in ((ROOMS[0], ROOMS), (ROOMS[1], ROOMS[::-1]), (ROOMS[0], ROOMS[1:] * 2)):
        optimizer = two_groups(optim)
        inner = [first.LinearLR(optimizer, total_iters=3), second.CosineAnnealingLR(optimizer, 4)]
        schedule = outer.SequentialLR(optimizer, inner, [3])
        rates.append([])
        for _ in range(8):
            rates[-1].append(schedule.get_last_lr())
            steps(schedule, 1)
    assert rates[0] == rates[1] == rates[2]


def test_a_sequence_may_stand_in_a_sequence():
    found = []
    for room, library in zip(ROOMS, LIBRARIES, strict=True):
        optimizer = two_groups(library)
        inner = room.SequentialLR(optimizer, [room.LinearLR(optimizer), room.ExponentialLR(optimizer, 0.5)], [2])
        with pytest.warns(UserWarning, match="before `optimizer.step"):  # the inner one takes its step 0 anew
            schedule = room.SequentialLR(optimizer, [inner, room.StepLR(optimizer, 2)], [5])
        found.append([])
        for _ in range(9):
            found[-1].append(schedule.get_last_lr())
            steps(schedule, 1)
    assert found[0] == found[1]


def test_an_optimiser_lives_no_longer_than_its_owner():
    """No circle of references: without the garbage collector the memory is free at once."""
    gc.disable()
    try:
        optimizer = two_groups(optim)
        schedule = optim.StepLR(optimizer, 1)
        gone = weakref.ref(optimizer)
        del optimizer, schedule
        assert gone() is None
    finally:
        gc.enable()


def test_a_tensor_rate_stays_the_same_tensor():
    rate = torch.tensor([0.1])
    optimizer = optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=rate)
    schedule = optim.CosineAnnealingLR(optimizer, 4)
    steps(schedule, 4)
    assert optimizer.param_groups[0]["lr"] is rate
    torch.testing.assert_close(rate, torch.zeros(1), rtol=0, atol=1e-8)
    schedule.get_last_lr()[0].fill_(7.0)
    assert rate.item() < 1
