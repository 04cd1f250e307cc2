"""The loop: greedy writing is the likeliest token each time, drawn tokens have their probabilities."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels.generation.sampling import Draw


def test_tokens_are_drawn_as_often_as_they_are_probable():
    probabilities = torch.tensor([0.5, 0.0, 0.2, 0.29, 0.01, 0.0])
    draws = 20_000
    tokens = Draw(torch.Generator().manual_seed(0))(probabilities.log().expand(draws, -1))
    counts = tokens.bincount(minlength=6)
    expected = probabilities * draws
    there = probabilities > 0
    assert not counts[~there].any()
    chi_square = ((counts - expected)[there] ** 2 / expected[there]).sum()
    assert chi_square < 16.3  # 3 degrees of freedom: one time in a thousand


@pytest.mark.parametrize("point", [0.0, 0.5, 1 - 2**-53])
@given(scores=st.lists(st.one_of(st.just(-torch.inf), st.floats(-100, 100)), min_size=1, max_size=20), data=st.data())
def test_what_is_impossible_is_never_drawn(point, scores, data):
    scores.insert(data.draw(st.integers(0, len(scores))), 0.0)  # something is possible
    original, torch.rand = torch.rand, lambda *size, **settings: torch.full(size, point, dtype=torch.float64)
    try:
        (token,) = Draw()(torch.tensor([scores]))
    finally:
        torch.rand = original
    assert torch.tensor(scores).softmax(0)[token] > 0


def test_several_are_all_different():
    drawn = Draw(torch.Generator().manual_seed(0)).several(torch.zeros(50, 6), 4)
    assert all(len(set(row)) == 4 for row in drawn.tolist())


def test_each_row_costs_one_random_number():
    generator = torch.Generator().manual_seed(0)
    Draw(generator)(torch.zeros(3, 1000))
    other = torch.Generator().manual_seed(0)
    torch.rand(3, 1, generator=other, dtype=torch.float64)
    assert torch.equal(generator.get_state(), other.get_state())


def test_greedy_writing_follows_the_table(bigrams):
    table = torch.eye(5).roll(1, 1)  # i is followed by i + 1
    model = bigrams(table)
    assert model.generate([0], max_new_tokens=7).tolist() == [[0, 1, 2, 3, 4, 0, 1, 2]]
    assert model.generate([0], max_new_tokens=7, eos_token_id=3).tolist() == [[0, 1, 2, 3]]
    batch = model.generate([[0], [2]], max_new_tokens=7, eos_token_id=3, pad_token_id=4)
    assert batch.tolist() == [[0, 1, 2, 3], [2, 3, 4, 4]]


def test_a_chain_is_drawn_with_its_probabilities(bigrams):
    table = torch.tensor([[0.2, 0.8, 0.0], [0.5, 0.0, 0.5], [1.0, 0.0, 0.0]]).log()
    texts = bigrams(table).generate([0], max_new_tokens=2, do_sample=True, num_return_sequences=4000, seed=0)
    assert texts.shape == (4000, 3)
    for path, probability in {(0, 0): 0.04, (0, 1): 0.16, (1, 0): 0.4, (1, 2): 0.4, (1, 1): 0, (2, 0): 0}.items():
        share = (texts[:, 1:] == torch.tensor(path)).all(1).double().mean()
        assert abs(share - probability) < 4 * (probability * (1 - probability) / 4000) ** 0.5 + 1e-12
