"""Batches: every sample once an epoch, rows kept together, and an order that only (seed, epoch) decides."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels.data import Batches
from minimodels.errors import InputError

SIZES = st.integers(1, 40)
SEEDS = st.integers(0, 2**40)


def rows_of(batches: Batches) -> list[int]:
    return torch.cat([batch[0] for batch in batches]).tolist()


@given(rows=SIZES, batch_size=SIZES, shuffle=st.booleans(), seed=SEEDS)
def test_an_epoch_gives_every_row_once_and_keeps_rows_together(
    rows: int, batch_size: int, shuffle: bool, seed: int
) -> None:
    numbers = torch.arange(rows)
    batches = Batches(
        numbers, numbers[:, None] * torch.tensor([2, 3]), batch_size=batch_size, shuffle=shuffle, seed=seed
    )
    seen = list(batches)
    assert len(seen) == len(batches)
    assert all(len(first) == batch_size for first, _ in seen[:-1])
    for first, second in seen:
        assert first.is_contiguous()
        assert torch.equal(second, torch.stack([2 * first, 3 * first], dim=1))
    order = torch.cat([first for first, _ in seen]).tolist()
    assert sorted(order) == list(range(rows))
    assert batches.samples == rows
    assert shuffle or order == list(range(rows))


@given(rows=SIZES, batch_size=SIZES)
def test_drop_last_leaves_only_full_batches(rows: int, batch_size: int) -> None:
    if rows < batch_size:
        with pytest.raises(InputError, match="drop_last"):
            Batches(torch.zeros(rows), batch_size=batch_size, drop_last=True)
        return
    batches = Batches(torch.zeros(rows), batch_size=batch_size, drop_last=True)
    assert [len(batch) for (batch,) in batches] == [batch_size] * (rows // batch_size)
    assert len(batches) == rows // batch_size
    assert batches.samples == len(batches) * batch_size


@given(seed=SEEDS, epoch=st.integers(0, 1000))
def test_a_resumed_run_sees_the_same_orders(seed: int, epoch: int) -> None:
    numbers = torch.arange(30)
    whole = Batches(numbers, batch_size=7, shuffle=True, seed=seed)
    whole.set_epoch(epoch)
    first, second = rows_of(whole), rows_of(whole)
    resumed = Batches(numbers, batch_size=7, shuffle=True, seed=seed)
    resumed.set_epoch(epoch + 1)
    torch.manual_seed(epoch)
    assert rows_of(resumed) == second != first


def test_other_seeds_give_other_orders() -> None:
    orders = {tuple(rows_of(Batches(torch.arange(30), shuffle=True, seed=seed))) for seed in range(20)}
    assert len(orders) == 20


def test_another_seed_is_not_the_same_series_of_orders_begun_later() -> None:
    series = [Batches(torch.arange(30), shuffle=True, seed=seed) for seed in (0, 1)]
    orders = [[rows_of(batches) for _ in range(5)] for batches in series]
    assert not [order for order in orders[0] if order in orders[1]]


def test_a_pass_that_is_broken_off_does_not_count() -> None:
    batches = Batches(torch.arange(30), batch_size=7, shuffle=True)
    glimpse = next(iter(batches))[0]
    assert batches.epoch == 0
    assert rows_of(batches)[:7] == glimpse.tolist()
    assert batches.epoch == 1


def test_the_global_random_state_is_left_alone() -> None:
    before = torch.get_rng_state()
    rows_of(Batches(torch.arange(30), shuffle=True))
    assert torch.equal(torch.get_rng_state(), before)


def test_batches_are_copies() -> None:
    source = torch.zeros(4, 2)
    for (batch,) in Batches(source, batch_size=2):
        batch += 1
    assert not source.any()


@pytest.mark.parametrize(
    ("tensors", "options", "words"),
    [
        ([], {}, "at least one tensor"),
        ([torch.tensor(1.0)], {}, "at least one tensor"),
        ([torch.zeros(0, 3)], {}, "no samples"),
        ([torch.zeros(3), torch.zeros(4)], {}, r"\[3, 4\]"),
        ([torch.zeros(3)], {"batch_size": 0}, "batch size 0"),
        ([torch.zeros(3)], {"batch_size": -2}, "batch size -2"),
        ([torch.zeros(3)], {"seed": -1}, "seed -1"),
    ],
)
def test_what_cannot_be_cut_is_refused(tensors: list[torch.Tensor], options: dict[str, int], words: str) -> None:
    with pytest.raises(InputError, match=words):
        Batches(*tensors, **options)


def test_epochs_count_from_zero() -> None:
    with pytest.raises(InputError, match="epoch -1"):
        Batches(torch.zeros(3)).set_epoch(-1)
