"""The shuffle: a permutation, the same for ever, and nobody else's business."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels.data.order import permutation
from minimodels.errors import InputError

SEEDS = st.integers(0, 2**70)


@given(count=st.integers(0, 300), seed=SEEDS, epoch=st.integers(0, 2**40))
def test_every_number_comes_once(count: int, seed: int, epoch: int) -> None:
    assert sorted(permutation(count, seed, epoch).tolist()) == list(range(count))


@given(seed=SEEDS, epoch=st.integers(0, 1000), other=st.integers(0, 1000))
def test_seed_and_epoch_are_not_interchangeable(seed: int, epoch: int, other: int) -> None:
    same = np.array_equal(permutation(200, seed, epoch), permutation(200, seed, other))
    assert same == (epoch == other)
    assert not np.array_equal(permutation(200, seed, epoch), permutation(200, seed + 1, epoch))
    assert not np.array_equal(permutation(200, seed + 2**32, epoch), permutation(200, seed, epoch))


def test_the_order_is_the_same_for_ever() -> None:
    assert permutation(8, 0).tolist() == [6, 3, 1, 4, 5, 2, 7, 0]
    assert permutation(8, 2026, 3).tolist() == [4, 1, 5, 7, 2, 0, 6, 3]


def test_global_random_states_are_neither_read_nor_touched() -> None:
    torch.manual_seed(1)
    before, expected = torch.get_rng_state(), permutation(50, 7, 1)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert np.array_equal(permutation(50, 7, 1), expected)


def test_every_place_is_equally_likely() -> None:
    places = np.array([permutation(5, seed)[0] for seed in range(1000)])
    assert np.bincount(places, minlength=5).min() > 150  # 200 expected, standard deviation 12.6


@pytest.mark.parametrize(("seed", "epoch"), [(-1, 0), (0, -1)])
def test_negative_numbers_are_refused(seed: int, epoch: int) -> None:
    with pytest.raises(InputError, match="negative"):
        permutation(3, seed, epoch)
