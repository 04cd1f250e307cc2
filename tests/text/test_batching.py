"""Texts of different lengths side by side."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels.errors import InputError
from minimodels.text.batching import as_tensors, batched

rows = st.lists(st.lists(st.integers(1, 9), max_size=6), max_size=5)


@given(rows, st.sampled_from(["left", "right"]), st.none() | st.integers(6, 8))
def test_the_mask_tells_tokens_from_filling(rows: list[list[int]], side, width: int | None) -> None:
    encoded = batched(rows, width=width, fill=0, side=side)
    wanted = width or max(map(len, rows), default=0)
    for row, ids, mask in zip(rows, encoded.input_ids, encoded.attention_mask, strict=True):
        assert len(ids) == len(mask) == wanted
        assert [id for id, one in zip(ids, mask, strict=True) if one] == row
        assert mask == sorted(mask, reverse=side == "right")
        assert all(one == (id != 0) for id, one in zip(ids, mask, strict=True))


def test_tensors_and_where_they_live() -> None:
    encoded = as_tensors(batched([[5, 6], [7]], fill=0), "pt").to("meta")
    assert encoded.input_ids.device.type == encoded["attention_mask"].device.type == "meta"
    assert encoded.input_ids.dtype == torch.int64
    assert dict(**encoded).keys() == {"input_ids", "attention_mask"}
    assert as_tensors(batched([[5, 6]]), "np").input_ids.dtype == np.int64


def test_bad_input_gets_one_sentence() -> None:
    with pytest.raises(InputError, match="no token to fill the shorter texts with; give the tokenizer a pad_token"):
        batched([[1], []])
    with pytest.raises(InputError, match="texts of 1 and of 3 tokens do not fit into one tensor; say padding=True"):
        as_tensors(batched([[1], [1, 2, 3]], width=0), "pt")
    with pytest.raises(InputError, match="return_tensors='tf': give 'pt'"):
        as_tensors(batched([[1]]), "tf")
