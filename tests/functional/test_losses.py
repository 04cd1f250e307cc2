"""Cross-entropy: the laws, the gradient that everybody quotes, and the arguments that the layer does not reach."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels import functional as F
from minimodels.testing import assert_equivalent, assert_invariant, tensors

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
