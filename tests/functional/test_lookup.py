"""Embeddings: laws, a gradient that never changes, and the corners that the layer does not reach."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels import functional as F
from minimodels.testing import assert_equivalent, assert_same, tensors

reference = torch.nn.functional.embedding


def gradient_of(f, index, weight, upstream, **settings):
    leaf = weight.clone().requires_grad_()
    return torch.autograd.grad(f(index, leaf, **settings), leaf, upstream)[0]


@given(w=tensors((5, 3)), order=st.permutations(range(5)), index=st.lists(st.integers(0, 4), max_size=9))
def test_an_embedding_of_permuted_rows_permutes(w, order, index):
    index, order = torch.tensor(index, dtype=torch.int64), torch.tensor(order)
    assert torch.equal(F.embedding(index, w[order]), F.embedding(order[index], w))


@given(w=tensors((5, 3)), index=st.lists(st.integers(0, 4), min_size=1, max_size=9))
def test_it_is_a_product_with_one_hot_rows(w, index):
    index = torch.tensor(index)
    assert_equivalent(lambda w: F.embedding(index, w), lambda w: torch.eye(5, dtype=w.dtype)[index] @ w, w)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_the_gradient_is_the_same_to_the_last_bit_with_any_number_of_threads(dtype):
    generator = torch.Generator().manual_seed(0)
    index = torch.randint(0, 7, (5000,), generator=generator)
    weight, upstream = torch.zeros(7, 64, dtype=dtype), torch.randn(5000, 64, generator=generator).to(dtype)
    threads = torch.get_num_threads()
    try:
        found = []
        for count in (1, 2, 4, 4, 4, 4, 4, 3, 2, 1):
            torch.set_num_threads(count)
            found.append(gradient_of(F.embedding, index, weight, upstream))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(found[0], other) for other in found[1:])


def test_sums_in_16_bits_are_formed_in_32():
    index, upstream = torch.zeros(4096, dtype=torch.int64), torch.ones(4096, 2, dtype=torch.bfloat16)
    gradient = gradient_of(F.embedding, index, torch.zeros(3, 2, dtype=torch.bfloat16), upstream)
    assert torch.equal(gradient[0], torch.full((2,), 4096.0, dtype=torch.bfloat16))  # in bfloat16 256 + 1 is 256


@pytest.mark.parametrize("padding_idx", [None, 1, -1])
def test_a_sparse_gradient_holds_the_occurrences_alone(padding_idx):
    index, weight, upstream = torch.tensor([[3, 0], [3, 1]]), torch.randn(4, 2), torch.randn(2, 2, 2)
    mine, theirs = (
        gradient_of(f, index, weight, upstream, sparse=True, padding_idx=padding_idx) for f in (F.embedding, reference)
    )
    assert mine.is_sparse
    assert torch.equal(mine._indices(), theirs._indices())
    assert torch.equal(mine._values(), theirs._values())
    assert_same(mine, gradient_of(F.embedding, index, weight, upstream, padding_idx=padding_idx).to_sparse())


def test_sparse_and_scaled_exclude_each_other():
    for f in (F.embedding, reference):
        with pytest.raises(RuntimeError, match="scale_grad_by_freq not supported with sparse"):
            gradient_of(f, torch.tensor([0]), torch.ones(2, 2), torch.ones(1, 2), sparse=True, scale_grad_by_freq=True)


def test_second_derivatives_know_of_padding_and_frequency():
    index = torch.tensor([0, 2, 2, 1, 2])
    w = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)

    def f(w):
        return F.embedding(index, w, padding_idx=None, scale_grad_by_freq=False).square()

    assert torch.autograd.gradcheck(f, w)
    assert torch.autograd.gradgradcheck(f, w)
    upstream = torch.randn(5, 2, dtype=torch.float64, requires_grad=True)
    for settings in ({"padding_idx": 2}, {"scale_grad_by_freq": True}):

        def gradient(u, settings=settings):
            return torch.autograd.grad(F.embedding(index, w, **settings), w, u, create_graph=True)[0]

        assert torch.autograd.gradcheck(gradient, upstream)


@pytest.mark.parametrize("settings", [{"padding_idx": 2}, {"scale_grad_by_freq": True}], ids=str)
def test_the_transform_and_the_hand_derived_gradient_are_one(settings):
    index, w = torch.tensor([0, 2, 2, 1, 2]), torch.randn(3, 2, dtype=torch.float64)
    u = torch.randn(5, 2, dtype=torch.float64)
    by_transform = torch.func.grad(lambda w: (F.embedding(index, w, **settings) * u).sum())(w)
    torch.testing.assert_close(by_transform, gradient_of(F.embedding, index, w, u, **settings))
    torch.testing.assert_close(by_transform, gradient_of(reference, index, w, u, **settings))


@pytest.mark.parametrize("norm_type", [1.0, 2.0, float("inf")])
def test_rows_that_are_too_long_are_shortened_in_place(norm_type):
    index, w = torch.tensor([[3, 0], [3, 1]]), torch.randn(5, 4, dtype=torch.float64) * 3
    tables = [w.clone().requires_grad_() for _ in range(2)]
    for f, table in zip((F.embedding, reference), tables, strict=True):
        version = table._version
        f(index, table, max_norm=1.0, norm_type=norm_type).sum().backward()
        assert table._version == version + 1
    torch.testing.assert_close(*(t.detach() for t in tables), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(*(t.grad for t in tables))
    norms = torch.linalg.vector_norm(tables[0].detach(), norm_type, dim=1)
    assert (norms[[0, 1, 3]] <= 1 + 1e-6).all()
    assert torch.equal(tables[0].detach()[[2, 4]], w[[2, 4]])


def test_a_table_without_two_dimensions_is_refused():
    for f in (F.embedding, reference):
        with pytest.raises(RuntimeError, match="2-D"):
            f(torch.tensor([0]), torch.ones(3))
