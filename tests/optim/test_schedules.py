"""The schedules: their closed form, their state, and the state's way to torch and back."""

import copy
import itertools
import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels.errors import InputError
from minimodels.optim import SGD, AdamW, LRScheduler, WarmupCosineLR, warmup_cosine

counts = st.integers(0, 40)
ratios = st.floats(0.0, 1.0)


class Exponential(LRScheduler):
    """A schedule of torch's kind, which goes from the present rate to the next."""

    def get_lr(self) -> list[float | torch.Tensor]:
        if self.last_epoch == 0:
            return [group["lr"] for group in self.optimizer.param_groups]
        return [group["lr"] * 0.9 for group in self.optimizer.param_groups]


def two_groups(cls: Any = SGD, lr: Any = 0.1) -> torch.optim.Optimizer:
    a, b = (torch.nn.Parameter(torch.zeros(2)) for _ in range(2))
    return cls([{"params": [a]}, {"params": [b], "lr": 0.5}], lr=lr)


def rates(schedule: Any, steps: int) -> list[list[float]]:
    seen = []
    for _ in range(steps):
        seen.append([float(lr) for lr in schedule.get_last_lr()])
        assert seen[-1] == [float(group["lr"]) for group in schedule.optimizer.param_groups]
        schedule.optimizer.step()
        schedule.step()
    return seen


@given(warmup=counts, total=counts, start=ratios, floor=ratios)
def test_the_rate_rises_in_a_line_falls_in_a_cosine_and_stays(
    warmup: int, total: int, start: float, floor: float
) -> None:
    seen = [warmup_cosine(t, warmup, total, start, floor) for t in range(max(warmup, total) + 5)]
    assert all(-1e-15 <= part <= 1 + 1e-15 for part in seen)
    rise, fall = seen[:warmup], seen[warmup:]
    assert rise == pytest.approx([start + (1 - start) * t / warmup for t in range(warmup)])
    assert all(a >= b - 1e-15 for a, b in itertools.pairwise(fall))
    if total > warmup:
        assert fall[0] == pytest.approx(1.0)
        assert seen[total] == floor
        for t in range(total - warmup):  # the cosine is symmetric about the middle of its range
            assert fall[t] + fall[total - warmup - t] == pytest.approx(1 + floor)
    assert seen[-5:] == [floor] * 5


@given(warmup=st.integers(0, 10), rest=st.integers(1, 30))
def test_the_defaults_are_the_cosine_schedule_of_hugging_face(warmup: int, rest: int) -> None:
    for t in range(warmup + rest):
        progress = (t - warmup) / rest
        expected = t / warmup if t < warmup else max(0.0, 0.5 * (1.0 + math.cos(math.pi * 0.5 * 2.0 * progress)))
        assert warmup_cosine(t, warmup, warmup + rest) == pytest.approx(expected)


@given(warmup=st.integers(0, 10), rest=st.integers(1, 30))
def test_one_part_more_than_the_steps_starts_the_warm_up_above_zero(warmup: int, rest: int) -> None:
    for t in range(warmup):
        assert warmup_cosine(t, warmup, warmup + rest, 1 / (warmup + 1)) == pytest.approx((t + 1) / (warmup + 1))


def test_without_warm_up_it_is_torchs_cosine_annealing() -> None:
    ours = WarmupCosineLR(two_groups(), 0, 12)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(two_groups(), 12)
    torch.testing.assert_close(rates(ours, 12), rates(theirs, 12), rtol=1e-12, atol=1e-12)


@given(warmup=counts, total=counts, floor=ratios, stop=st.integers(0, 20))
def test_a_run_that_is_resumed_has_the_rates_of_one_that_never_stopped(
    warmup: int, total: int, floor: float, stop: int
) -> None:
    whole = rates(WarmupCosineLR(two_groups(), warmup, total, 0.1, floor), 30)
    first = WarmupCosineLR(two_groups(), warmup, total, 0.1, floor)
    rates(first, stop)
    optimizer = two_groups()
    second = WarmupCosineLR(optimizer, 1, 2)
    optimizer.load_state_dict(first.optimizer.state_dict())
    second.load_state_dict(first.state_dict())
    assert rates(second, 30 - stop) == whole[stop:]
    third = WarmupCosineLR(first.optimizer, warmup, total, 0.1, floor, last_epoch=stop - 1)
    assert rates(third, 30 - stop) == whole[stop:]


@pytest.mark.parametrize("lr", [0.1, torch.tensor(0.1)])
def test_a_schedule_of_torchs_kind_exchanges_its_state_with_torch(lr: Any) -> None:
    whole = rates(Exponential(two_groups(lr=copy.deepcopy(lr))), 8)
    exponential = torch.optim.lr_scheduler.ExponentialLR
    makers = (Exponential, lambda optimizer: exponential(optimizer, 0.9))
    for make_first, make_second in (makers, makers[::-1]):
        first = make_first(two_groups(lr=copy.deepcopy(lr)))
        assert rates(first, 3) == whole[:3]
        second = make_second(two_groups(lr=copy.deepcopy(lr)))
        second.optimizer.load_state_dict(first.optimizer.state_dict())
        second.load_state_dict(first.state_dict())
        assert rates(second, 5) == whole[3:]
        assert (second.last_epoch, second._step_count) == (8, 9)


def test_a_rate_that_is_a_tensor_is_changed_in_place_and_not_handed_out() -> None:
    lr = torch.tensor(0.1)
    optimizer = AdamW([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    schedule = WarmupCosineLR(optimizer, 2, 4)
    assert optimizer.param_groups[0]["lr"] is lr
    optimizer.step()
    schedule.step()
    torch.testing.assert_close(lr, torch.tensor(0.05))
    schedule.get_last_lr()[0].fill_(7.0)
    torch.testing.assert_close(lr, torch.tensor(0.05))
    torch.testing.assert_close(schedule.base_lrs[0], torch.tensor(0.1))


def test_mistakes_are_named() -> None:
    with pytest.raises(TypeError, match="is not an Optimizer"):
        WarmupCosineLR([torch.zeros(1)], 1, 2)
    with pytest.raises(KeyError, match="initial_lr"):
        WarmupCosineLR(two_groups(), 1, 2, last_epoch=3)
    with pytest.raises(InputError, match="total_steps=-1"):
        WarmupCosineLR(two_groups(), 1, -1)
    with pytest.raises(InputError, match="warmup_steps=-2"):
        WarmupCosineLR(two_groups(), -2, 1)
    for wrong in (-0.1, 1.5, float("nan")):
        with pytest.raises(InputError, match="min_lr_ratio"):
            WarmupCosineLR(two_groups(), 1, 2, min_lr_ratio=wrong)
    with pytest.raises(NotImplementedError):
        LRScheduler(two_groups())
