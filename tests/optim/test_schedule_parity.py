"""Every schedule beside its namesake of torch.optim.lr_scheduler: each step and each state."""

import contextlib
import copy
import warnings
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels import optim
from minimodels.optim import lr_scheduler
from tests.optim.groups import optimizers, same, seen, two_groups

ROOMS = (lr_scheduler, torch.optim.lr_scheduler)
LIBRARIES = (optim, torch.optim)

counts = st.integers(1, 6)
parts = st.floats(0.05, 0.95)
gammas = st.floats(0.1, 1.1)


class Power:
    """A function with a state that can be saved."""

    def __init__(self, base: float) -> None:
        self.base = base

    def __call__(self, t: int) -> float:
        return self.base**t


def root(t: int) -> float:
    return (t + 1) ** -0.5


functions = st.just(root) | st.just([root, lambda t: 1 / (1 + t)])
SINGLE = {
    "LambdaLR": st.fixed_dictionaries({"lr_lambda": functions}),
    "MultiplicativeLR": st.fixed_dictionaries({"lr_lambda": functions}),
    "StepLR": st.fixed_dictionaries({"step_size": counts}, optional={"gamma": gammas}),
    "MultiStepLR": st.fixed_dictionaries(
        {"milestones": st.lists(st.integers(0, 8), max_size=4)}, optional={"gamma": gammas}
    ),
    "ExponentialLR": st.fixed_dictionaries({"gamma": gammas}),
    "PolynomialLR": st.fixed_dictionaries({}, optional={"total_iters": counts, "power": st.floats(0.5, 3)}),
    "ConstantLR": st.fixed_dictionaries({}, optional={"factor": parts, "total_iters": st.integers(0, 6)}),
    "LinearLR": st.fixed_dictionaries({}, optional={"start_factor": parts, "end_factor": parts, "total_iters": counts}),
    "CosineAnnealingWarmRestarts": st.fixed_dictionaries(
        {"T_0": st.integers(1, 4)}, optional={"T_mult": st.integers(1, 3), "eta_min": st.floats(0, 0.05)}
    ),
    "CosineAnnealingLR": st.fixed_dictionaries({"T_max": counts}, optional={"eta_min": st.floats(0, 0.05)}),
}
ONE_CYCLE = st.fixed_dictionaries(
    {"max_lr": parts | st.just([0.3, 0.7])},
    optional={
        "pct_start": st.floats(0.3, 0.6),
        "anneal_strategy": st.sampled_from(["cos", "linear"]),
        "cycle_momentum": st.booleans(),
        "base_momentum": st.just(0.8) | st.just([0.7, 0.8]),
        "max_momentum": st.just(0.9) | st.just([0.9, 0.95]),
        "div_factor": st.floats(2, 50),
        "final_div_factor": st.floats(2, 1e5),
        "three_phase": st.booleans(),
    },
)

CYCLIC = st.fixed_dictionaries(
    {"base_lr": st.just(0.01) | st.just([0.01, 0.05]), "max_lr": parts | st.just([0.3, 0.7])},
    optional={
        "step_size_up": counts,
        "step_size_down": st.none() | counts,
        "mode": st.sampled_from(["triangular", "triangular2", "exp_range"]),
        "gamma": gammas,
        "scale_fn": st.just(lambda x: 1 / (1 + x)),
        "scale_mode": st.sampled_from(["cycle", "iterations"]),
        "cycle_momentum": st.booleans(),
        "base_momentum": st.just(0.8) | st.just([0.7, 0.8]),
        "max_momentum": st.just(0.9) | st.just([0.9, 0.95]),
    },
)


KINDS = [*SINGLE, "OneCycleLR", "CyclicLR"]
every_kind = pytest.mark.parametrize("kind", KINDS)
every_kind_and_their_unions = pytest.mark.parametrize("kind", [*KINDS, "SequentialLR", "ChainedScheduler"])


@st.composite
def recipes(draw, kind):
    """How to make a schedule: a function of the room and the optimiser."""
    if kind in SINGLE:
        kwargs = draw(SINGLE[kind])
        return lambda room, optimizer: getattr(room, kind)(optimizer, **copy.copy(kwargs))
    if kind == "CyclicLR":
        kwargs = draw(CYCLIC)
        return lambda room, optimizer: room.CyclicLR(optimizer, **kwargs)
    if kind == "OneCycleLR":
        total = draw(st.just({"total_steps": 17}) | st.just({"epochs": 4, "steps_per_epoch": 5}))
        kwargs = draw(ONE_CYCLE) | total
        return lambda room, optimizer: room.OneCycleLR(optimizer, **kwargs)
    inner = draw(st.lists(st.sampled_from(sorted(SINGLE)).flatmap(recipes), min_size=1, max_size=3))
    others = len(inner) - 1
    milestones = sorted(draw(st.lists(st.integers(1, 9), min_size=others, max_size=others, unique=True)))

    def make(room: Any, optimizer: Any) -> Any:
        schedules = [recipe(room, optimizer) for recipe in inner]
        if kind == "ChainedScheduler":
            return room.ChainedScheduler(schedules)
        return room.SequentialLR(optimizer, schedules, milestones)

    return make


