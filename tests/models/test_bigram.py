"""The baseline: it counts neighbours, and cannot know more."""

import itertools

import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels.models import BigramLogistic


@given(tokens=st.lists(st.integers(1, 5), min_size=1, max_size=8), padding=st.integers(0, 3), seed=st.integers(0, 9))
def test_the_sum_of_weights_of_tokens_and_pairs(tokens, padding, seed):
    torch.manual_seed(seed)
    model = BigramLogistic(6).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_()
        model.single.weight[0] = 0
    single, pair = model.single.weight.flatten(), model.pair.weight.flatten()
    expected = sum(single[i] for i in tokens) + sum(pair[6 * i + j] for i, j in itertools.pairwise(tokens))
    given_ = torch.tensor([tokens + [0] * padding])
    logit = model(given_, torch.tensor([len(tokens)]))[0]
    torch.testing.assert_close(logit, model.bias + expected / len(tokens) ** 0.5)
    if not padding:
        torch.testing.assert_close(model(given_)[0], logit)


def test_begins_undecided_and_shares_a_table_where_the_vocabulary_is_large():
    model = BigramLogistic(1000, buckets=64)
    assert model.pair.weight.shape == (64, 1)
    assert not model(torch.tensor([[999, 3, 998]])).any()
    assert BigramLogistic(3).pair.weight.shape == (9, 1)
