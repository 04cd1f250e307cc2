"""Windows: the targets are one further on; random ones are the same again, all of them are everything once."""

from itertools import chain

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels.data import AllWindows, RandomWindows
from minimodels.errors import InputError


def text(count: int) -> np.ndarray:
    return np.arange(count, dtype=np.uint16)


@given(
    count=st.integers(2, 40), batch=st.integers(1, 5), batches=st.integers(1, 5), seed=st.integers(0, 9), data=st.data()
)
def test_random_windows(count: int, batch: int, batches: int, seed: int, data: st.DataObject) -> None:
    length = data.draw(st.integers(1, count - 1))
    state = torch.random.get_rng_state()
    windows = RandomWindows(text(count), length, batch, batches, seed=seed)
    given_out = list(windows)
    assert len(given_out) == len(windows) == batches
    for inputs, targets in given_out:
        assert inputs.shape == targets.shape == (batch, length)
        assert inputs.dtype == targets.dtype == torch.int64
        assert torch.equal(inputs + 1, targets)
        assert torch.equal(inputs - inputs[:, :1], torch.arange(length).expand(batch, -1))
        assert 0 <= inputs.min() <= targets.max() < count
    assert windows.samples == count - 1
    assert torch.equal(torch.random.get_rng_state(), state)
    again = RandomWindows(text(count), length, batch, batches, seed=seed)
    assert all(torch.equal(one, other) for one, other in zip(chain(*again), chain(*given_out), strict=True))


@given(total=st.integers(1, 12), one=st.integers(1, 5), other=st.integers(1, 5))
def test_how_a_run_is_cut_changes_no_batch(total: int, one: int, other: int) -> None:
    runs = []
    for batches in (one, other, total):
        windows = RandomWindows(text(50), 4, 3, batches, total)
        lengths = []
        run = []
        while len(windows):
            lengths.append(len(windows))
            run += list(windows)
            assert len(run) == sum(lengths)
        assert list(windows) == []
        assert sum(lengths) == len(run) == total
        runs.append(torch.stack([inputs for inputs, _ in run]))
    assert torch.equal(runs[0], runs[1])
    assert torch.equal(runs[0], runs[2])


def test_a_pass_is_repeated_and_jumped_to() -> None:
    windows = RandomWindows(text(50), 4, 3, 2)
    first, second = list(windows), list(windows)
    windows.set_epoch(1)
    assert torch.equal(next(iter(windows))[0], second[0][0])  # broken off, so that it counts for nothing
    assert torch.equal(next(iter(windows))[0], second[0][0])
    windows.set_epoch(0)
    assert torch.equal(list(windows)[1][0], first[1][0])
    other = RandomWindows(text(50), 4, 3, 2, seed=1)
    assert not torch.equal(next(iter(other))[0], first[0][0])


def test_every_place_comes_as_often() -> None:
    starts = torch.cat([inputs[:, 0] for inputs, _ in RandomWindows(text(9), 4, 100, 50)])
    counts = torch.bincount(starts)
    assert len(counts) == 5  # the last window ends one before the end, where its last target is
    assert (counts - 1000).abs().max() < 150


@given(count=st.integers(2, 60), length=st.integers(1, 12), batch=st.integers(1, 5))
def test_all_windows_are_everything_once(count: int, length: int, batch: int) -> None:
    windows = AllWindows(text(count), length, batch)
    batches = list(windows)
    assert len(batches) == len(windows)
    assert torch.cat([targets.flatten() for _, targets in batches]).tolist() == list(range(1, count))
    assert torch.cat([inputs.flatten() for inputs, _ in batches]).tolist() == list(range(count - 1))
    assert all(inputs.shape[0] <= batch and inputs.shape[1] <= length for inputs, _ in batches)
    assert windows.samples == count - 1 == sum(targets.numel() for _, targets in windows)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokens": text(8)}, "a text of 8 tokens is too short for windows of 8"),
        ({"tokens": text(0)}, "a text of 0 tokens is too short"),
        ({"length": 0}, "length 0: has to be at least 1"),
        ({"batch_size": 0}, "batch_size 0"),
        ({"batches": 0}, "batches 0"),
        ({"total": 0}, "total 0"),
        ({"seed": -1}, "seed -1: give a whole number from 0 up"),
    ],
)
def test_random_windows_that_cannot_be(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        RandomWindows(**{"tokens": text(9), "length": 8, "batch_size": 1, "batches": 1, **change})  # type: ignore
    with pytest.raises(InputError, match="epoch -1"):
        RandomWindows(text(9), 8, 1, 1).set_epoch(-1)


@pytest.mark.parametrize(("count", "length", "batch"), [(1, 4, 1), (0, 4, 1), (5, 0, 1), (5, 1, 0)])
def test_nothing_to_predict(count: int, length: int, batch: int) -> None:
    with pytest.raises(InputError):
        AllWindows(text(count), length, batch)
