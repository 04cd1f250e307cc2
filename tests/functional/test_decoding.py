"""Decoding: the beam that keeps everything is exact, and greedy is the best path."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels import functional as F
from minimodels.testing import tensors
from tests.functional.test_ctc import read


def weights(log_probs, blank):
    """Every labelling with its probability, path by path."""
    steps, classes = log_probs.shape
    found = {}
    for path in itertools.product(range(classes), repeat=steps):
        labels = tuple(read(path, blank))
        found[labels] = found.get(labels, 0.0) + math.exp(sum(log_probs[t, s].item() for t, s in enumerate(path)))
    return found


@given(x=tensors((4, 2, 3), layouts=False), blank=st.integers(0, 2))
def test_a_beam_that_keeps_everything_is_exact(x, blank):
    log_probs = F.log_softmax(2 * x, 2)
    for n, beam in enumerate(F.ctc_beam_decode(log_probs, beam_width=10**6, blank=blank, top=10**6)):
        exact = weights(log_probs[:, n], blank)
        assert {
            tuple(labels): pytest.approx(math.exp(weight)) for labels, weight in beam if weight > -math.inf
        } == exact
        assert [weight for _, weight in beam] == sorted((weight for _, weight in beam), reverse=True)


@given(x=tensors((6, 1, 4), layouts=False), width=st.integers(1, 8))
def test_what_a_beam_says_is_a_part_of_the_truth(x, width):
    log_probs = F.log_softmax(x, 2)
    [[(labels, weight)]] = F.ctc_beam_decode(log_probs, beam_width=width)
    targets = torch.tensor([labels], dtype=torch.int64).view(1, -1)
    loss = F.ctc_loss(log_probs, targets, (6,), (len(labels),), reduction="sum")
    assert weight <= -loss.item() + 1e-9
    [[(_, everything)]] = F.ctc_beam_decode(log_probs, beam_width=10**4)
    assert weight <= everything + 1e-9


@given(x=tensors((5, 3, 4)), blank=st.integers(0, 3))
def test_greedy_reads_the_best_path(x, blank):
    log_probs = F.log_softmax(x, 2)
    for n, (labels, weight) in enumerate(F.ctc_greedy_decode(log_probs, blank=blank)):
        path = log_probs[:, n].argmax(1).tolist()
        assert labels == read(path, blank)
        assert weight == pytest.approx(log_probs[:, n].max(1).values.sum().item())


@pytest.mark.parametrize("lengths", [(3, 0, 5), torch.tensor([3, 0, 5])])
def test_only_the_steps_that_count(lengths):
    log_probs = F.log_softmax(torch.randn(5, 3, 4), 2)
    for decode in (F.ctc_greedy_decode, F.ctc_beam_decode):
        together = decode(log_probs, lengths)
        assert together[0] == decode(log_probs[:3, :1])[0]
        assert together[2] == decode(log_probs[:, 2:])[0]
    assert F.ctc_greedy_decode(log_probs, lengths)[1] == ([], 0.0)
    assert F.ctc_beam_decode(log_probs, lengths)[1] == [([], 0.0)]


def test_many_paths_outweigh_the_best_one():
    y = torch.tensor([[0.6, 0.4], [0.6, 0.4]])
    assert F.ctc_greedy_decode(y.log()[:, None])[0][0] == []
    assert F.ctc_beam_decode(y.log()[:, None])[0][0][0] == [1]


def test_calls_that_do_not_fit():
    log_probs = torch.zeros(5, 2, 4)
    for decode in (F.ctc_greedy_decode, F.ctc_beam_decode):
        for lengths in ((6, 1), (1,), (-1, 1)):
            with pytest.raises(RuntimeError, match="do not fit 2 sequences of 5 steps"):
                decode(log_probs, lengths)
        with pytest.raises(RuntimeError, match="Expected 3-dimensional"):
            decode(log_probs[0])
    for options in ({"beam_width": 0}, {"top": 0}):
        with pytest.raises(ValueError, match="have to be positive"):
            F.ctc_beam_decode(log_probs, **options)
