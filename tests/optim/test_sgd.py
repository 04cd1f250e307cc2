"""Laws of gradient descent, sparse gradients, and derivatives through the step."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels.optim import SGD, sgd_step
from tests.optim.descent import descend

rates = st.floats(1e-3, 1.0)
seeds = st.integers(0, 99)


def noise(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def walk(steps: int, *, seed: int, sign: float = 1.0, **settings: Any) -> torch.Tensor:
    """Where a parameter stands after some steps along noise."""
    p = torch.nn.Parameter(noise(5, seed=seed))
    optimizer = SGD([p], **settings)
    for t in range(steps):
        p.grad = sign * noise(5, seed=seed + t + 1)
        optimizer.step()
    return p.detach()


@given(lr=rates, seed=seeds)
def test_without_momentum_it_is_gradient_descent(lr: float, seed: int) -> None:
    expected = noise(5, seed=seed)
    for t in range(4):
        expected = expected - lr * noise(5, seed=seed + t + 1)
    torch.testing.assert_close(walk(4, seed=seed, lr=lr), expected, rtol=1e-14, atol=1e-14)


@given(lr=rates, momentum=st.floats(0.1, 0.95), steps=st.integers(1, 12))
def test_under_a_constant_gradient_momentum_is_a_geometric_series(lr: float, momentum: float, steps: int) -> None:
    p = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = SGD([p], lr=lr, momentum=momentum)
    for _ in range(steps):
        p.grad = torch.ones_like(p)
        optimizer.step()
    distance = lr * sum((1 - momentum**t) / (1 - momentum) for t in range(1, steps + 1))
    torch.testing.assert_close(p.item(), -distance, rtol=1e-11, atol=0)


@given(seed=seeds, momentum=st.sampled_from([0.0, 0.9]), foreach=st.booleans())
def test_to_maximise_is_to_minimise_the_negative(seed: int, momentum: float, foreach: bool) -> None:
    settings = {"lr": 0.1, "momentum": momentum, "foreach": foreach}
    up = walk(4, seed=seed, maximize=True, **settings)
    assert torch.equal(up, walk(4, seed=seed, sign=-1.0, **settings))


@given(seed=seeds, lr=rates, weight_decay=st.floats(0.1, 0.9))
def test_both_paths_take_the_same_steps(seed: int, lr: float, weight_decay: float) -> None:
    settings = {"lr": lr, "momentum": 0.8, "weight_decay": weight_decay, "dampening": 0.3}
    many, one = (walk(5, seed=seed, foreach=foreach, **settings) for foreach in (True, False))
    torch.testing.assert_close(many, one, rtol=1e-12, atol=1e-13)


def test_the_first_momentum_is_the_gradient_undamped_and_is_not_the_gradient_itself() -> None:
    for foreach in (True, False):
        p = torch.nn.Parameter(torch.zeros(3))
        optimizer = SGD([p], lr=0.1, momentum=0.9, dampening=0.5, foreach=foreach)
        p.grad = torch.ones(3)
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)
        assert torch.equal(optimizer.state[p]["momentum_buffer"], torch.ones(3))


def test_the_equation_changes_nothing_it_is_given() -> None:
    given = [noise(4, seed=i) for i in range(3)]
    before = [tensor.clone() for tensor in given]
    sgd_step(*given, lr=0.1, momentum=0.9, weight_decay=0.1, nesterov=True, maximize=True)
    assert all(map(torch.equal, given, before))


@pytest.mark.parametrize("foreach", [None, False, True])
@pytest.mark.parametrize("settings", [{}, {"momentum": 0.9}, {"maximize": True}, {"momentum": 0.5, "nesterov": True}])
def test_sparse_gradients_move_what_torch_moves(settings: dict[str, Any], foreach: bool | None) -> None:
    moved = []
    for cls in (SGD, torch.optim.SGD):
        table, dense = torch.nn.Parameter(noise(6, 3, seed=0)), torch.nn.Parameter(noise(2, seed=1))
        optimizer = cls([table, dense], lr=0.1, foreach=foreach, **settings)
        for t in range(4):
            rows = torch.tensor([[t, 5, t]])
            values = noise(3, 3, seed=t)
            table.grad = torch.sparse_coo_tensor(rows, values, (6, 3), check_invariants=True)
            dense.grad = noise(2, seed=t + 9)
            optimizer.step()
        moved.append((table.detach(), dense.detach()))
        state = optimizer.state[table]
        assert not settings.get("momentum") or state["momentum_buffer"].is_sparse
    torch.testing.assert_close(*moved)


@pytest.mark.parametrize("settings", [{"fused": True}, {"weight_decay": 0.1}])
def test_what_sparse_gradients_cannot_do_raises_as_in_torch(settings: dict[str, Any]) -> None:
    for cls in (SGD, torch.optim.SGD):
        p = torch.nn.Parameter(torch.zeros(3, 2))
        p.grad = torch.sparse_coo_tensor([[1]], torch.ones(1, 2), (3, 2), check_invariants=True)
        with pytest.raises(RuntimeError):
            cls([p], **settings).step()


@pytest.mark.parametrize(
    "settings",
    [
        {"lr": -1.0},
        {"momentum": -0.1},
        {"weight_decay": -0.1},
        {"nesterov": True},
        {"nesterov": True, "momentum": 0.9, "dampening": 0.1},
        {"fused": True, "foreach": True},
        {"fused": True, "differentiable": True},
    ],
    ids=str,
)
def test_bad_settings_raise_in_torchs_words(settings: dict[str, Any]) -> None:
    raised = []
    for cls in (SGD, torch.optim.SGD):
        with pytest.raises((ValueError, RuntimeError)) as info:
            cls([torch.nn.Parameter(torch.zeros(1))], **settings)
        raised.append((info.type, str(info.value)))
    assert raised[0] == raised[1]


def test_fused_wants_floating_point() -> None:
    for cls in (SGD, torch.optim.SGD):
        p = torch.nn.Parameter(torch.zeros(2, dtype=torch.complex64))
        p.grad = torch.ones_like(p)
        with pytest.raises(RuntimeError, match="requires all the params to be floating point"):
            cls([p], fused=True).step()


def leaves() -> list[torch.Tensor]:
    values = [0.3 * noise(3, seed=0), 0.3 * noise(3, seed=1), torch.tensor(0.1).double(), torch.tensor(0.2).double()]
    return [value.requires_grad_() for value in values]


@pytest.mark.parametrize("settings", [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}], ids=str)
def test_the_derivative_through_the_steps_is_whole(settings: dict[str, Any]) -> None:
    def final(start: torch.Tensor, target: torch.Tensor, lr: torch.Tensor, decay: torch.Tensor) -> torch.Tensor:
        return descend(SGD, start, target, lr=lr, weight_decay=decay, **settings)

    assert torch.autograd.gradcheck(final, leaves())


def test_the_derivative_with_respect_to_the_rate_is_torchs() -> None:
    slopes = []
    for cls in (SGD, torch.optim.SGD):
        start, target, lr, _ = leaves()
        slopes.append(torch.autograd.grad(descend(cls, start, target, lr=lr).sum(), [start, target, lr]))
    torch.testing.assert_close(*slopes, rtol=1e-10, atol=1e-12)
