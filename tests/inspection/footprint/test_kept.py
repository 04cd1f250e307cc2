"""What is kept for the backward pass is, to the byte, what the formulas say."""

from dataclasses import replace

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from minimodels.functional import placement
from minimodels.functional.attention import choice
from minimodels.inspection.footprint import Setup, activations, block_activations
from minimodels.inspection.footprint.attention import keeps_scores
from minimodels.inspection.footprint.kept import behind_the_blocks
from tests.inspection.footprint.real import config, kept


@st.composite
def setups(draw):
    """Small GPT-2s of all proportions."""
    heads = draw(st.integers(1, 3))
    width = heads * draw(st.integers(1, 4)) * 2
    sizes = {
        "n_layer": draw(st.integers(1, 3)),
        "n_head": heads,
        "n_embd": width,
        "n_inner": draw(st.sampled_from([None, 3, 2 * width])),
        "vocab_size": draw(st.integers(2, 40)),
        "n_positions": draw(st.integers(2, 12)),
        "tie_word_embeddings": draw(st.booleans()),
    }
    made = config(draw(st.sampled_from([0.0, 0.1])), **sizes)
    return Setup(
        config=made,
        batch=draw(st.integers(1, 3)),
        context=draw(st.integers(1, made.n_positions)),
        precision=draw(st.sampled_from(["float32", "bfloat16"])),
        recompute=draw(st.booleans()),
        accelerator=False,
    )


@pytest.fixture(params=[choice.KEPT, 0], ids=["scores kept", "in tiles"])
def scores(request, monkeypatch):
    """Small models attend as large ones do, too."""
    monkeypatch.setattr(choice, "KEPT", request.param)


@pytest.mark.usefixtures("scores")
@given(setups())
@example(Setup(config=config(0.1, n_layer=2, n_head=2, n_embd=8, vocab_size=11, n_positions=6), batch=2))
def test_what_is_kept(setup):
    assert kept(setup) == activations(setup)


@pytest.mark.usefixtures("scores")
@given(setups())
def test_what_is_kept_on_an_accelerator(setup):
    setup = replace(setup, accelerator=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(placement, "launches", lambda x: True)
        assert kept(setup) == activations(setup)


@pytest.mark.usefixtures("scores")
@given(setups())
def test_a_block_keeps_what_one_more_block_adds(setup):
    setup = replace(setup, recompute=False)
    more = replace(setup, config=replace(setup.config, n_layer=setup.config.n_layer + 1))
    assert kept(more) - kept(setup) == block_activations(setup)


def test_which_attention_is_asked_for():
    for tokens in (32, 512):
        for dropout in (0.0, 0.5):
            setup = Setup(config=config(dropout, n_head=12), context=tokens)
            query = torch.empty(1, 12, tokens, 64, device="meta", requires_grad=True)
            assert keeps_scores(setup) == (choice.choose(query, query, query, None, dropout) == "batched")


def test_nothing_grows_with_the_square_of_the_length():
    short, long = (Setup.of("gpt2-xl", batch=8, context=tokens) for tokens in (512, 1024))
    fixed = 2 * (sum(s[0] * s[1] for s in SHAPES) * 48 + 50257 * 1600)
    assert activations(long) - fixed - 9 == 2 * (activations(short) - fixed - 9)


SHAPES = [(1600, 4800), (1600, 1600), (1600, 6400), (6400, 1600)]


def test_what_is_behind_the_blocks_is_a_part():
    setup = Setup.of("gpt2", recompute=True)
    assert 0 < behind_the_blocks(setup) < activations(setup)
