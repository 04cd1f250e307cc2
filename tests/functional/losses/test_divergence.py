"""The divergence between distributions: its laws, and the words of warning."""

import functools

import pytest
import torch
from hypothesis import given

from minimodels import functional as F
from minimodels.testing import assert_equivalent, tensors

R = torch.nn.functional


@given(x=tensors((4, 3)), y=tensors((4, 3)))
def test_is_never_negative(x, y):
    log_q, t = F.log_softmax(x, 1), F.softmax(y, 1)
    assert (F.kl_div(log_q, t, reduction="none").sum(1) >= -1e-12).all()


@given(x=tensors((4, 3)))
def test_is_zero_only_for_the_same_distribution(x):
    log_q = F.log_softmax(x, 1)
    assert abs(F.kl_div(log_q, log_q.exp(), reduction="sum")) < 1e-12
    assert F.kl_div(log_q, log_q.exp().roll(1, 1).lerp(log_q.exp(), 0.5).roll(1, 1), reduction="sum") > 0


@given(x=tensors((4, 3)), y=tensors((4, 3)))
def test_is_cross_entropy_less_entropy(x, y):
    t = F.softmax(y, 1)
    entropy = -(t * t.log()).sum(1).mean()
    divergence = F.kl_div(F.log_softmax(x, 1), t, reduction="batchmean")
    torch.testing.assert_close(divergence, F.cross_entropy(x, t) - entropy)


@given(x=tensors((4, 3)), y=tensors((4, 3)))
def test_the_target_may_be_given_as_logarithms(x, y):
    x, y = F.log_softmax(x, 1), F.log_softmax(y, 1)
    given_as = [F.kl_div(x, y, reduction="sum", log_target=True), F.kl_div(x, y.exp(), reduction="sum")]
    torch.testing.assert_close(*given_as)


def test_what_never_happens_costs_nothing():
    x = torch.tensor([0.3, 0.7], dtype=torch.float64).log()
    sure = torch.tensor([0.0, 1.0], dtype=torch.float64)
    assert_equivalent(lambda x: F.kl_div(x, sure, reduction="sum"), lambda x: R.kl_div(x, sure, reduction="sum"), x)


def test_the_plain_mean_is_warned_of():
    x, t = torch.zeros(2, 3), torch.ones(2, 3)
    for loss in (F.kl_div, R.kl_div):
        with pytest.warns(UserWarning, match="divides the total loss by both the batch size and the support size"):
            loss(x, t)


@pytest.mark.parametrize("shapes", [((2, 3), (3,)), ((3,), (2, 3)), ((), ())])
def test_shapes_broadcast_in_silence(shapes):
    x, t = (torch.rand(shape, dtype=torch.float64) for shape in shapes)
    for reduction in ("none", "sum", "batchmean"):
        ours, reference = (functools.partial(f.kl_div, reduction=reduction) for f in (F, R))
        assert_equivalent(ours, reference, x, t)


def test_types_that_meet():
    for a, b in ((torch.float32, torch.float64), (torch.float16, torch.float32)):
        x, t = torch.rand(3).to(a), torch.rand(3).to(b)
        torch.testing.assert_close(F.kl_div(x, t, reduction="none"), R.kl_div(x, t, reduction="none"))


@pytest.mark.parametrize(("name", "shape"), [("kl_div", (4, 3)), ("mse_loss", (1, 3))])
@pytest.mark.filterwarnings("ignore")
def test_compiled_there_is_no_warning_and_no_break(name, shape):
    x, t = torch.rand(4, 3), torch.rand(shape)
    torch.compiler.reset()
    compiled = torch.compile(getattr(F, name), backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x, t), getattr(R, name)(x, t))
