"""Masks: bands against their inequality, and how masks combine."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels import functional as F
from minimodels.functional.attention import Band

LENGTHS = st.integers(0, 6)
WINDOWS = st.none() | st.integers(1, 7)


@given(queries=LENGTHS, keys=LENGTHS, offset=st.integers(-3, 5), window=WINDOWS)
def test_a_band_is_its_inequality(queries, keys, offset, window):
    mask = Band(offset, window).mask(queries, keys)
    assert mask.shape == (queries, keys)
    for i in range(queries):
        for j in range(keys):
            assert mask[i, j] == (j <= i + offset and (window is None or j > i + offset - window))


@given(queries=LENGTHS, keys=LENGTHS)
def test_the_last_query_of_a_causal_mask_sees_the_last_key(queries, keys):
    mask = F.causal_mask(queries, keys)
    if queries and keys:
        assert mask[-1].all()
    if queries == keys:
        assert torch.equal(mask, torch.ones(queries, keys).tril().bool())


@given(queries=LENGTHS, keys=LENGTHS)
def test_a_window_of_all_keys_forbids_nothing_more(queries, keys):
    assert torch.equal(F.causal_mask(queries, keys, window=max(keys, 1)), F.causal_mask(queries, keys))


@given(queries=LENGTHS, keys=LENGTHS, offset=st.integers(-9, 9), window=WINDOWS)
def test_a_turned_band_is_its_mask_turned(queries, keys, offset, window):
    band = Band(offset, window)
    assert torch.equal(band.turned(queries, keys).mask(keys, queries), band.mask(queries, keys).t())


def test_masks_combine():
    seen = torch.tensor([[True, False], [True, True]])
    added = torch.tensor([[0.5, 1.5]])
    assert F.combine_masks(None, None) is None
    assert F.combine_masks(seen, None) is seen
    assert F.combine_masks(None, added) is added
    assert torch.equal(F.combine_masks(seen, ~seen | seen.flip(1)), seen & (~seen | seen.flip(1)))
    assert torch.equal(F.combine_masks(added, added), 2 * added)
    expected = torch.tensor([[0.5, -torch.inf], [0.5, 1.5]])
    assert torch.equal(F.combine_masks(seen, added), expected)
    assert torch.equal(F.combine_masks(added, seen), expected)


def test_a_window_without_a_place_is_refused():
    x = torch.ones(2, 3)
    with pytest.raises(ValueError, match="window"):
        F.causal_attention(x, x, x, window=0)
