"""Embedding the layer."""

import pytest
import torch

from minimodels import nn
from minimodels.testing import assert_equivalent


def test_a_table_that_is_there_is_taken_as_it_is():
    table = torch.randn(4, 3)
    layer = nn.Embedding.from_pretrained(table, padding_idx=-1)
    assert layer.weight.data_ptr() == table.data_ptr()
    assert not layer.weight.requires_grad
    assert repr(layer) == repr(torch.nn.Embedding.from_pretrained(table, padding_idx=-1))
    learned = [room.Embedding.from_pretrained(table.clone(), freeze=False, padding_idx=0) for room in (nn, torch.nn)]
    assert_equivalent(*learned, torch.tensor([0, 3, 3]))
    assert learned[0].weight[0].any(), "padding keeps its numbers"


def test_what_is_no_table_is_refused():
    for room in (nn, torch.nn):
        with pytest.raises(AssertionError):
            room.Embedding.from_pretrained(torch.randn(4))


def test_a_frozen_table_is_not_learned():
    assert not nn.Embedding(3, 2, _freeze=True).weight.requires_grad
