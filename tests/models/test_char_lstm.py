"""The character model: what it remembers, what it writes, and that it can learn."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels import nn
from minimodels.models import CharLSTM
from minimodels.optim import Adam


@given(cut=st.integers(1, 6), seed=st.integers(0, 9))
def test_in_two_pieces_it_reads_the_same(cut, seed):
    torch.manual_seed(seed)
    model = CharLSTM(7, 3, 5).double()
    tokens = torch.randint(7, (2, 7))
    whole, (h, c) = model(tokens)
    first, state = model(tokens[:, :cut])
    second, (h2, c2) = model(tokens[:, cut:], state)
    torch.testing.assert_close(torch.cat([first, second], 1), whole)
    torch.testing.assert_close((h2, c2), (h, c))


def test_the_future_is_not_known():
    model = CharLSTM(7, 3, 5).double()
    tokens = torch.randint(7, (1, 6))
    other = tokens.clone()
    other[0, 4:] = (other[0, 4:] + 1) % 7
    torch.testing.assert_close(model(tokens)[0][:, :4], model(other)[0][:, :4])


def trained():
    torch.manual_seed(0)
    model, text = CharLSTM(4, 8, 24, 1), torch.arange(65) % 4
    optimizer, loss = Adam(model.parameters(), lr=1e-2), nn.CrossEntropyLoss()
    for _ in range(60):
        optimizer.zero_grad()
        loss(model(text[None, :-1])[0].transpose(1, 2), text[None, 1:]).backward()
        optimizer.step()
    return model


def test_learns_a_rhythm_and_goes_on_with_it():
    model = trained()
    assert list(model.generate(torch.tensor([1, 2]), 9, temperature=0)) == [3, 0, 1, 2, 3, 0, 1, 2, 3]
    assert list(model.generate(torch.tensor([1, 2]), 0)) == []


def test_the_same_generator_writes_the_same():
    model = CharLSTM(9, 4, 8)
    texts = [list(model.generate(torch.tensor([1]), 40, 1.5, torch.Generator().manual_seed(s))) for s in (0, 0, 1)]
    assert texts[0] == texts[1] != texts[2]
    assert set(texts[0]) <= set(range(9))


def test_temperature_sharpens():
    torch.manual_seed(0)
    model = CharLSTM(5, 4, 8)
    cold = list(model.generate(torch.tensor([1]), 30, 1e-3, torch.Generator().manual_seed(0)))
    assert cold == list(model.generate(torch.tensor([1]), 30, 0))


def test_nothing_to_go_on_with():
    with pytest.raises(ValueError, match="prompt is empty"):
        next(CharLSTM(3).generate(torch.tensor([], dtype=torch.int64), 3))
    with pytest.raises(ValueError, match=r"temperature -1.0"):
        next(CharLSTM(3).generate(torch.tensor([1]), 3, -1.0))
