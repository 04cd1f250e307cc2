"""Losses of yes-or-no questions: their laws, their edges, and where they are refused."""

import pytest
import torch
from hypothesis import given

from minimodels import functional as F
from minimodels.testing import assert_equivalent, tensors

R = torch.nn.functional


@given(x=tensors((4, 3)), y=tensors((4, 3)))
def test_scores_are_probabilities_before_the_sigmoid(x, y):
    t, w = y.sigmoid(), y.exp()
    by_score = F.binary_cross_entropy_with_logits(x, t, w, reduction="none")
    torch.testing.assert_close(by_score, F.binary_cross_entropy(x.sigmoid(), t, w, reduction="none"))


@given(x=tensors((4, 3)))
def test_two_answers_are_two_classes(x):
    t = torch.tensor([[0, 1, 1]] * 4)
    by_class = F.cross_entropy(torch.stack([torch.zeros_like(x), x], 1), t, reduction="none")
    torch.testing.assert_close(F.binary_cross_entropy_with_logits(x, t.double(), reduction="none"), by_class)


@given(x=tensors((4, 3)), p=tensors((3,)))
def test_the_weight_of_a_yes_counts_it_that_often(x, p):
    p, yes, no = p.exp(), torch.ones_like(x), torch.zeros_like(x)
    loss = F.binary_cross_entropy_with_logits
    torch.testing.assert_close(
        loss(x, yes, pos_weight=p, reduction="none"), p * loss(x, yes, reduction="none"), equal_nan=True
    )
    torch.testing.assert_close(loss(x, no, pos_weight=p, reduction="none"), loss(x, no, reduction="none"))


@given(x=tensors((4, 3)), y=tensors((4, 3)))
def test_the_slope_with_weights(x, y):
    t, w, p = y.sigmoid(), y.exp(), torch.tensor([0.5, 1.0, 3.0]).double()
    x = x.detach().requires_grad_()
    F.binary_cross_entropy_with_logits(x, t, w, pos_weight=p, reduction="sum").backward()
    torch.testing.assert_close(x.grad, w * (x.sigmoid() * (1 + (p - 1) * t) - p * t))


@pytest.mark.parametrize("pos_weight", [None, torch.tensor(2.0)])
def test_no_score_overflows_and_none_is_lost(pos_weight):
    x = torch.tensor([1000.0, -1000.0, 80.0, -80.0, 0.0], requires_grad=True)
    for t in (x.detach() > 0, x.detach() < 0):
        loss = F.binary_cross_entropy_with_logits(x, t.float(), pos_weight=pos_weight, reduction="none")
        assert loss.isfinite().all()
        (slope,) = torch.autograd.grad(loss.sum(), x)
        assert slope.isfinite().all()
    exact = torch.exp(torch.tensor(-80.0))  # log(1 + e) = e, to float32
    right = F.binary_cross_entropy_with_logits(x[2:4], torch.tensor([1.0, 0.0]), reduction="none")
    torch.testing.assert_close(right, exact.expand(2), rtol=1e-5, atol=0)


def test_at_certainty_the_loss_is_bounded():
    x, t = torch.tensor([0.0, 1, 0, 1]), torch.tensor([0.0, 1, 1, 0])
    assert F.binary_cross_entropy(x, t, reduction="none").tolist() == [0, 0, 100, 100]
    assert_equivalent(
        lambda x, t: F.binary_cross_entropy(x, t, reduction="sum"),
        lambda x, t: R.binary_cross_entropy(x, t, reduction="sum"), x, t, order=1,
    )  # fmt: skip


def test_a_weight_that_learns_has_a_derivative():
    """PyTorch refuses it; here it costs nothing to have."""
    x, t = torch.rand(3, dtype=torch.float64), torch.rand(3, dtype=torch.float64)
    for loss in (F.binary_cross_entropy, F.binary_cross_entropy_with_logits):
        torch.autograd.gradcheck(lambda w, f=loss: f(x, t, w), torch.rand(3, dtype=torch.float64, requires_grad=True))


def test_compiled_and_on_meta_nobody_looks_at_the_numbers():
    x = torch.empty(3, device="meta")
    assert F.binary_cross_entropy(x, x).shape == ()


def test_autocast_is_refused_where_it_would_be_unsafe(monkeypatch):
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda device: True)

    class Elsewhere(torch.Tensor):
        device = torch.device("cuda")

    x = torch.rand(3).as_subclass(Elsewhere)
    with pytest.raises(RuntimeError, match="unsafe to autocast"):
        F.binary_cross_entropy(x, x)


def test_types_that_meet():
    x, t = torch.rand(3), torch.rand(3).double()
    for a, b in ((x, t), (t, x), (x.half(), x)):
        ours, theirs = (f.binary_cross_entropy_with_logits(a, b) for f in (F, R))
        assert ours.dtype is theirs.dtype
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


def test_a_sure_mistake_costs_infinitely_much():
    infinite, no = torch.tensor([torch.inf]), torch.zeros(1)
    assert F.binary_cross_entropy_with_logits(infinite, no).item() == torch.inf
