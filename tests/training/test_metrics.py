"""Sums and counts add up to means over samples."""

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


def test_counts_may_be_tensors_and_no_graph_is_kept() -> None:
    totals = Totals()
    for size in (2, 3):
        totals.add("x", torch.ones(size, requires_grad=True).sum(), torch.tensor(size))
    assert totals.means() == {"x": 1.0}
    assert not totals.sums["x"].requires_grad


def test_many_small_losses_are_summed_without_drift() -> None:
    totals = Totals()
    for _ in range(10_000):
        totals.add("x", torch.tensor(0.1), 1)
    assert totals.means()["x"] == pytest.approx(float(torch.tensor(0.1)), rel=1e-9)


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
