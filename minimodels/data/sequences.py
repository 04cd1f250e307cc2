"""Sequences of numbers: the adding problem, and the digits read row by row."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from minimodels.data.digits import Split, load_digits
from minimodels.data.order import stream
from minimodels.errors import InputError

ADDING_TRAIN, ADDING_TEST = 50_000, 2_000


class SequenceSet(NamedTuple):
    """Sequences of one length with a target each, ready for `Batches(*sequences)`.

    Attributes:
        sequences: float32, shape [N, T, features].
        targets: float32 or int64, shape [N].

    Example:
        >>> train, test = load_digit_rows()
        >>> train.sequences.shape
        torch.Size([1437, 28, 28])
    """

    sequences: Tensor
    targets: Tensor


def load_adding(length: int = 200) -> tuple[SequenceSet, SequenceSet]:
    """The adding problem: two numbers of a sequence are marked, and their sum is wanted at its end.

        x_t = (u_t, m_t),  u_t ~ uniform [0, 1),  m_i = m_j = 1 for one i in the first half and one j in the second
        y = u_i + u_j

    Whoever always answers 1 has a mean squared error of 2·(1/12) ≈ 0.167. To do better something has to be kept for as
    long as `length` steps, which simple recurrent networks hardly learn beyond some tens of steps.

    Args:
        length: T, steps in a sequence.

    Returns:
        (train, test): 50,000 and 2,000 sequences, the same whenever they are asked for.

    Raises:
        InputError: a sequence of fewer than two steps.

    References:
        S. Hochreiter and J. Schmidhuber, "Long Short-Term Memory", 1997, doi:10.1162/neco.1997.9.8.1735, section 5.4
        (there with numbers in [−1, 1] and marks of three values); Q. Le, N. Jaitly and G. Hinton 2015, arXiv:1504.00941
        (this form).

    See: tests/data/test_sequences.py

    Example:
        >>> train, test = load_adding(10)
        >>> inputs, target = train.sequences[0], train.targets[0]
        >>> bool((inputs[:, 0] * inputs[:, 1]).sum() == target), inputs[:, 1].sum()
        (True, tensor(2.))
    """
    if length < 2:
        raise InputError(f"length {length}: two numbers have to be added; give 2 or more steps.")
    return _sums(ADDING_TRAIN, length, 0), _sums(ADDING_TEST, length, 1)


def load_digit_rows(split: Split = "random") -> tuple[SequenceSet, SequenceSet]:
    """The embedded digits as sequences: a picture of 28x28 is read from top to bottom, a row of 28 numbers a step.

    Args:
        split: of `load_digits`.

    Returns:
        (train, test), the targets the digits.

    Example:
        >>> _, test = load_digit_rows()
        >>> test.sequences.shape, test.targets[:3].shape
        (torch.Size([360, 28, 28]), torch.Size([3]))
    """
    train, test = (SequenceSet(images.squeeze(1), labels) for images, labels in load_digits(split))
    return train, test


def _sums(count: int, length: int, part: int) -> SequenceSet:
    """So many sequences of the adding problem, drawn from a source of their own for each part."""
    bits = stream(0, part, length)
    raw = bits.random_raw(count * (length + 2)) >> np.uint64(40)  # 24 bits: exact in float32, and never 1
    drawn = torch.from_numpy((raw.astype(np.float32) / np.float32(1 << 24)).reshape(count, length + 2))
    numbers, places = drawn[:, :length].contiguous(), drawn[:, length:]
    half = length // 2
    first = (places[:, 0] * half).long()
    second = half + (places[:, 1] * (length - half)).long()
    marks = torch.zeros(count, length)
    marks.scatter_(1, torch.stack([first, second], 1), 1.0)
    return SequenceSet(torch.stack([numbers, marks], 2), (numbers * marks).sum(1))
