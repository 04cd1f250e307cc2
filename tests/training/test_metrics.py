"""Sums and counts add up to means over samples."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels.training.metrics import Totals, accuracy


@given(parts=st.lists(st.lists(st.floats(-100, 100), min_size=1, max_size=5), min_size=1, max_size=6))
def test_the_mean_does_not_depend_on_how_samples_are_batched(parts: list[list[float]]) -> None:
    totals = Totals()
    for part in parts:
        totals.add("x", torch.tensor(part, dtype=torch.float64).sum(), len(part))
    everything = [value for part in parts for value in part]
    assert totals.means()["x"] == pytest.approx(sum(everything) / len(everything), abs=1e-9)


def test_counts_may_be_tensors_on_any_device_and_no_graph_is_kept(device: torch.device) -> None:
    totals = Totals()
    for size in (2, 3):
        totals.add("x", torch.ones(size, device=device, requires_grad=True).sum(), torch.tensor(size))
    assert totals.means() == {"x": 1.0}
    assert not totals.sums["x"].requires_grad


def test_many_small_losses_are_summed_without_drift() -> None:
    totals = Totals()
    for _ in range(10_000):
        totals.add("x", torch.tensor(0.1), 1)
    assert totals.means()["x"] == pytest.approx(float(torch.tensor(0.1)), rel=1e-9)


def test_means_are_one_transfer_also_when_counts_are_tensors(monkeypatch: pytest.MonkeyPatch) -> None:
    totals, fetched = Totals(), []
    for name in "abc":
        totals.add(name, torch.tensor(6.0), torch.tensor(4))
    totals.add("d", torch.tensor(1), 2)
    tolist = torch.Tensor.tolist
    monkeypatch.setattr(torch.Tensor, "tolist", lambda self: fetched.append(self.numel()) or tolist(self))
    assert totals.means() == {"a": 1.5, "b": 1.5, "c": 1.5, "d": 0.5}
    assert fetched == [8]


def test_the_mean_of_nothing_is_nan() -> None:
    totals = Totals()
    totals.add("a", torch.tensor(0.0), 0)
    totals.add("b", torch.tensor(0.0), torch.tensor(0))
    assert all(math.isnan(mean) for mean in totals.means().values())


def test_nothing_has_no_means() -> None:
    assert Totals().means() == {}


@given(
    shape=st.lists(st.integers(1, 3), max_size=2),
    classes=st.integers(1, 4),
    samples=st.integers(1, 5),
    soft=st.booleans(),
)
def test_accuracy_counts_the_right_ones(shape: list[int], classes: int, samples: int, soft: bool) -> None:
    """Classes along dimension 1, anything behind it; soft targets mean their largest class."""
    torch.manual_seed(0)
    outputs = torch.randn(samples, classes, *shape)
    targets = torch.randint(classes, (samples, *shape))
    given_targets = torch.eye(classes)[targets].movedim(-1, 1) if soft else targets
    right, count = accuracy(outputs, given_targets)
    flat = outputs.movedim(1, -1).reshape(-1, classes)
    expected = sum(int(row.argmax()) == int(target) for row, target in zip(flat, targets.flatten(), strict=True))
    assert (right.item(), count) == (expected, targets.numel())
