"""The cache of keys and values: what is written is read, in order, and rows can be repeated and moved."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels.nn import KeyValueCache

LAYERS, H, D, CAPACITY = 2, 3, 4, 12


def filled(N, T, seed=0, **settings):
    """A cache that has read T tokens, and the keys and values that it was given, [layers, 2, N, H, T, d]."""
    given = torch.randn(LAYERS, 2, N, H, T, D, generator=torch.Generator().manual_seed(seed))
    cache = KeyValueCache(LAYERS, N, H, CAPACITY, D, **settings)
    for layer, (key, value) in enumerate(given):
        cache.update(key, value, layer)
    return cache, given


def held(cache):
    return torch.stack([memory[..., : cache.length, :] for memory in cache.layers])


@given(pieces=st.lists(st.integers(0, 4), min_size=1, max_size=3), N=st.integers(1, 3))
def test_pieces_are_the_whole(pieces, N):
    key, value = torch.randn(2, N, H, sum(pieces), D)
    cache = KeyValueCache(LAYERS, N, H, CAPACITY, D)
    for layer in range(LAYERS):
        for k, v in zip(key.split(pieces, 2), value.split(pieces, 2), strict=True):
            seen = cache.update(k, v, layer)
        assert torch.equal(seen[0], key)
        assert torch.equal(seen[1], value)
    assert cache.length == sum(pieces)
    assert cache.capacity == CAPACITY


def test_what_is_given_back_is_the_memory_itself():
    cache, _ = filled(1, 2)
    key, value = cache.update(torch.ones(1, H, 1, D), torch.ones(1, H, 1, D), 0)
    assert key.data_ptr() == cache.layers[0].data_ptr()
    assert value.data_ptr() == cache.layers[0][1].data_ptr()
    assert len({memory.data_ptr() for memory in cache.layers}) == LAYERS  # one tensor a layer, or a step copies all


@given(pieces=st.lists(st.integers(0, 4), min_size=1, max_size=3), N=st.integers(1, 3))
def test_keys_and_values_in_one_tensor_are_written_likewise(pieces, N):
    both = torch.randn(2, N, H, sum(pieces), D)
    ours, theirs = (KeyValueCache(LAYERS, N, H, CAPACITY, D) for _ in range(2))
    for piece in both.split(pieces, 3):
        seen, expected = ours.write(piece, 1), theirs.update(*piece, 1)
        assert all(torch.equal(a, b) and a.stride() == b.stride() for a, b in zip(seen, expected, strict=True))
    assert ours.lengths == theirs.lengths == [0, sum(pieces)]
    assert all(torch.equal(a, b) for a, b in zip(ours.layers, theirs.layers, strict=True))


def test_the_length_is_that_of_whole_passes():
    cache, _ = filled(1, 3)
    cache.update(torch.ones(1, H, 1, D), torch.ones(1, H, 1, D), 0)
    assert cache.length == 3  # the last layer has not read it yet: its positions are counted from here
    cache.update(torch.ones(1, H, 1, D), torch.ones(1, H, 1, D), 1)
    assert cache.length == 4


@given(N=st.integers(1, 4), T=st.integers(0, 8), data=st.data())
def test_rows_are_reordered(N, T, data):
    cache, given = filled(N, T)
    rows = torch.tensor(data.draw(st.lists(st.integers(0, N - 1), min_size=N, max_size=N)))
    start = data.draw(st.integers(0, T))
    cache.reorder(rows, start)
    expected = given.clone()
    expected[..., start:, :] = given[:, :, rows][..., start:, :]
    assert torch.equal(held(cache), expected)


def test_rows_that_stay_are_not_touched():
    cache, _ = filled(3, 4)
    before = [memory._version for memory in cache.layers]
    cache.reorder(torch.tensor([0, 1, 2]))
    assert [memory._version for memory in cache.layers] == before


@given(N=st.integers(1, 3), T=st.integers(0, 5), times=st.integers(1, 3))
def test_rows_are_repeated_and_then_go_their_own_ways(N, T, times):
    cache, given = filled(N, T)
    many = cache.repeat(times)
    assert torch.equal(held(many), given.repeat_interleave(times, 2))
    assert (many.capacity, many.length, cache.length) == (CAPACITY, T, T)
    key = torch.randn(N * times, H, 1, D)
    seen, _ = many.update(key, key, 0)
    assert torch.equal(seen[:, :, -1:], key)
    assert cache.lengths == [T, T]


def test_forgetting():
    cache, given = filled(1, 5)
    cache.crop(9)
    assert cache.length == 5
    cache.crop(2)
    key = torch.ones(1, H, 1, D)
    assert torch.equal(cache.update(key, key, 0)[0], torch.cat([given[0, 0][:, :, :2], key], 2))


def test_what_does_not_fit_is_refused_and_nothing_is_written():
    cache, given = filled(2, 10)
    key = torch.ones(2, H, 3, D)
    with pytest.raises(ValueError, match="has room for 12 tokens, not for 13"):
        cache.update(key, key, 0)
    for wrong in (key[:1], key[:, :1], key[..., :1]):  # each would spread over what is missing
        with pytest.raises(ValueError, match=r"keys and values \[2, 3, T, 4\]"):
            cache.update(wrong, wrong, 0)
    with pytest.raises(ValueError, match="keys and values"):
        cache.update(key[:, :, :1], key[:, :, :2], 0)
    with pytest.raises(ValueError, match="has room for 12 tokens, not for 13"):
        cache.write(torch.stack([key, key]), 0)
    for wrong in (key[:1, :, :2], key[:, :1, :2], key[:, :, :2, :1]):
        with pytest.raises(ValueError, match=r"keys and values \[2, 3, T, 4\]"):
            cache.write(torch.stack([wrong, wrong]), 0)
    assert torch.equal(held(cache), given)


def test_type_and_device(device):
    cache = KeyValueCache(1, 1, 1, 2, 2, device=device, dtype=torch.bfloat16)
    assert cache.layers[0].dtype == torch.bfloat16
    assert cache.layers[0].device.type == device.type
    assert cache.repeat(2).layers[0].dtype == torch.bfloat16


def test_a_copy_goes_its_own_way():
    cache, given = filled(1, 2)
    twin = copy.deepcopy(cache)
    twin.update(torch.ones(1, H, 1, D), torch.ones(1, H, 1, D), 0)
    assert cache.lengths == [2, 2]
    assert torch.equal(held(cache), given)


def test_it_compiles():
    def step(cache, key):
        return [cache.update(key, key, layer)[0].sum() for layer in range(LAYERS)]

    compiled = torch.compile(step, backend="aot_eager", fullgraph=True)
    ours, theirs = (KeyValueCache(LAYERS, 1, H, CAPACITY, D) for _ in range(2))
    for _ in range(4):
        key = torch.randn(1, H, 1, D)
        assert torch.equal(torch.stack(compiled(ours, key)), torch.stack(step(theirs, key)))
    assert ours.lengths == theirs.lengths == [4, 4]
