"""Processors: each against its definition, and against transformers' where it is installed."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels.generation import GenerationConfig, scores
from minimodels.generation.scores import min_p, no_end_before, processors, repetition_penalty, temperature, top_k, top_p

NO_IDS = torch.zeros(1, 1, dtype=torch.int64)


@st.composite
def score_cases(draw, most=30):
    N, V = draw(st.integers(1, 3)), draw(st.integers(1, most))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 999)))
    ids = torch.randint(V, (N, draw(st.integers(1, 6))), generator=generator)
    return 4 * torch.randn(N, V, generator=generator), ids


def left(changed):
    """Which tokens are left, as lists."""
    return [(row > -math.inf).nonzero().flatten().tolist() for row in changed]


@given(score_cases(), st.integers(1, 40))
def test_top_k_leaves_k(case, k):
    s, ids = case
    for row, kept in zip(s, left(top_k(k)(s, ids)), strict=True):
        assert kept == sorted(row.argsort(descending=True)[:k].tolist())


@given(score_cases(), st.floats(0.01, 1), st.integers(1, 3))
def test_top_p_leaves_the_smallest_sufficient_set(case, p, keep):
    s, ids = case
    probabilities = s.double().softmax(1)
    for row, kept in zip(probabilities, left(top_p(p, keep)(s, ids)), strict=True):
        order = row.argsort(descending=True).tolist()
        assert kept == sorted(order[: len(kept)])  # the likeliest
        assert row[kept].sum() > p - 1e-6
        assert len(kept) <= keep or row[order[: len(kept) - 1]].sum() < p + 1e-6


def test_a_nucleus_larger_than_the_heads(monkeypatch):
    s = torch.randn(2, 500)
    whole = top_p(0.9)(s, NO_IDS)
    monkeypatch.setattr(scores, "HEADS", (3, 20))
    assert torch.equal(top_p(0.9)(s, NO_IDS), whole)
    assert len(left(whole)[0]) > 20


@given(score_cases(), st.floats(0, 1), st.integers(1, 3))
def test_min_p_leaves_what_is_likely_enough(case, p, keep):
    s, ids = case
    probabilities = s.double().softmax(1)
    for row, kept in zip(probabilities, left(min_p(p, keep)(s, ids)), strict=True):
        best = row.argsort(descending=True)[:keep].tolist()
        for token, probability in enumerate(row):
            margin = float(probability / row.max()) - p
            if abs(margin) > 1e-6:
                assert (token in kept) == (margin > 0 or token in best)


@given(score_cases(), st.floats(0.2, 5))
def test_repetition_penalty_is_its_equation(case, penalty):
    s, ids = case
    changed = repetition_penalty(penalty)(s, ids)
    for row, new, seen in zip(s, changed, ids.tolist(), strict=True):
        for token in range(len(row)):
            expected = row[token]
            if token in seen:
                expected = row[token] / penalty if row[token] >= 0 else row[token] * penalty
            torch.testing.assert_close(new[token], expected)


def test_padding_has_not_occurred():
    s = torch.tensor([[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]])
    ids, mask = torch.tensor([[0, 1, 2], [0, 1, 2]]), torch.tensor([[0, 1], [1, 1]])
    assert repetition_penalty(2.0, mask)(s, ids).tolist() == [[1.0, 0.5, 0.5], [0.5, 0.5, 0.5]]


def test_no_end_before_its_time():
    s = torch.zeros(1, 4)
    assert left(no_end_before(3, [1, 2])(s, torch.zeros(1, 2, dtype=torch.int64))) == [[0, 3]]
    assert left(no_end_before(3, [1, 2])(s, torch.zeros(1, 3, dtype=torch.int64))) == [[0, 1, 2, 3]]
    assert s.sum() == 0  # the model's own scores stay as they are


def test_what_is_off_is_not_there():
    off = {"temperature": 1.0, "top_p": 1.0, "repetition_penalty": 1.0, "min_new_tokens": 0}
    assert processors(GenerationConfig(do_sample=True, **off), 1, None, [0]) == []
    assert processors(GenerationConfig(min_new_tokens=5), 1, None, []) == []  # nothing ends a text
    on = {"temperature": 0.5, "top_p": 0.5, "repetition_penalty": 2.0, "min_new_tokens": 2, "top_k": 3, "min_p": 0.1}
    assert len(processors(GenerationConfig(do_sample=True, **on), 1, None, [0])) == 6


@given(
    score_cases(),
    st.floats(0.2, 5),
    st.one_of(st.none(), st.integers(1, 40)),
    st.one_of(st.none(), st.floats(0.05, 1)),
    st.one_of(st.none(), st.floats(0, 1)),
    st.floats(0.5, 2),
)
def test_all_in_the_order_of_hugging_face(case, degree, k, p, least, penalty):
    theirs = pytest.importorskip("transformers").generation.logits_process
    s, ids = case
    chosen = GenerationConfig(
        do_sample=True, temperature=degree, top_k=k, top_p=p, min_p=least, repetition_penalty=penalty
    )
    ours, expected = s, s
    for processor in processors(chosen, ids.shape[1], None, []):
        ours = processor(ours, ids)
    warpers = [theirs.RepetitionPenaltyLogitsProcessor(penalty), theirs.TemperatureLogitsWarper(degree)]
    warpers += [] if k is None else [theirs.TopKLogitsWarper(k)]
    warpers += [] if p is None or p == 1 else [theirs.TopPLogitsWarper(p)]
    warpers += [] if least is None else [theirs.MinPLogitsWarper(least)]
    for warper in warpers:
        expected = warper(ids, expected)
    torch.testing.assert_close(ours, expected)


def test_temperature_leaves_the_order():
    s = torch.tensor([[3.0, 1.0, 2.0]])
    assert torch.equal(temperature(0.1)(s, NO_IDS).argsort(), s.argsort())


@pytest.mark.parametrize("arguments", [{"top_k": 1}, {"top_p": 1e-6}, {"min_p": 1.0}], ids=str)
@pytest.mark.parametrize(("beams", "eos", "survivors"), [(1, [0, 1], 1), (2, [], 2), (2, [0, 1], 3)])
def test_beams_always_have_a_way_to_go_on(arguments, beams, eos, survivors):
    (select,) = processors(GenerationConfig(do_sample=True, num_beams=beams, **arguments), 1, None, eos)
    assert len(left(select(torch.arange(6.0)[None], NO_IDS))[0]) == survivors
