"""Augmentation: every picture is one of the shifts of itself, all shifts come up, and the source decides which."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as reference

from minimodels.data import Batches, RandomShift
from minimodels.data.order import stream
from minimodels.errors import InputError

SIDES = st.integers(1, 9)


def noise(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0)) + 0.1


@given(channels=st.integers(1, 3), height=SIDES, width=SIDES, pixels=st.integers(0, 4), seed=st.integers(0, 1000))
def test_a_shifted_picture_is_a_window_of_the_padded_one(
    channels: int, height: int, width: int, pixels: int, seed: int
) -> None:
    images = noise(5, channels, height, width)
    shifted = RandomShift(pixels)(images, stream(seed))
    assert shifted.shape == images.shape
    padded = reference.pad(images, [pixels] * 4)
    places = range(2 * pixels + 1)
    for before, after in zip(padded, shifted, strict=True):
        windows = [before[:, y : y + height, x : x + width] for y in places for x in places]
        assert any(torch.equal(after, window) for window in windows)


def test_every_shift_is_equally_likely() -> None:
    point = torch.zeros(9000, 1, 5, 5)
    point[:, :, 2, 2] = 1
    counts = RandomShift(1)(point, stream(0)).sum(dim=(0, 1))
    assert counts.sum() == 9000
    assert (counts[1:4, 1:4] > 850).all()  # 1000 expected, standard deviation 30


def test_no_shift_is_no_change() -> None:
    images = noise(4, 1, 6, 6)
    assert torch.equal(RandomShift(0)(images, stream(0)), images)


@given(seed=st.integers(0, 1000), epoch=st.integers(0, 100))
def test_an_epoch_is_augmented_the_same_way_again_and_another_one_otherwise(seed: int, epoch: int) -> None:
    images, labels = noise(40, 1, 6, 6), torch.arange(40)

    def batches(epoch: int) -> tuple[Tensor, Tensor]:
        source = Batches(images, labels, batch_size=16, seed=seed, augment=RandomShift(2))
        source.set_epoch(epoch)
        first, second = zip(*source, strict=True)
        return torch.cat(first), torch.cat(second)

    (once, numbers), (again, _), (later, _) = batches(epoch), batches(epoch), batches(epoch + 1)
    assert torch.equal(once, again)
    assert not torch.equal(once, later)
    assert torch.equal(numbers, labels)
    assert not torch.equal(once[:16], once[16:32])


def test_global_random_states_are_not_touched() -> None:
    before, numbers = torch.get_rng_state(), np.random.get_state(legacy=False)["state"]["pos"]  # type: ignore[index]
    RandomShift(1)(noise(4, 1, 6, 6), stream(0))
    assert torch.equal(torch.get_rng_state(), before)
    assert np.random.get_state(legacy=False)["state"]["pos"] == numbers  # type: ignore[index]


def test_a_negative_distance_is_refused() -> None:
    with pytest.raises(InputError, match="-1 pixels"):
        RandomShift(-1)