@contextlib.contextmanager
def quietly():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@every_kind_and_their_unions
@given(
    make=optimizers(),
    libraries=st.permutations(LIBRARIES) | st.just((torch.optim, torch.optim)),
    nudges=st.lists(st.sampled_from([1.0, 1.0, 0.5]), min_size=14, max_size=14),
    data=st.data(),
)
def test_step_by_step(kind, make, libraries, nudges, data):
    recipe = data.draw(recipes(kind))
    ours, theirs = (recipe(room, make(library)) for room, library in zip(ROOMS, libraries, strict=True))
    for nudge in nudges:
        assert seen(ours) == seen(theirs)
        assert same(ours.state_dict(), theirs.state_dict())
        for schedule in (ours, theirs):
            schedule.optimizer.param_groups[1]["lr"] *= nudge  # somebody else has a say, too
            schedule.optimizer.step()
            schedule.step()


@every_kind
@given(make=optimizers(), epochs=st.lists(st.none() | st.integers(0, 12), max_size=8), data=st.data())
def test_jumps(kind, make, epochs, data):
    """The deprecated argument: the closed form where there is one."""
    recipe = data.draw(recipes(kind))
    ours, theirs = (recipe(room, make(library)) for room, library in zip(ROOMS, LIBRARIES, strict=True))
    with quietly():
        for epoch in epochs:
            for schedule in (ours, theirs):
                schedule.step(epoch)
            assert seen(ours) == seen(theirs)


@given(T_0=st.integers(1, 4), T_mult=st.integers(1, 3), make=optimizers(),
       epochs=st.lists(st.none() | st.floats(0, 30), min_size=3, max_size=9))  # fmt: skip
def test_restarts_may_be_gone_to_and_back_in_parts_of_a_step(T_0, T_mult, make, epochs):
    ours, theirs = (
        room.CosineAnnealingWarmRestarts(make(library), T_0, T_mult)
        for room, library in zip(ROOMS, LIBRARIES, strict=True)
    )
    for epoch in [None, *epochs, T_0 + 1.5, T_0 / 2, None]:
        ours.step(epoch)
        theirs.step(epoch)
        assert seen(ours) == seen(theirs)


@every_kind_and_their_unions
@given(make=optimizers(), stop=st.integers(0, 8), way=st.permutations([0, 1]), data=st.data())
def test_a_state_goes_from_one_to_the_other(kind, make, stop, way, data):
    recipe = data.draw(recipes(kind))
    whole = recipe(ROOMS[way[0]], make(LIBRARIES[way[0]]))
    first, second = (recipe(ROOMS[side], make(LIBRARIES[side])) for side in way)
    for t in range(14):
        if t == stop:
            second.optimizer.load_state_dict(copy.deepcopy(first.optimizer.state_dict()))
            state = copy.deepcopy(first.state_dict())
            second.load_state_dict(state)
            if way[1] == 0:  # loading ours leaves the state as it was
                assert state.keys() == first.state_dict().keys()
        going = first if t < stop else second
        for schedule in (whole, going):
            schedule.optimizer.step()
            schedule.step()
        assert seen(going) == seen(whole)


@pytest.mark.parametrize("name", sorted(SINGLE))
@given(make=optimizers(), stop=st.integers(1, 6), data=st.data())
def test_a_run_goes_on_from_last_epoch(name, make, stop, data):
    kwargs = data.draw(SINGLE[name])
    sides = []
    for room, library in zip(ROOMS, LIBRARIES, strict=True):
        schedule = getattr(room, name)(make(library), **kwargs)
        for _ in range(stop):
            schedule.optimizer.step()
            schedule.step()
        sides.append(getattr(room, name)(schedule.optimizer, **kwargs, last_epoch=schedule.last_epoch - 1))
    for _ in range(4):
        assert seen(sides[0]) == seen(sides[1])
        for schedule in sides:
            schedule.optimizer.step()
            schedule.step()


@every_kind
@given(make=optimizers(), t=st.integers(0, 8), data=st.data())
def test_somebody_moves_it_by_hand(kind, make, t, data):
    recipe = data.draw(recipes(kind))
    ours, theirs = (recipe(room, make(library)) for room, library in zip(ROOMS, LIBRARIES, strict=True))
    for schedule in (ours, theirs):
        schedule.last_epoch, schedule._step_count = t, 0
        schedule.step()
    assert seen(ours) == seen(theirs)


@pytest.mark.parametrize("name", ["LambdaLR", "MultiplicativeLR"])
@pytest.mark.parametrize("way", [(0, 1), (1, 0)])
def test_functions_with_a_state_are_saved(name, way):
    first, second = (
        getattr(ROOMS[side], name)(two_groups(LIBRARIES[side]), [Power(base), root])
        for side, base in zip(way, (0.5, 0.9), strict=True)
    )
    second.load_state_dict(first.state_dict())
    assert second.lr_lambdas[0].base == 0.5
    assert second.lr_lambdas[1] is root
    assert first.state_dict()["lr_lambdas"] == [{"base": 0.5}, None]
