"""The cache is no more than a saving: with and without, one by one and in a batch, the scores are the same."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels.errors import InputError
from minimodels.generation.config import GenerationConfig
from minimodels.generation.prompts import prepared
from minimodels.generation.reading import Reader


@st.composite
def prompts(draw, most=3):
    lengths = draw(st.lists(st.integers(1, 6), min_size=1, max_size=most))
    return [draw(st.lists(st.integers(0, 19), min_size=n, max_size=n)) for n in lengths]


class Remembering(Reader):
    """A reader that keeps the model's own numbers, which are float64 here."""

    def read(self, ids):
        scores = []
        hook = self.model.register_forward_hook(lambda module, args, output: scores.append(output.logits[:, -1]))
        super().read(ids)
        hook.remove()
        return scores[0]


@torch.no_grad()
@given(seed=st.integers(0, 9), prompts=prompts(), later=st.lists(st.integers(0, 19), max_size=5), data=st.data())
def test_cached_uncached_single_and_batched_agree(attentive, seed, prompts, later, data):
    model = attentive(seed).eval()
    ids, mask = prepared(prompts, None, GenerationConfig(), model.config)
    text = torch.cat([ids, torch.tensor(later, dtype=torch.int64).expand(len(ids), -1)], 1)
    readers = [Remembering(model, mask, text.shape[1], use_cache) for use_cache in (True, False)]
    alone = [Remembering(model, None, text.shape[1]) for _ in prompts]
    for end in range(ids.shape[1], text.shape[1] + 1):
        cached, uncached = (reader.read(text[:, :end]) for reader in readers)
        torch.testing.assert_close(cached, uncached, rtol=0, atol=1e-10)
        for row, (reader, prompt) in enumerate(zip(alone, prompts, strict=True)):
            single = reader.read(text[row : row + 1, ids.shape[1] - len(prompt) : end])
            torch.testing.assert_close(cached[row : row + 1], single, rtol=0, atol=1e-10)


@torch.no_grad()
@given(seed=st.integers(0, 9), prompts=prompts(2), data=st.data())
def test_rows_that_are_repeated_and_reordered(attentive, seed, prompts, data):
    model = attentive(seed).eval()
    ids, mask = prepared(prompts, None, GenerationConfig(), model.config)
    reader = Remembering(model, mask, 10)
    reader.read(ids)
    reader.repeat(2)
    ids, rows = ids.repeat_interleave(2, 0), 2 * len(ids)
    start = ids.shape[1]
    ids = torch.cat([ids, torch.arange(rows)[:, None]], 1)  # they part
    reader.read(ids)
    order = torch.tensor([2 * (row // 2) + data.draw(st.integers(0, 1)) for row in range(rows)])  # within a prompt
    reader.reorder(order, start)
    ids = torch.cat([ids[order], torch.full((rows, 1), 7)], 1)
    whole = Remembering(model, reader.mask, 10, use_cache=False).read(ids)
    torch.testing.assert_close(reader.read(ids), whole, rtol=0, atol=1e-10)


def test_only_what_is_new_is_read(attentive):
    model, seen = attentive(), []
    model.register_forward_pre_hook(lambda module, args: seen.append(tuple(args[0].shape)))
    model.generate([[1, 2, 3]], max_new_tokens=3)
    assert seen == [(1, 3), (1, 1), (1, 1)]
    seen.clear()
    model.generate([[1, 2, 3]], max_new_tokens=3, use_cache=False)
    assert seen == [(1, 3), (1, 4), (1, 5)]
    seen.clear()
    model.generate([[1, 2, 3]], max_new_tokens=2, num_beams=4)
    assert seen == [(1, 3), (4, 1)]  # what beams share is read once


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
@pytest.mark.parametrize("arguments", [{}, {"do_sample": True}, {"num_beams": 2}, {"repetition_penalty": 1.5}])
def test_scores_that_are_no_numbers(bigrams, broken, arguments):
    table = torch.eye(4).roll(1, 1)
    table[2, 3] = broken
    with pytest.raises(InputError, match=r"token 3: the model's scores are not finite numbers; its weights are broken"):
        bigrams(table * 100).generate([0], max_new_tokens=5, seed=0, **arguments)
