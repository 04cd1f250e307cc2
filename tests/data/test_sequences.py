"""The adding problem as it is described, and digits by rows."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels.data import load_adding, load_digit_rows, load_digits
from minimodels.data.sequences import _sums
from minimodels.errors import InputError


@given(length=st.integers(2, 40), part=st.integers(0, 1))
def test_the_sum_of_the_two_marked_numbers(length: int, part: int) -> None:
    sequences, targets = _sums(50, length, part)
    numbers, marks = sequences.unbind(2)
    assert sequences.shape == (50, length, 2)
    assert ((numbers >= 0) & (numbers < 1)).all()
    assert ((marks == 0) | (marks == 1)).all()
    assert (marks[:, : length // 2].sum(1) == 1).all()
    assert (marks[:, length // 2 :].sum(1) == 1).all()
    assert torch.equal((numbers * marks).sum(1), targets)


def test_answering_one_has_the_error_that_everybody_quotes() -> None:
    _, test = load_adding(20)
    assert (test.targets - 1).square().mean().item() == pytest.approx(1 / 6, rel=0.05)
    marks = test.sequences[..., 1]
    assert (marks.sum(0) > 0).all()  # every place is marked sometimes


def test_the_same_sequences_every_time_and_others_for_testing() -> None:
    one, two = load_adding(10), load_adding(10)
    assert torch.equal(one[0].sequences, two[0].sequences)
    assert not torch.equal(one[0].sequences[:2000], one[1].sequences)
    with pytest.raises(InputError, match="length 1: two numbers have to be added"):
        load_adding(1)


def test_a_row_a_step() -> None:
    (train, _), (images, _) = load_digit_rows(), load_digits()
    assert torch.equal(train.sequences[:, 5], images.images[:, 0, 5])
    assert torch.equal(train.targets, images.labels)
