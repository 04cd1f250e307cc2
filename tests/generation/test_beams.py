"""Beam search: wide enough, it is exhaustive; and what it gives is what it says."""

import itertools

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from minimodels.errors import InputError


def best_of_all(table, start, length, eos, penalty):
    """Look at every text: the best log P / length^penalty, and the text."""
    log_p = table.double().log_softmax(1)
    found = []
    for n in range(1, length + 1):
        for path in itertools.product(range(len(table)), repeat=n):
            if eos in path[:-1] or (n < length and path[-1] != eos):
                continue
            steps = zip((start, *path), path, strict=False)
            found.append((sum(float(log_p[a, b]) for a, b in steps) / n**penalty, path))
    return max(found)


@given(seed=st.integers(0, 99), length=st.integers(1, 4), penalty=st.sampled_from([0.0, 0.7, 1.0, 2.0]))
def test_as_wide_as_all_texts_it_finds_the_best(bigrams, seed, length, penalty):
    table = 2 * torch.randn(4, 4, generator=torch.Generator().manual_seed(seed))
    model = bigrams(table)
    written = model.generate(
        [2], max_new_tokens=length, num_beams=100, eos_token_id=0, length_penalty=penalty, early_stopping="never"
    )
    assert tuple(written[0, 1:].tolist()) == best_of_all(table, 2, length, 0, penalty)[1]


def by_hand(tables, start, length, beams, eos, penalty, early):
    """Beam search for one prompt, with lists: the complete texts, best first."""
    log_p = tables.double().log_softmax(2).tolist()
    running, complete = [(0.0, (start,))], []
    for n in range(1, length + 1):
        longer = [(s + p, (*text, token)) for s, text in running for token, p in enumerate(log_p[n - 1][text[-1]])]
        longer = sorted(longer, reverse=True)[: (1 + len(eos)) * beams]
        over = [(s, text) for s, text in longer[:beams] if text[-1] in eos or n == length]
        running = [(s, text) for s, text in longer if text[-1] not in eos][:beams]
        complete = sorted(complete + [(s / n**penalty, text) for s, text in over], reverse=True)[:beams]
        reach = length if early == "never" and penalty > 0 else n
        if len(complete) == beams and (early is True or running[0][0] / reach**penalty <= complete[-1][0]):
            break
    return [text for _, text in complete]


@settings(max_examples=4 * settings.default.max_examples)
@given(
    seed=st.integers(0, 10**6),
    length=st.integers(1, 7),
    beams=st.integers(2, 3),
    eos=st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True),
    likely=st.floats(0, 6),
    penalty=st.sampled_from([-1.0, 0.0, 0.7, 1.0, 2.0]),
    early=st.sampled_from([True, False, "never"]),
)
@example(seed=0, length=2, beams=2, eos=[0, 1], likely=3.0, penalty=0.7, early=False)  # one is over before the others
def test_a_batch_of_searches_is_each_search_by_hand(bigrams, seed, length, beams, eos, likely, penalty, early):
    tables = 2 * torch.randn(7, 12, 12, generator=torch.Generator().manual_seed(seed))  # one a step: no two texts tie
    tables[..., eos] += likely
    texts = bigrams(tables).generate(
        [[10], [11], [9]], max_new_tokens=length, num_beams=beams, num_return_sequences=beams,
        eos_token_id=eos, length_penalty=penalty, early_stopping=early, pad_token_id=0,
    )  # fmt: skip
    expected = [text for start in (10, 11, 9) for text in by_hand(tables, start, length, beams, eos, penalty, early)]
    longest = max(map(len, expected))
    assert texts.tolist() == [[*text, *[0] * (longest - len(text))] for text in expected]


@given(seed=st.integers(0, 10**6), beams=st.integers(2, 4), penalty=st.sampled_from([0.0, 1.0]))
def test_several_prompts_of_a_model_that_remembers(attentive, seed, beams, penalty):
    model = attentive(seed % 50, eos_token_id=[1, 2, 3, 4, 5, 6])
    prompts = torch.randint(7, 20, (3, 2), generator=torch.Generator().manual_seed(seed))
    chosen = {"max_new_tokens": 6, "num_beams": beams, "length_penalty": penalty, "pad_token_id": 0}
    texts = model.generate(prompts, **chosen)
    alone = [model.generate(prompt, **chosen)[0].tolist() for prompt in prompts]
    assert texts.tolist() == [[*text, *[0] * (texts.shape[1] - len(text))] for text in alone]


def test_it_finds_what_greedy_writing_misses(bigrams):
    table = torch.tensor([[0.0, 0.6, 0.4], [0.4, 0.3, 0.3], [0.98, 0.01, 0.01]]).log()
    model = bigrams(table)
    assert model.generate([0], max_new_tokens=2).tolist() == [[0, 1, 0]]  # 0.6 · 0.4
    assert model.generate([0], max_new_tokens=2, num_beams=2).tolist() == [[0, 2, 0]]  # 0.4 · 0.98


@given(seed=st.integers(0, 20), beams=st.integers(2, 4))
def test_several_texts_come_best_first_and_different(attentive, seed, beams):
    model = attentive(seed)
    texts = model.generate([[1, 2]], max_new_tokens=4, num_beams=beams, num_return_sequences=beams)
    log_p = model.eval()(texts, None, None, False, 6).logits.log_softmax(2)[:, 1:-1]
    scores = log_p.gather(2, texts[:, 2:, None]).sum((1, 2))
    assert scores.tolist() == sorted(scores.tolist(), reverse=True)
    assert len({tuple(text) for text in texts.tolist()}) == beams


@given(seed=st.integers(0, 20))
def test_one_beam_is_greedy(attentive, seed):
    model = attentive(seed)
    assert torch.equal(
        model.generate([3], max_new_tokens=5, num_beams=1), model.generate([3], max_new_tokens=5, eos_token_id=None)
    )


def test_what_ended_earlier_is_padded_with_the_token_that_pads(bigrams):
    table = torch.tensor([[0.0, 0.0, 0.0], [9.0, 0.0, 0.0], [-9.0, 0.0, 9.0]])  # 0 ends and pads, too
    texts = bigrams(table).generate([[1], [2]], max_new_tokens=3, num_beams=2, eos_token_id=0, pad_token_id=0)
    assert texts.tolist() == [[1, 0, 0, 0], [2, 2, 2, 2]]


def test_beams_cannot_be_streamed(bigrams):
    model = bigrams(torch.eye(3))
    with pytest.raises(InputError, match="num_beams: beam search cannot be streamed"):
        model.stream([0], num_beams=2)
    with pytest.raises(InputError, match="num_beams: beam search cannot be streamed"):
        model.generate([0], num_beams=2, on_token=print)


@pytest.mark.parametrize(
    ("early", "penalty", "steps"), [(True, 1.0, 3), (False, 0.0, 3), (False, 3.0, 3), ("never", 3.0, 9)]
)
def test_it_ends_as_soon_as_it_may(bigrams, early, penalty, steps):
    probabilities = torch.tensor([[0.9, 0.05, 0.05], [0.9, 0.05, 0.05], [0.2, 0.5, 0.3]])
    model, seen = bigrams(probabilities.log()), []  # complete after 2 steps: 1 0, with 0.45; after 3: 2 1 0, with 0.135
    model.register_forward_hook(lambda module, args, output: seen.append(args))
    model.generate([2], max_new_tokens=9, num_beams=2, eos_token_id=0, early_stopping=early, length_penalty=penalty)
    assert len(seen) == steps
