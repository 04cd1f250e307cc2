"""Two processes train small GPT-2s: what each holds and what they send is, to the byte, what the formulas say."""

import math
from dataclasses import replace

import pytest

from minimodels.inspection.footprint import Setup, activations, memory, traffic
from minimodels.inspection.footprint.weights import buckets, parameter_shapes
from tests.distributed import run
from tests.inspection.footprint.real import config, together

SIZES = {
    "n_layer": 3,
    "n_head": 2,
    "n_embd": 10,
    "vocab_size": 13,
    "n_positions": 7,
}  # odd, so that shards are filled up
PLAIN = Setup(config=config(**SIZES), devices=2, batch=2, shard=True, accelerator=False)
SETUPS = [
    PLAIN,
    replace(PLAIN, precision="float32", passes=2),
    replace(PLAIN, reshard=False, passes=3),
    replace(PLAIN, recompute=True),
    replace(PLAIN, config=config(**SIZES, tie_word_embeddings=False)),
]
WIDER = config(n_layer=4, n_head=2, n_embd=64, vocab_size=64, n_positions=64)
LONGER = [
    Setup(config=WIDER, devices=2, batch=batch, shard=True, optimizer="sgd", accelerator=False, **given)
    for batch in (1, 4)
    for given in ({}, {"precision": "float32"}, {"passes": 2}, {"reshard": False}, {"recompute": True})
]

MOST = 1500
"""Bytes from which on a bucket is full, where it is said; the first then is full from there on, too."""

LARGER = config(n_layer=4, n_head=2, n_embd=512, vocab_size=13, n_positions=7)  # 50 MB of gradients
CONFIGS = [
    (config(**SIZES), MOST),
    (config(**SIZES, tie_word_embeddings=False), MOST),
    (config(**SIZES), 40),  # every tensor by itself: a norm's has just as many bytes
    (LARGER, None),
]


@pytest.fixture(scope="module")
def seen():
    """By process: (of each setup, of each config)."""
    return run(2, together, SETUPS + LONGER, CONFIGS)


@pytest.mark.parametrize("number", range(len(SETUPS)))
class TestShards:
    def test_what_each_process_holds(self, seen, number):
        setup = SETUPS[number]
        for rank in range(2):
            _, numbers, gradients, *_ = seen[rank][0][number]
            shapes = parameter_shapes(setup.config).values()
            rows = [-(-shape[0] // 2) if rank == 0 else shape[0] // 2 for shape in shapes]
            assert sorted(numbers) == sorted(r * math.prod(s[1:]) for r, s in zip(rows, shapes, strict=True))
            assert sum(gradients) == 4 * sum(numbers)
        fullest = seen[0][0][number]
        assert 4 * sum(fullest[1]) == memory(setup).parameters
        assert sum(fullest[2]) == memory(setup).gradients

    def test_what_is_kept(self, seen, number):
        assert [process[0][number][0] for process in seen] == [activations(SETUPS[number])] * 2

    def test_what_is_exchanged(self, seen, number):
        expected = traffic(SETUPS[number])
        kinds = {"_allgather_base_": expected.gathered, "_reduce_scatter_base_": expected.scattered}
        for process in seen:
            calls, sizes = process[0][number][3:5]
            assert calls == {name: kind.calls for name, kind in kinds.items()}
            assert sizes == {name: kind.bytes for name, kind in kinds.items()}


@pytest.mark.parametrize("number", range(len(SETUPS), len(SETUPS + LONGER)))
def test_peak(seen, number):
    setup = (SETUPS + LONGER)[number]
    found = memory(setup).peak
    assert 0.7 * found < seen[0][0][number][5] < found  # how much is on its way at a time is estimated from above


@pytest.mark.parametrize("number", range(len(CONFIGS)))
def test_buckets(seen, number):
    made, most = CONFIGS[number]
    expected = buckets(made, most, most) if most else buckets(made)
    assert len(expected) > 2
    assert [process[1][number] for process in seen] == [expected] * 2


def test_what_is_averaged():
    reduced = traffic(Setup(config=LARGER, devices=2)).reduced
    assert (reduced.calls, reduced.bytes) == (len(buckets(LARGER)), sum(buckets(LARGER)))
