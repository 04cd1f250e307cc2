"""Ragged batches: everything once an epoch, little padding, and bad numbers named with their place."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels.data import RaggedBatches, padded
from minimodels.data.ragged import POOL
from minimodels.errors import InputError

lengths = st.lists(st.integers(1, 9), min_size=1, max_size=40)


def made(sizes: list[int], **options: object) -> RaggedBatches:
    sequences = [torch.full((size,), row + 1) for row, size in enumerate(sizes)]
    return RaggedBatches(sequences, torch.arange(len(sizes)), **options)  # type: ignore[arg-type]


@given(sizes=lengths, batch=st.integers(1, 7), shuffle=st.booleans(), seed=st.integers(0, 3))
def test_an_epoch_gives_every_sequence_once_with_its_length_and_target(
    sizes: list[int], batch: int, shuffle: bool, seed: int
) -> None:
    batches = made(sizes, batch_size=batch, shuffle=shuffle, seed=seed)
    seen = []
    for tokens, length, target in batches:
        assert tokens.shape == (len(length), int(length.max()))
        for row, size, which in zip(tokens, length.tolist(), target.tolist(), strict=True):
            assert row[:size].tolist() == [which + 1] * sizes[which]
            assert not row[size:].any()
            seen.append(which)
    assert sorted(seen) == list(range(len(sizes)))
    assert (len(batches), batches.samples) == (-(-len(sizes) // batch), len(sizes))
    if not shuffle:
        assert seen == sorted(seen)


@given(sizes=lengths, seed=st.integers(0, 3), epoch=st.integers(0, 3))
def test_the_order_depends_on_seed_and_epoch_alone(sizes: list[int], seed: int, epoch: int) -> None:
    one, two = (made(sizes, batch_size=3, shuffle=True, seed=seed) for _ in range(2))
    for _ in range(epoch):
        list(one)
    two.set_epoch(epoch)
    for a, b in zip(one, two, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_sorting_in_pools_saves_padding_and_keeps_chance() -> None:
    generator = torch.Generator().manual_seed(0)
    sizes = torch.randint(1, 100, (4 * POOL * 8,), generator=generator).tolist()
    batches = made(sizes, batch_size=8, shuffle=True)
    full = sum(tokens.numel() for tokens, _, _ in batches)
    assert full < 1.1 * sum(sizes)  # random batches of eight would be padded by about three quarters
    first, second = ([target.tolist() for _, _, target in batches] for _ in range(2))
    assert first != second
    means = [sum(sizes[i] for i in batch) / len(batch) for batch in first]
    assert means != sorted(means)


def test_a_broken_off_epoch_is_repeated() -> None:
    batches = made([1, 2, 3, 4], batch_size=1, shuffle=True)
    first = next(iter(batches))[2].item()
    assert (batches.epoch, next(iter(batches))[2].item()) == (0, first)


def test_features_are_padded_too() -> None:
    batch = padded([torch.ones(1, 2), torch.ones(3, 2)], padding=-1.0)
    assert batch.shape == (2, 3, 2)
    assert batch[0, 1:].eq(-1).all()


@pytest.mark.parametrize(
    ("sequences", "targets", "options", "sentence"),
    [
        ([], torch.zeros(0), {}, "there are no sequences"),
        ([torch.ones(2)], torch.zeros(2), {}, "1 sequences and 2 targets do not belong together"),
        ([torch.ones(2)], torch.tensor(1.0), {}, "1 sequences and 1 targets do not belong together"),
        ([torch.ones(2), torch.ones(0)], torch.zeros(2), {}, "sequence 1 has length 0"),
        ([torch.tensor(1.0)], torch.zeros(1), {}, "sequence 0 has length 0"),
        ([torch.tensor([[1.0, 2.0], [3.0, torch.nan]])], torch.zeros(1), {}, "sequence 0, step 1: a feature is NaN"),
        ([torch.tensor([torch.inf])], torch.zeros(1), {}, "sequence 0, step 0: a feature is NaN or infinite"),
        ([torch.ones(1)] * 2, torch.tensor([0.0, torch.nan]), {}, "target 1 is NaN"),
        ([torch.ones(1)], torch.zeros(1), {"batch_size": 0}, "batch size 0"),
        ([torch.ones(1)], torch.zeros(1), {"seed": -1}, "seed -1"),
    ],
)
def test_what_cannot_be_used_is_named(sequences: list[torch.Tensor], targets: torch.Tensor, options: dict[str, int],
                                      sentence: str) -> None:  # fmt: skip
    with pytest.raises(InputError) as caught:
        RaggedBatches(sequences, targets, **options)
    assert sentence in str(caught.value)
    with pytest.raises(InputError, match="epoch -1"):
        made([1]).set_epoch(-1)
