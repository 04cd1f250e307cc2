"""Packing and padding against torch.nn.utils.rnn."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels.nn.utils import rnn
from minimodels.testing import assert_same, tensors

REFERENCE = torch.nn.utils.rnn
batches = st.lists(st.integers(1, 5), min_size=1, max_size=5)
features = st.lists(st.integers(1, 3), max_size=2).map(tuple)


def assert_same_packed(mine, theirs):
    assert type(mine) is type(theirs)
    for a, b in zip(mine, theirs, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert torch.equal(a, b)
            assert a.dtype == b.dtype


@given(
    lengths=batches, shape=features, first=st.booleans(), ordered=st.booleans(), extra=st.integers(0, 2), data=st.data()
)
def test_packing_and_unpacking_are_torchs(lengths, shape, first, ordered, extra, data):
    lengths = sorted(lengths, reverse=True) if ordered else lengths
    T, N = max(lengths) + extra, len(lengths)
    x = data.draw(tensors((N, T, *shape) if first else (T, N, *shape))).requires_grad_()
    given_lengths = data.draw(st.sampled_from([lengths, torch.tensor(lengths), torch.tensor(lengths).int()]))
    packed = [m.pack_padded_sequence(x, given_lengths, first, enforce_sorted=ordered) for m in (rnn, REFERENCE)]
    assert_same_packed(*packed)
    weights = torch.randn_like(packed[0].data)
    assert_same(*(torch.autograd.grad(p.data, x, weights)[0] for p in packed))
    total = data.draw(st.sampled_from([None, max(lengths), max(lengths) + 2]))
    padded = [m.pad_packed_sequence(packed[1], first, -1.5, total) for m in (rnn, REFERENCE)]
    for mine, theirs in zip(*padded, strict=True):
        assert_same(mine, theirs)


@given(lengths=batches, shape=features, first=st.booleans(), side=st.sampled_from(["left", "right"]), data=st.data())
def test_padding_is_torchs_and_is_undone(lengths, shape, first, side, data):
    sequences = [data.draw(tensors((n, *shape))).requires_grad_() for n in lengths]
    padded = [m.pad_sequence(sequences, first, 7.0, side) for m in (rnn, REFERENCE)]
    assert_same(*padded)
    assert padded[0].is_contiguous() == padded[1].is_contiguous()
    weights = torch.randn_like(padded[0])
    for mine, theirs in zip(*(torch.autograd.grad(p, sequences, weights) for p in padded), strict=True):
        assert_same(mine, theirs)
    if side == "right":
        before = padded[0].shape
        back = rnn.unpad_sequence(padded[0], torch.tensor(lengths), first)
        assert padded[0].shape == before
        for sequence, found in zip(sequences, back, strict=True):
            assert torch.equal(sequence, found)


@given(lengths=batches, data=st.data())
def test_sequences_go_in_and_come_back(lengths, data):
    sequences = [data.draw(tensors((n, 2))) for n in lengths]
    packed = rnn.pack_sequence(sequences, enforce_sorted=False)
    assert_same_packed(packed, REFERENCE.pack_sequence(sequences, enforce_sorted=False))
    for sequence, found in zip(sequences, rnn.unpack_sequence(packed), strict=True):
        assert torch.equal(sequence, found)


@given(order=st.permutations(range(5)))
def test_a_permutation_and_its_inverse_cancel(order):
    order = torch.tensor(order)
    assert torch.equal(order[rnn.invert_permutation(order)], torch.arange(5))
    assert rnn.invert_permutation(None) is None


@pytest.mark.parametrize(
    "call",
    [
        lambda m: m.pack_padded_sequence(torch.zeros(3, 2), [1, 2]),
        lambda m: m.pack_padded_sequence(torch.zeros(3, 2), [2, 0]),
        lambda m: m.pack_padded_sequence(torch.zeros(3, 2), [-1, 2], enforce_sorted=False),
        lambda m: m.pack_padded_sequence(torch.zeros(3, 2), [3]),
        lambda m: m.pack_padded_sequence(torch.zeros(3, 0), []),
        lambda m: m.pack_padded_sequence(torch.zeros(3, 2), torch.ones(2, 1)),
        lambda m: m.pad_packed_sequence(REFERENCE.pack_sequence([torch.zeros(3)]), total_length=2),
        lambda m: m.pad_sequence([]),
        lambda m: m.pad_sequence(3),
        lambda m: m.pad_sequence([torch.zeros(2, 3), torch.zeros(2, 4)]),
        lambda m: m.pad_sequence([torch.zeros(2)], padding_side="top"),
    ],
)
def test_wrong_calls_raise_what_torch_raises(call):
    errors = []
    for module in (rnn, REFERENCE):
        with pytest.raises(Exception) as caught:  # noqa: PT011  (which type it is, is what is compared)
            call(module)
        errors.append(type(caught.value))
    assert errors[0] is errors[1]


def test_a_length_beyond_the_batch_is_refused():
    """PyTorch packs fewer rows than its batch sizes then say."""
    with pytest.raises(RuntimeError, match="no length above"):
        rnn.pack_padded_sequence(torch.zeros(3, 2), [4, 2])
