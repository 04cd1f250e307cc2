"""Muon against torch.optim.Muon, and the laws of the iteration that makes matrices orthogonal."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels.optim import Muon, muon_step, newton_schulz
from minimodels.optim.muon import rate_factor

CONVERGENT = (15 / 8, -10 / 8, 3 / 8)
"""The quintic polynomial that touches 1 at 1, so that repeated steps end there."""

sizes = st.integers(1, 7)
seeds = st.integers(0, 99)
SETTINGS = st.fixed_dictionaries(
    {
        "lr": st.floats(1e-4, 0.5),
        "weight_decay": st.sampled_from([0.0, 0.1, 0.5]),
        "momentum": st.sampled_from([0.0, 0.5, 0.95, 1.0]),
        "nesterov": st.booleans(),
        "ns_coefficients": st.sampled_from([(3.4445, -4.7750, 2.0315), CONVERGENT, [1.5, -0.5, 0.0]]),
        "ns_steps": st.integers(0, 6),
        "eps": st.sampled_from([1e-7, 10.0]),
        "adjust_lr_fn": st.sampled_from([None, "original", "match_rms_adamw"]),
    }
)


def noise(*shape: int, seed: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def walk(cls: Any, shapes: list[tuple[int, int]], seed: int, dtype: torch.dtype, **settings: Any) -> Any:
    """An optimiser after six steps along noise, a second group with a rate of its own; some gradients are missing."""
    first, *rest = (torch.nn.Parameter(noise(*shape, seed=seed, dtype=dtype)) for shape in shapes)
    optimizer = cls([{"params": [first]}, {"params": rest, "lr": 0.02, "nesterov": False}], **settings)
    for t in range(6):
        for i, p in enumerate([first, *rest]):
            p.grad = None if (t + i + seed) % 5 == 0 else noise(*p.shape, seed=10 * t + i, dtype=dtype) + p.detach()
        optimizer.step()
    return optimizer


@given(
    settings=SETTINGS,
    shapes=st.lists(st.tuples(sizes, sizes), min_size=2, max_size=4),
    seed=seeds,
    dtype=st.sampled_from([torch.float64, torch.float32]),
)
def test_many_steps_with_any_settings_are_torchs(settings: Any, shapes: Any, seed: int, dtype: torch.dtype) -> None:
    ours, theirs = (walk(cls, shapes, seed, dtype, **settings) for cls in (Muon, torch.optim.Muon))
    assert ours.state_dict()["param_groups"] == theirs.state_dict()["param_groups"]
    torch.testing.assert_close(ours.state_dict()["state"], theirs.state_dict()["state"])
    for group, other in zip(ours.param_groups, theirs.param_groups, strict=True):
        torch.testing.assert_close(group["params"], other["params"])


@given(settings=SETTINGS, momentum=st.sampled_from([0.0, 0.5, 1.0]), rows=sizes, columns=sizes, seed=seeds)
def test_the_step_in_place_is_the_equation(settings: Any, momentum: float, rows: int, columns: int, seed: int) -> None:
    settings = settings | {"momentum": momentum}  # with numbers of few bits, so that both round to the same bfloat16
    p = torch.nn.Parameter(noise(rows, columns, seed=seed))
    expected, b = p.detach().clone(), torch.zeros_like(p)
    optimizer = Muon([p], **settings)
    for t in range(3):
        p.grad = noise(rows, columns, seed=seed + t).bfloat16().double()
        change, b = muon_step(expected, p.grad, b, **settings)
        expected = expected - change
        optimizer.step()
    torch.testing.assert_close(optimizer.state[p]["momentum_buffer"], b)
    torch.testing.assert_close(p.detach(), expected, rtol=1e-12, atol=1e-12)


@given(rows=sizes, columns=sizes, seed=seeds, steps=st.integers(0, 6))
def test_singular_values_go_through_the_polynomial_and_singular_vectors_stay(
    rows: int, columns: int, seed: int, steps: int
) -> None:
    G, (a, b, c) = noise(rows, columns, seed=seed), (3.4445, -4.7750, 2.0315)
    U, s, Vh = torch.linalg.svd(G, full_matrices=False)
    s = s / s.norm()
    for _ in range(steps):
        s = a * s + b * s**3 + c * s**5
    torch.testing.assert_close(newton_schulz(G, steps=steps), U * s @ Vh, rtol=1e-9, atol=1e-9)


@given(rows=sizes, columns=sizes, seed=seeds, dtype=st.sampled_from([torch.float64, torch.bfloat16]))
def test_singular_values_end_near_one(rows: int, columns: int, seed: int, dtype: torch.dtype) -> None:
    U, _, Vh = torch.linalg.svd(noise(rows, columns, seed=seed), full_matrices=False)
    spread = torch.logspace(0, -2, min(rows, columns), dtype=torch.float64)
    made = newton_schulz((U * spread @ Vh).to(dtype)).double()
    values = torch.linalg.svdvals(made)
    slack = 0.05 if dtype is torch.bfloat16 else 0.0
    assert values.min() > 0.68 - slack
    assert values.max() < 1.21 + slack


@given(rows=sizes, columns=sizes, seed=seeds)
def test_a_polynomial_that_converges_ends_at_the_nearest_orthogonal_matrix(rows: int, columns: int, seed: int) -> None:
    U, _, Vh = torch.linalg.svd(noise(rows, columns, seed=seed), full_matrices=False)
    spread = torch.linspace(1, 0.2, min(rows, columns), dtype=torch.float64)
    torch.testing.assert_close(newton_schulz(U * spread @ Vh, CONVERGENT, 15), U @ Vh, rtol=1e-10, atol=1e-10)


@given(rows=sizes, columns=sizes, seed=seeds, exponent=st.integers(-20, 20))
def test_scale_does_not_matter_and_transposition_goes_through(
    rows: int, columns: int, seed: int, exponent: int
) -> None:
    G = noise(rows, columns, seed=seed)
    made = newton_schulz(G)
    torch.testing.assert_close(newton_schulz(G * 2.0**exponent, eps=0.0), made, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(newton_schulz(G.mT), made.mT, rtol=1e-9, atol=1e-9)
    turn, _ = torch.linalg.qr(noise(rows, rows, seed=seed + 1))
    torch.testing.assert_close(newton_schulz(turn @ G), turn @ made, rtol=1e-9, atol=1e-9)


@given(rows=sizes, columns=sizes, seed=seeds)
def test_changes_are_as_large_as_those_of_adamw(rows: int, columns: int, seed: int) -> None:
    G = noise(rows, columns, seed=seed)
    U, _, Vh = torch.linalg.svd(G, full_matrices=False)
    size = (U @ Vh).square().mean().sqrt().item()
    assert rate_factor(G.shape, "match_rms_adamw") * size == pytest.approx(0.2)
    assert rate_factor((4 * columns, columns)) == 2.0
    assert rate_factor((columns, 4 * columns)) == 1.0


def test_nothing_stays_nothing_and_nothing_given_is_changed() -> None:
    assert newton_schulz(torch.zeros(3, 2)).abs().max() == 0
    given = [noise(3, 4, seed=i) for i in range(3)]
    before = [tensor.clone() for tensor in given]
    muon_step(*given, lr=0.1)
    newton_schulz(given[0])
    assert all(map(torch.equal, given, before))


def test_a_momentum_in_bfloat16_stays_what_it_is() -> None:
    moved = []
    for cls in (Muon, torch.optim.Muon):
        p = torch.nn.Parameter(torch.zeros(3, 4, dtype=torch.bfloat16))
        optimizer = cls([p], lr=0.1, nesterov=False)
        p.grad = noise(3, 4, seed=0).bfloat16()
        optimizer.step()
        moved.append((p.detach(), optimizer.state[p]["momentum_buffer"].norm().item()))
    (ours, kept), (theirs, scaled) = moved
    assert torch.equal(ours, theirs)
    assert kept == pytest.approx(0.05 * noise(3, 4, seed=0).norm().item(), rel=1e-2)
    assert scaled == pytest.approx(1.0, rel=1e-2)  # torch normalises its buffer, which is a mistake


def test_derivatives_go_through_the_iteration() -> None:
    matrix = noise(3, 2, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda G: newton_schulz(G, steps=3), [matrix])


@pytest.mark.parametrize(
    "settings",
    [
        {"lr": -1.0},
        {"lr": float("nan")},
        {"lr": torch.tensor([0.1, 0.1])},
        {"momentum": -0.1},
        {"weight_decay": -0.1},
        {"adjust_lr_fn": "never"},
        {"ns_steps": 100},
        {"ns_coefficients": (1.0, 2.0)},
    ],
    ids=str,
)
def test_bad_settings_raise_in_torchs_words(settings: dict[str, Any]) -> None:
    raised = []
    for cls in (Muon, torch.optim.Muon):
        p = torch.nn.Parameter(torch.zeros(2, 2))
        p.grad = torch.ones(2, 2)
        with pytest.raises((ValueError, RuntimeError)) as info:
            cls([p], **settings).step()
        raised.append(str(info.value))
    assert raised[0] == raised[1]


def test_what_cannot_be_moved_raises_as_in_torch_and_nothing_has_moved() -> None:
    for cls in (Muon, torch.optim.Muon):
        with pytest.raises(ValueError, match=r"only supports 2D parameters .* size: torch.Size\(\[3\]\)"):
            cls([torch.nn.Parameter(torch.zeros(3))])
        good, sparse = (torch.nn.Parameter(torch.ones(3, 2)) for _ in range(2))
        good.grad = torch.ones(3, 2)
        sparse.grad = torch.sparse_coo_tensor([[1]], torch.ones(1, 2), (3, 2), check_invariants=True)
        with pytest.raises(RuntimeError, match="does not support sparse gradients"):
            cls([good, sparse]).step()
        assert torch.equal(good.detach(), torch.ones(3, 2))
    optimizer = Muon([good])
    optimizer.param_groups[0]["adjust_lr_fn"] = "never"
    with pytest.raises(ValueError, match="function never is not supported"):
        optimizer.step()
    with pytest.raises(ValueError, match="2D matrix"):
        newton_schulz(torch.zeros(2, 2, 2))
