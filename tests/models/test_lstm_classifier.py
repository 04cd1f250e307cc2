"""The LSTM of the second program: its size, its twin out of torch.nn, ragged batches, and that it can learn."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels import nn
from minimodels.models import LSTMClassifier, TextClassifier
from minimodels.optim import Adam
from minimodels.testing import assert_equivalent


class Twin(torch.nn.Module):
    """The same network out of PyTorch's layers."""

    def __init__(self):
        super().__init__()
        self.lstm = torch.nn.LSTM(100, 128, 3, batch_first=True)
        self.head = torch.nn.Linear(128, 1)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1]).squeeze(1)


def size(model):
    return sum(p.numel() for p in model.parameters())


def test_382081_parameters_and_what_keras_counts():
    assert size(LSTMClassifier()) == size(Twin()) == 382_081
    assert size(LSTMClassifier()) - 3 * 4 * 128 == 380_545


def test_the_same_seed_gives_the_weights_of_the_twin():
    torch.manual_seed(3)
    ours = LSTMClassifier().state_dict()
    torch.manual_seed(3)
    theirs = Twin().state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_equals_the_twin_with_gradients():
    x = torch.randn(3, 7, 100, dtype=torch.float64)
    assert_equivalent(LSTMClassifier().double(), Twin().double(), x, order=1)


@given(lengths=st.lists(st.integers(1, 6), min_size=1, max_size=5), both=st.booleans(), seed=st.integers(0, 9))
def test_what_stands_behind_the_end_changes_nothing(lengths, both, seed):
    torch.manual_seed(seed)
    model = LSTMClassifier(3, 4, 2, bidirectional=both).double()
    x = torch.randn(len(lengths), 6, 3, dtype=torch.float64)
    together = model(x, torch.tensor(lengths))
    for row, length in enumerate(lengths):
        torch.testing.assert_close(model(x[row : row + 1, :length])[0], together[row])
    noisy = x.clone()
    for row, length in enumerate(lengths):
        noisy[row, length:] = 1e3
    assert torch.equal(model(noisy, torch.tensor(lengths)), together)


@pytest.mark.parametrize(
    ("lengths", "sentence"),
    [
        ([1, 2, 3], r"2 sequences need as many lengths, but got lengths of shape \[3\]"),
        ([1, 0], "length 0 of sequence 1 has to be at least 1 and at most 5"),
        ([6, 1], "length 6 of sequence 0 has to be at least 1 and at most 5"),
    ],
)
def test_lengths_that_do_not_fit(lengths, sentence):
    with pytest.raises(ValueError, match=sentence):
        LSTMClassifier(3, 4)(torch.zeros(2, 5, 3), torch.tensor(lengths))


def test_the_forget_gates_begin_open():
    torch.manual_seed(0)
    plain = LSTMClassifier(3, 4, 2, bidirectional=True)
    torch.manual_seed(0)
    open_ = LSTMClassifier(3, 4, 2, bidirectional=True, forget_bias=1.0)
    for (name, a), (_, b) in zip(plain.named_parameters(), open_.named_parameters(), strict=True):
        expected = a.detach().clone()
        if "bias_ih" in name:
            expected[4:8] += 1
        assert torch.equal(b, expected), name


def test_several_classes_and_probabilities():
    x = torch.randn(5, 4, 3)
    many, one = LSTMClassifier(3, 4, classes=10), LSTMClassifier(3, 4)
    assert many(x).shape == (5, 10)
    torch.testing.assert_close(many.predict_proba(x).sum(1), torch.ones(5))
    torch.testing.assert_close(one.predict_proba(x), torch.sigmoid(one(x)))


def test_text_goes_through_vectors():
    model = TextClassifier(9, hidden_size=4, num_layers=1).double()
    tokens, lengths = torch.tensor([[3, 1, 0, 0], [2, 8, 5, 4]]), torch.tensor([2, 4])
    logits = model(tokens, lengths)
    torch.testing.assert_close(logits[0], model(tokens[:1, :2])[0])
    assert not model.embedding.weight[0].any()
    logits.sum().backward()
    assert not model.embedding.weight.grad[[0, 6, 7]].any()
    torch.testing.assert_close(model.predict_proba(tokens, lengths), logits.sigmoid())


def test_learns_which_token_came_first():
    """Only the first of eight tokens tells: it has to be remembered to the end."""
    torch.manual_seed(0)
    tokens = torch.randint(3, 9, (64, 8))
    labels = torch.arange(64) % 2
    tokens[:, 0] = 1 + labels
    model = TextClassifier(9, 16, hidden_size=24, num_layers=3, forget_bias=1.0)
    optimizer, loss = Adam(model.parameters(), lr=1e-2), nn.BCEWithLogitsLoss()
    for _ in range(60):
        optimizer.zero_grad()
        loss(model(tokens), labels.float()).backward()
        optimizer.step()
    assert ((model(tokens) > 0) == labels.bool()).all()


def test_vectors_may_begin_small():
    torch.manual_seed(0)
    plain = TextClassifier(9)
    torch.manual_seed(0)
    small = TextClassifier(9, embedding_scale=0.1)
    torch.testing.assert_close(small.embedding.weight, 0.1 * plain.embedding.weight)
    assert torch.equal(small.classifier.head.weight, plain.classifier.head.weight)
