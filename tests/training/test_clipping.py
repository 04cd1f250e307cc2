"""Clipping is torch's, and shortens without turning."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn as reference

from minimodels.training import clip_gradients

shapes = st.lists(st.lists(st.integers(0, 4), max_size=3), min_size=1, max_size=4)


@given(shapes=shapes, limit=st.floats(1e-3, 1e3), scale=st.sampled_from([1e-6, 1.0, 1e6, 1e25]))
def test_equal_to_torch(shapes: list[list[int]], limit: float, scale: float) -> None:
    torch.manual_seed(0)
    ours = [torch.zeros(shape, requires_grad=True) for shape in shapes]
    theirs = [torch.zeros(shape, requires_grad=True) for shape in shapes]
    for one, other in zip(ours, theirs, strict=True):
        one.grad = torch.randn(one.shape) * scale
        other.grad = one.grad.clone()
    norm = clip_gradients(ours, limit)
    torch.testing.assert_close(norm, reference.utils.clip_grad_norm_(theirs, limit))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_a_short_gradient_and_a_missing_one_are_left_alone() -> None:
    weight, unused = torch.zeros(2, requires_grad=True), torch.zeros(2, requires_grad=True)
    weight.grad = torch.tensor([0.3, 0.4])
    assert clip_gradients([weight, unused], 1.0).item() == pytest.approx(0.5)
    assert torch.equal(weight.grad, torch.tensor([0.3, 0.4]))
    assert unused.grad is None


def test_without_gradients_the_norm_is_zero() -> None:
    assert clip_gradients([torch.zeros(2, requires_grad=True)], 1.0).item() == 0
