"""The product underneath: the same numbers from either library, and derivatives of any order."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels.functional import few_rows, matmul, onednn
from minimodels.functional.matmul import (
    add_product_,
    form_with_columns,
    product,
    product_into,
    product_with_columns,
)
from minimodels.testing import assert_equivalent, assert_linear, tensors

sizes = st.integers(0, 9)


def written_out(a, b, bias=None):
    return torch.einsum("mk,nk->mn", a, b) + (0 if bias is None else bias)


@given(m=sizes, n=sizes, k=sizes, biased=st.booleans(), data=st.data())
def test_is_the_product_with_two_derivatives(m, n, k, biased, data):
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-4)):
        operands = [data.draw(tensors(shape)).to(dtype) for shape in ((m, k), (n, k), *([(n,)] if biased else []))]
        assert_equivalent(product, written_out, *operands, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("preferred", [True, False])
@given(m=st.integers(2, 9), n=st.integers(1, 9), k=st.integers(1, 9), biased=st.booleans(), data=st.data())
def test_a_product_may_go_to_memory_that_is_there(preferred, m, n, k, biased, data):
    shapes = ((m, k), (n, k), (m, n), *([(n,)] if biased else []))
    a, b, sums, *bias = (data.draw(tensors(shape)).float() for shape in shapes)
    memory = torch.full((m, 2 * n), torch.nan)[:, :n]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onednn, "onednn_is_faster", lambda: preferred and hasattr(torch.ops.mkldnn, "_linear_pointwise"))
        patch.setattr(onednn, "LARGE", 1)
        found = product_into(memory, a, b, *bias)
        added = add_product_(sums.clone(), a, b)
        widened = add_product_(sums.clone(), a.bfloat16(), b.bfloat16())
    torch.testing.assert_close(memory, written_out(a, b, *bias), rtol=1e-4, atol=1e-4)
    assert found is memory
    widely = product_into(torch.empty(m, n), a.bfloat16(), b.bfloat16(), *(v.bfloat16() for v in bias))
    assert torch.equal(widely, product(a.bfloat16(), b.bfloat16(), *(v.bfloat16() for v in bias)).float())
    torch.testing.assert_close(added, sums + written_out(a, b), rtol=1e-4, atol=1e-4)
    assert widened.dtype is torch.float32
    torch.testing.assert_close(widened, sums + product(a.bfloat16(), b.bfloat16()), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("layout", ["dense", "turned", "apart"])
@pytest.mark.parametrize("n", [32, 33, 128, 129])
@pytest.mark.parametrize(("m", "threads"), [(255, 2), (256, 1), (256, 2), (384, 2), (384, 3), (384, 4)])
def test_thin_products_are_the_same_shared_out_among_threads(m, threads, n, layout, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    for k in (0, 7):
        a = torch.randn(m, 2 * k)[:, ::2] if layout == "apart" else torch.randn(m, k)
        b = torch.randn(k, n).t() if layout == "turned" else torch.randn(n, k)
        memory = torch.full((m, n), torch.nan)
        assert product_into(memory, a, b) is memory
        serves = 1 < threads <= m // 128 and m % threads == 0 and 33 <= n <= 128 and a.is_contiguous()
        assert matmul._shared_out(memory, a, b) == serves
        torch.testing.assert_close(memory, written_out(a, b), rtol=1e-4, atol=1e-4)


needs_onednn = pytest.mark.skipif(
    not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="this build of PyTorch carries no oneDNN product"
)


@needs_onednn
@given(m=st.integers(2, 9), n=st.integers(1, 9), k=st.integers(1, 9), biased=st.booleans(), data=st.data())
def test_onednn_gives_the_same_whatever_this_machine_prefers(m, n, k, biased, data):
    operands = [data.draw(tensors(shape)).float() for shape in ((m, k), (n, k), *([(n,)] if biased else []))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onednn, "onednn_is_faster", lambda: True)
        patch.setattr(onednn, "LARGE", 1)
        assert onednn.serves(*operands, *([None] if not biased else []))
        assert_equivalent(product, written_out, *operands, rtol=1e-4, atol=1e-4)


@needs_onednn
def test_onednn_keeps_for_the_derivative_what_it_needs(monkeypatch):
    monkeypatch.setattr(onednn, "onednn_is_faster", lambda: True)
    monkeypatch.setattr(onednn, "LARGE", 1)
    a, frozen, kept = torch.randn(4, 3, requires_grad=True), torch.randn(5, 3), []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.shape), lambda t: t):
        product(a, frozen)
    assert kept == [frozen.shape]


@needs_onednn
def test_onednn_is_left_alone_where_it_does_not_serve(monkeypatch):
    monkeypatch.setattr(onednn, "onednn_is_faster", lambda: True)
    a, b = torch.randn(4, 3), torch.randn(5, 3)
    assert not onednn.serves(a, b, None)  # too small to be worth a call
    monkeypatch.setattr(onednn, "LARGE", 1)
    assert onednn.serves(a, b, None)
    assert not onednn.serves(a.double(), b.double(), None)
    assert not onednn.serves(a[:1], b, None)  # one row: a matrix-vector product
    assert not onednn.serves(a.to("meta"), b.to("meta"), None)
    assert not onednn.serves(a[:, :0], b[:, :0], None)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not onednn.serves(a, b, None)
        assert product(a, b).dtype is torch.bfloat16


needs_mkl = pytest.mark.skipif(not torch.backends.mkl.is_available(), reason="this build of PyTorch carries no MKL")


@needs_mkl
@given(m=st.integers(1, 19), n=st.integers(1, 9), k=st.integers(1, 9), biased=st.booleans(), data=st.data())
def test_few_rows_are_multiplied_slice_by_slice(m, n, k, biased, data):
    a, b, *bias = (data.draw(tensors(shape)).float() for shape in ((m, k), (n, k), *([(n,)] if biased else [])))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matmul, "onednn_is_faster", lambda: False)
        patch.setattr(few_rows, "BEYOND_CACHE", 1)
        patch.setattr(few_rows, "SLICE", 2)
        patch.setattr(few_rows, "THIN", 3)
        assert matmul._few_meet_many(a, b, bias[0] if biased else None) == (2 <= m <= 16)
        y = product(a, b, *bias)
    torch.testing.assert_close(y, written_out(a, b, *bias))
    assert y.is_contiguous()


@needs_mkl
@pytest.mark.parametrize("threads", [1, 2])
@given(
    m=st.integers(1, 19),
    n=st.integers(1, 9),
    k=st.integers(1, 39),
    held=st.sampled_from([1, 60]),
    biased=st.booleans(),
    data=st.data(),
)
def test_few_rows_meet_columns_layer_by_layer(threads, m, n, k, held, biased, data):
    a, w, *bias = (data.draw(tensors(shape)).float() for shape in ((m, k), (k, n), *([(n,)] if biased else [])))
    w, cut = w.contiguous(), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matmul, "onednn_is_faster", lambda: False)
        patch.setattr(torch, "get_num_threads", lambda: threads)
        patch.setattr(few_rows, "BEYOND_CACHE", 1)
        patch.setattr(few_rows, "LAYER", 2)
        patch.setattr(few_rows, "SHORT", 5)
        patch.setattr(few_rows, "HELD", held)
        patch.setattr(few_rows, "in_layers", lambda *o, whole=few_rows.in_layers: cut.append(1) or whole(*o))
        found = product_with_columns(a, w, *bias)
    torch.testing.assert_close(found, written_out(a, w.t(), *bias))
    if min(n, k) > 1:  # or else rows are columns
        assert bool(cut) == (2 <= m <= (16 if threads == 1 or n >= 5 else 7))


def heard(called, name, function):
    return lambda *operands: called.append(name) or function(*operands)


@pytest.mark.parametrize("faster", [False, True])
@given(m=st.integers(1, 19), n=st.integers(1, 9), k=st.integers(1, 9), turned=st.booleans(), data=st.data())
def test_a_form_is_chosen_once_as_each_time(faster, m, n, k, turned, data):
    a, w, bias = (data.draw(tensors(shape)).float() for shape in ((m, k), (k, n), (n,)))
    w, called = w.t().contiguous().t() if turned else w.contiguous(), []
    with pytest.MonkeyPatch.context() as patch:
        for file in (matmul, onednn):
            patch.setattr(file, "onednn_is_faster", lambda: faster)
        patch.setattr(onednn, "LARGE", 1)
        patch.setattr(few_rows, "BEYOND_CACHE", 1)
        patch.setattr(few_rows, "LAYER", 2)
        for file, name in ((few_rows, "in_layers"), (onednn, "multiply"), (torch, "addmm")):
            patch.setattr(file, name, heard(called, name, getattr(file, name)))
        found, known = form_with_columns(m, w, bias)(a, w, bias), called.copy()
        expected = product_with_columns(a, w, bias)
    if min(n, k) > 1 and not turned:  # or else rows are columns
        assert called == 2 * known
        assert torch.equal(found, expected)
    torch.testing.assert_close(found, written_out(a, w.t(), bias))


@pytest.mark.parametrize(
    ("threads", "rows", "width", "repaid"),
    [(2, 7, 1023, True), (2, 8, 1023, False), (2, 8, 1024, True), (1, 8, 1023, True)],
)
def test_layers_repay(threads, rows, width, repaid, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert few_rows.repay_layers(torch.empty(rows, 1), torch.empty(1, width)) is repaid


@given(m=sizes, n=sizes, k=sizes, biased=st.booleans(), data=st.data())
def test_columns_with_two_derivatives(m, n, k, biased, data):
    operands = [data.draw(tensors(shape)) for shape in ((m, k), (k, n), *([(n,)] if biased else []))]
    assert_equivalent(product_with_columns, lambda a, w, *b: written_out(a, w.t(), *b), *operands)


@needs_mkl
def test_few_rows_are_not_sliced_where_that_does_not_serve(monkeypatch):
    monkeypatch.setattr(matmul, "onednn_is_faster", lambda: False)
    a, b = torch.randn(4, 3), torch.randn(5, 3)
    assert not matmul._few_meet_many(a, b, None)  # small enough for the cache
    monkeypatch.setattr(few_rows, "BEYOND_CACHE", 1)
    assert matmul._few_meet_many(a, b, None)
    assert not matmul._few_meet_many(a[:1], b, None)  # one row: a matrix-vector product
    assert not matmul._few_meet_many(a.double(), b.double(), None)
    assert not matmul._few_meet_many(a, b.requires_grad_(), None)  # whose derivative they have no form for
    with torch.no_grad():
        assert matmul._few_meet_many(a, b, None)
    assert not matmul._few_meet_many(a.to("meta"), b.to("meta"), None)


def test_the_choice_is_a_fact_about_the_machine():
    assert matmul.onednn_is_faster() is matmul.onednn_is_faster()


@given(data=st.data())
def test_is_linear_in_either_factor(data):
    x, y, b = (data.draw(tensors((4, 3))) for _ in range(3))
    assert_linear(lambda a: product(a, b), x, y)
    assert_linear(lambda a: product(b, a), x, y)


def test_sizes_and_types_that_do_not_fit_are_refused():
    with pytest.raises(RuntimeError):
        product(torch.ones(2, 3), torch.ones(2, 4))
    with pytest.raises(RuntimeError):
        product(torch.ones(2, 3), torch.ones(2, 3).double())


@needs_onednn
@pytest.mark.parametrize("fast", [False, True], ids=["bmm", "oneDNN"])
@given(b=st.integers(0, 3), m=st.integers(2, 5), n=st.integers(1, 5), k=st.integers(1, 5), data=st.data())
def test_pairs_are_multiplied_one_by_one(fast, b, m, n, k, data):
    x, y = data.draw(tensors((b, m, k))).float(), data.draw(tensors((b, n, k))).float()
    expected = torch.einsum("bmk,bnk->bmn", x, y)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onednn, "onednn_is_faster", lambda: fast)
        patch.setattr(onednn, "LARGE", 1)
        out = torch.empty(b, m, n)
        assert matmul.batched_product(x, y, out) is out
        torch.testing.assert_close(out, expected)
        torch.testing.assert_close(matmul.batched_product(x, y), expected)
