"""Losses that treat every element alike: a large tensor, cut into pieces, is no different from a small one."""

import functools

import pytest
import torch

from minimodels import functional as F
from minimodels.functional.losses import elementwise
from minimodels.testing import assert_equivalent

NAMES = ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy",
         "binary_cross_entropy_with_logits"]  # fmt: skip


@pytest.fixture
def small_pieces(monkeypatch):
    monkeypatch.setattr(elementwise, "PIECE", 7)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_pieces_make_the_whole(name, reduction, dtype, small_pieces):
    x, t = torch.rand(2, 5, 4).to(dtype), torch.rand(2, 5, 4).to(dtype)
    ours, reference = getattr(F, name), getattr(torch.nn.functional, name)
    tolerance = {} if dtype is torch.float64 else {"rtol": 3e-2, "atol": 3e-2}
    for order in (1, 2) if dtype is torch.float64 else (1,):  # the first as training goes, piece by piece
        sides = (functools.partial(f, reduction=reduction) for f in (ours, reference))
        assert_equivalent(*sides, x, t, order=order, **tolerance)


@pytest.mark.parametrize("name", NAMES)
def test_other_layouts_are_taken_whole(name, small_pieces):
    x, t = torch.rand(5, 4, dtype=torch.float64).t(), torch.rand(4, 5, dtype=torch.float64)
    assert_equivalent(getattr(F, name), getattr(torch.nn.functional, name), x, t, order=1)


def test_the_true_pieces_too():
    x, t = torch.randn(300_000, dtype=torch.float64), torch.randn(300_000, dtype=torch.float64)
    assert_equivalent(F.huber_loss, torch.nn.functional.huber_loss, x, t, order=1)


@pytest.mark.parametrize("name", NAMES)
def test_batches_of_gradients(name):
    x, t = torch.rand(4, 3, dtype=torch.float64), torch.rand(4, 3, dtype=torch.float64)
    found = [
        torch.autograd.functional.jacobian(lambda x, f=f: f(x, t, reduction="none"), x, vectorize=True)
        for f in (getattr(F, name), getattr(torch.nn.functional, name))
    ]
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_a_tangent_is_of_the_type_of_the_loss(name, reduction):
    x, t, tangent = torch.rand(3, 4, 3)
    sides = (getattr(f, name) for f in (F, torch.nn.functional))
    found, expected = (torch.func.jvp(lambda x, f=f: f(x, t, reduction=reduction), (x,), (tangent,)) for f in sides)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("recording", [True, False])
def test_compiled_where_nobody_asks_for_a_gradient(name, recording):
    x, t = torch.rand(2, 3, 4)
    torch.compiler.reset()
    compiled = torch.compile(getattr(F, name), backend="eager", fullgraph=True)
    with torch.set_grad_enabled(recording):
        torch.testing.assert_close(compiled(x, t), getattr(torch.nn.functional, name)(x, t))
