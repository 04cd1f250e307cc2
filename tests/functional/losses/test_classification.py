"""Cross-entropy: the laws, the gradient that everybody quotes, and the arguments that the layer does not reach."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minimodels import functional as F
from minimodels.functional.losses import classification, surprise
from minimodels.tap import listening
from minimodels.testing import assert_equivalent, assert_invariant, cross_entropy_cases, derivatives, tensors

reference = torch.nn.functional.cross_entropy


@given(x=tensors((4, 3)), seed=st.integers(0, 99))
def test_the_gradient_is_softmax_minus_truth(x, seed):
    target = torch.randint(0, 3, (4,), generator=torch.Generator().manual_seed(seed))
    x = x.detach().requires_grad_()
    F.cross_entropy(x, target, reduction="sum").backward()
    truth = torch.eye(3, dtype=torch.float64)[target]
    assert torch.allclose(x.grad, F.softmax(x, 1) - truth)


@given(x=tensors((4, 3)), shift=st.floats(-100, 100))
def test_ignores_a_shift_of_all_scores(x, shift):
    assert_invariant(lambda x: F.cross_entropy(x, torch.tensor([0, 1, 2, 0])), lambda x: x + shift, x)


@given(x=tensors((4, 3)))
def test_an_index_is_a_distribution_with_one_peak(x):
    target = torch.tensor([0, 2, 1, 1])
    peaks = torch.eye(3, dtype=torch.float64)[target]
    for smoothing in (0.0, 0.2):
        by_index = F.cross_entropy(x, target, label_smoothing=smoothing)
        assert torch.allclose(by_index, F.cross_entropy(x, peaks, label_smoothing=smoothing))


@given(x=tensors((4, 3)), junk=tensors((2, 3)))
def test_ignored_places_count_nothing(x, junk):
    target = torch.tensor([0, 2, 1, 1])
    longer = torch.cat([x, junk])
    ignored = torch.cat([target, torch.tensor([-100, -100])])
    for kwargs in ({}, {"label_smoothing": 0.1}, {"weight": torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)}):
        assert torch.allclose(F.cross_entropy(longer, ignored, **kwargs), F.cross_entropy(x, target, **kwargs))


def test_derivatives_by_the_target_distribution():
    x, target = torch.randn(4, 3, dtype=torch.float64), torch.rand(4, 3, dtype=torch.float64)
    assert_equivalent(F.cross_entropy, reference, x, target)


@pytest.mark.parametrize("kwargs", [{}, {"label_smoothing": 0.1}, {"weight": torch.ones(3)}])
def test_nothing_to_average_is_nan_as_in_torch(kwargs):
    x, ignored = torch.randn(2, 3), torch.tensor([-100, -100])
    assert F.cross_entropy(x, ignored, **kwargs).isnan()
    assert_equivalent(
        lambda x: F.cross_entropy(x, ignored, **kwargs), lambda x: reference(x, ignored, **kwargs), x, order=1
    )
    assert F.cross_entropy(x[:0], ignored[:0], **kwargs).isnan()


def test_bytes_are_indices_too():
    x, target = torch.randn(2, 3), torch.tensor([0, 2], dtype=torch.uint8)
    assert torch.allclose(F.cross_entropy(x, target), reference(x, target))


@pytest.mark.parametrize("size_average", [None, True, False])
@pytest.mark.parametrize("reduce", [None, True, False])
def test_the_old_spellings(size_average, reduce):
    if size_average is None and reduce is None:
        return
    x, target, results = torch.randn(4, 3), torch.tensor([0, 1, 2, 0]), []
    for cross_entropy in (F.cross_entropy, reference):
        with pytest.warns(UserWarning, match="please use reduction="):
            results.append(cross_entropy(x, target, size_average=size_average, reduce=reduce))
    assert torch.allclose(*results)


def test_a_weight_of_another_type_is_refused():
    for cross_entropy in (F.cross_entropy, reference):
        with pytest.raises(RuntimeError):
            cross_entropy(torch.randn(2, 3), torch.tensor([0, 1]), weight=torch.ones(3).double())


@given(x=tensors((4, 3)), seed=st.integers(0, 99))
def test_the_likelihood_of_log_softmax_is_the_cross_entropy(x, seed):
    target = torch.randint(0, 3, (4,), generator=torch.Generator().manual_seed(seed))
    weight = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    for kwargs in ({}, {"weight": weight}, {"ignore_index": 1}):
        likelihood = F.nll_loss(F.log_softmax(x, 1), target, **kwargs)
        torch.testing.assert_close(likelihood, F.cross_entropy(x, target, **kwargs), equal_nan=True)


@pytest.fixture
def by_rows(monkeypatch):
    """Cross-entropy goes over small scores by rows too, one or two at a time."""
    monkeypatch.setattr(classification, "LARGE", 1)
    monkeypatch.setattr(surprise, "PIECE", 8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=cross_entropy_cases())
def test_by_rows_it_is_the_same(by_rows, case):
    x, target = case.inputs
    ours, theirs = (lambda x, f=f: f(x, target, **case.kwargs) for f in (F.cross_entropy, reference))
    for order in (1, 2):  # the first as training goes, by the hand-derived gradient
        assert_equivalent(ours, theirs, x, order=order)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@given(case=cross_entropy_cases())
def test_by_rows_16_bits_are_computed_in_32(by_rows, dtype, case):
    x, target, *_ = case.to(dtype).inputs
    kwargs = case.to(dtype).kwargs
    mine = derivatives(lambda x: F.cross_entropy(x, target, **kwargs), x, order=1)
    kwargs = case.to(dtype).to(torch.float64).kwargs
    wide = target.double() if target.is_floating_point() else target
    exact = derivatives(lambda x: reference(x, wide, **kwargs), x.double(), order=1)
    for name, truth in exact.items():
        torch.testing.assert_close(mine[name].double(), truth, rtol=2e-2, atol=2e-2, equal_nan=True)


def test_by_rows_an_index_out_of_range_is_named(by_rows):
    for label_smoothing in (0.0, 0.1):
        with pytest.raises(IndexError, match="Target 7 is out of bounds"):
            F.cross_entropy(torch.randn(2, 3), torch.tensor([0, 7]), label_smoothing=label_smoothing)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("junk", [-torch.inf, torch.inf, torch.nan])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_by_rows_an_ignored_place_counts_nothing_whatever_stands_there(by_rows, reduction, junk, label_smoothing):
    x, target = torch.randn(3, 4), torch.tensor([0, -100, 1])
    x[1] = junk
    kwargs = {"reduction": reduction, "label_smoothing": label_smoothing}
    torch.testing.assert_close(F.cross_entropy(x, target, **kwargs), reference(x, target, **kwargs))


def test_by_rows_batches_of_gradients(by_rows):
    x, target = torch.randn(4, 3, dtype=torch.float64), torch.tensor([0, 1, 2, -100])
    found = [
        torch.autograd.functional.jacobian(lambda x, f=f: f(x, target, reduction="none"), x, vectorize=True)
        for f in (F.cross_entropy, reference)
    ]
    torch.testing.assert_close(*found)


def test_by_rows_whoever_listens_hears_the_log_probabilities(by_rows):
    x, target, heard = torch.randn(4, 3), torch.tensor([0, 1, 2, 0]), {}
    with listening(lambda name, value: heard.setdefault(name, value)):
        F.cross_entropy(x, target)
    torch.testing.assert_close(heard["cross_entropy.log_probabilities"], F.log_softmax(x, 1))


def test_large_scores_take_the_rows():
    x, target = torch.randn(70, 1000, dtype=torch.float64), torch.randint(0, 1000, (70,))
    assert "_Surprise" in str(F.cross_entropy(x.requires_grad_(), target, reduction="none").grad_fn.next_functions)
    assert_equivalent(lambda x: F.cross_entropy(x, target), lambda x: reference(x, target), x.detach(), order=1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("ignore_index", [-100, 1])
@given(x=tensors((3, 4, 2)), seed=st.integers(0, 99))
def test_few_scores_are_taken_at_a_stroke(reduction, ignore_index, x, seed):
    target = torch.randint(0, 4, (3, 2), generator=torch.Generator().manual_seed(seed))
    kwargs = {"reduction": reduction, "ignore_index": ignore_index}
    assert "_Few" in str(F.cross_entropy(x.clone().requires_grad_(), target, **kwargs).grad_fn)
    for order in (1, 2):
        assert_equivalent(lambda x: F.cross_entropy(x, target, **kwargs), lambda x: reference(x, target, **kwargs), x,
                          order=order)  # fmt: skip
    narrow = x.bfloat16()
    mine = derivatives(lambda x: F.cross_entropy(x, target, **kwargs), narrow, order=1)
    exact = derivatives(lambda x: reference(x, target, **kwargs), narrow.double(), order=1)
    for name, truth in exact.items():
        torch.testing.assert_close(mine[name].double(), truth, rtol=2e-2, atol=2e-2, equal_nan=True)


def test_of_nothing_that_counts_the_derivative_is_nothing():
    x = torch.randn(3, 4, requires_grad=True)
    loss = F.cross_entropy(x, torch.full((3,), -100))
    assert loss.isnan()
    (gradient,) = torch.autograd.grad(loss, x)
    assert not gradient.any()


def test_a_distribution_that_was_written_over_is_noticed(monkeypatch):
    """As by every operation that keeps it for the backward pass: another gradient would follow unseen."""
    monkeypatch.setattr(classification, "LARGE", 1)
    x, target = torch.randn(3, 5, requires_grad=True), torch.full((3, 5), 0.2)
    loss = F.cross_entropy(x, target)
    target.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
