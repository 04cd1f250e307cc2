"""Streams: every token is predicted once, from the one before it, in order."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels.data import Streams
from minimodels.errors import InputError


@given(count=st.integers(2, 60), batch=st.integers(1, 8), length=st.integers(1, 9))
def test_streams_lie_side_by_side_and_nothing_is_jumped(count: int, batch: int, length: int) -> None:
    streams = Streams(torch.arange(count), batch, length)
    pieces = list(streams)
    inputs, targets = (torch.cat([piece[part] for piece in pieces], 1) for part in (0, 2))
    assert torch.equal(inputs + 1, targets)
    rows = min(batch, count - 1)
    assert inputs.shape == (rows, (count - 1) // rows)
    assert inputs.flatten().tolist() == list(range(inputs.numel()))
    assert [bool(begins) for _, begins, _ in pieces] == [True] + [False] * (len(pieces) - 1)
    assert (len(streams), streams.samples) == (len(pieces), sum(len(piece) for piece, _, _ in pieces))


@pytest.mark.parametrize(("count", "options"), [(1, {}), (0, {}), (5, {"batch_size": 0}), (5, {"length": 0})])
def test_nothing_to_predict(count: int, options: dict[str, int]) -> None:
    with pytest.raises(InputError):
        Streams(torch.arange(count), **options)
