"""Laws of Adam and AdamW, counts that live on an accelerator, and derivatives through the step."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels.optim import Adam, AdamW, adam_step
from minimodels.optim.adam_equation import adam_tile
from tests.optim.descent import descend

rates = st.floats(1e-4, 1.0)
seeds = st.integers(0, 99)


def noise(*shape: int, seed: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def walk(cls: Any, steps: int, *, seed: int, scale: float = 1.0, **settings: Any) -> torch.Tensor:
    """Where a parameter stands after some steps along noise."""
    p = torch.nn.Parameter(noise(5, seed=seed))
    optimizer = cls([p], **settings)
    for t in range(steps):
        p.grad = scale * noise(5, seed=seed + t + 1)
        optimizer.step()
    return p.detach()


@given(lr=rates, exponent=st.integers(-3, 6), foreach=st.booleans())
def test_the_first_step_is_as_long_as_the_rate_whatever_the_gradient(lr: float, exponent: int, foreach: bool) -> None:
    p = torch.nn.Parameter(torch.zeros(2, dtype=torch.float64))
    p.grad = torch.tensor([1.0, -1.0], dtype=torch.float64) * 10.0**exponent
    Adam([p], lr=lr, foreach=foreach).step()
    torch.testing.assert_close(p.detach() / lr, torch.tensor([-1.0, 1.0]).double(), rtol=2e-5, atol=0)


@given(seed=seeds, exponent=st.integers(-20, 20), amsgrad=st.booleans(), foreach=st.booleans())
def test_without_epsilon_the_scale_of_the_gradients_does_not_matter(
    seed: int, exponent: int, amsgrad: bool, foreach: bool
) -> None:
    settings = {"eps": 0.0, "amsgrad": amsgrad, "foreach": foreach}
    plain = walk(Adam, 4, seed=seed, **settings)
    assert torch.equal(walk(Adam, 4, seed=seed, scale=2.0**exponent, **settings), plain)


@given(lr=rates, weight_decay=st.floats(0.0, 1.0), seed=seeds)
def test_without_gradient_adamw_shrinks_and_adam_rests(lr: float, weight_decay: float, seed: int) -> None:
    start = noise(5, seed=seed)
    assert torch.equal(
        walk(AdamW, 1, seed=seed, scale=0.0, lr=lr, weight_decay=weight_decay), start * (1 - lr * weight_decay)
    )
    assert torch.equal(walk(Adam, 3, seed=seed, scale=0.0, lr=lr), start)


@given(seed=seeds, foreach=st.booleans())
def test_without_weight_decay_adamw_is_adam(seed: int, foreach: bool) -> None:
    settings = {"weight_decay": 0.0, "foreach": foreach}
    assert torch.equal(walk(AdamW, 4, seed=seed, **settings), walk(Adam, 4, seed=seed, **settings))


@pytest.mark.parametrize("cls", [Adam, AdamW])
@given(seed=seeds, foreach=st.booleans(), weight_decay=st.sampled_from([0.0, 0.1]))
def test_to_maximise_is_to_minimise_the_negative(cls: Any, seed: int, foreach: bool, weight_decay: float) -> None:
    settings = {"foreach": foreach, "weight_decay": weight_decay}
    up = walk(cls, 4, seed=seed, maximize=True, **settings)
    assert torch.equal(up, walk(cls, 4, seed=seed, scale=-1.0, **settings))


@pytest.mark.parametrize("cls", [Adam, AdamW])
@given(seed=seeds, lr=rates, weight_decay=st.floats(0.0, 0.9), amsgrad=st.booleans())
def test_both_paths_take_the_same_steps(cls: Any, seed: int, lr: float, weight_decay: float, amsgrad: bool) -> None:
    settings = {"lr": lr, "weight_decay": weight_decay, "amsgrad": amsgrad}
    many, one = (walk(cls, 5, seed=seed, foreach=foreach, **settings) for foreach in (True, False))
    torch.testing.assert_close(many, one, rtol=1e-11, atol=1e-12)


@given(seed=seeds, foreach=st.booleans())
def test_the_largest_square_of_amsgrad_never_falls(seed: int, foreach: bool) -> None:
    p = torch.nn.Parameter(noise(5, seed=seed))
    optimizer = Adam([p], amsgrad=True, betas=(0.9, 0.5), foreach=foreach)
    largest = torch.zeros(5, dtype=torch.float64)
    for t in range(6):
        p.grad = noise(5, seed=seed + t)
        optimizer.step()
        state = optimizer.state[p]
        largest = torch.maximum(largest, state["exp_avg_sq"])
        assert torch.equal(state["max_exp_avg_sq"], largest)


@given(seed=seeds, foreach=st.booleans(), amsgrad=st.booleans())
def test_a_complex_number_is_a_pair(seed: int, foreach: bool, amsgrad: bool) -> None:
    pairs = torch.nn.Parameter(noise(4, 2, seed=seed))
    numbers = torch.nn.Parameter(torch.view_as_complex(pairs.detach().clone()))
    optimizer = AdamW([pairs, numbers], lr=0.1, foreach=foreach, amsgrad=amsgrad)
    for t in range(3):
        pairs.grad = noise(4, 2, seed=seed + t)
        numbers.grad = torch.view_as_complex(pairs.grad)
        optimizer.step()
    assert torch.equal(torch.view_as_real(numbers.detach()), pairs.detach())


def test_the_equation_changes_nothing_it_is_given() -> None:
    given = [noise(4, seed=i).abs() for i in range(5)]
    before = [tensor.clone() for tensor in given]
    adam_step(*given, step=3, lr=0.1, weight_decay=0.1, maximize=True)
    assert all(map(torch.equal, given, before))


@given(
    lr=rates, amsgrad=st.booleans(), decoupled=st.booleans(), steps=st.lists(st.integers(1, 50), min_size=1, max_size=4)
)
def test_counts_that_are_tensors_take_the_steps_of_counts_that_are_numbers(
    lr: float, amsgrad: bool, decoupled: bool, steps: list[int]
) -> None:
    group = Adam([noise(1, seed=0)], lr=lr, weight_decay=0.1, amsgrad=amsgrad, decoupled_weight_decay=decoupled)
    rows = [[noise(3, seed=10 * i + j).abs() for j in range(5 if amsgrad else 4)] for i in range(len(steps))]
    expected = [[tensor.clone() for tensor in row] for row in rows]
    counts = [torch.tensor(float(t), dtype=torch.float64) for t in steps]
    adam_tile([*map(list, zip(*rows, strict=True)), counts], None, group.param_groups[0])
    for row, t in zip(expected, steps, strict=True):
        adam_tile([[tensor] for tensor in row], float(t), group.param_groups[0])
    torch.testing.assert_close(rows, expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("amsgrad", [False, True])
def test_betas_that_are_tensors(amsgrad: bool) -> None:
    ours, theirs = (
        walk(cls, 4, seed=1, betas=(torch.tensor([[0.8]]), torch.tensor(0.9)), amsgrad=amsgrad)
        for cls in (Adam, torch.optim.Adam)
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    "settings",
    [
        {"lr": -1.0},
        {"eps": -1.0},
        {"betas": (0.9, 1.0)},
        {"betas": (-0.1, 0.9)},
        {"betas": (1, 0.9)},
        {"betas": (0, 0.9)},
        {"betas": (torch.tensor([0.9, 0.9]), torch.tensor(0.9))},
        {"betas": (torch.tensor(0.9), torch.tensor([0.9, 0.9]))},
        {"weight_decay": float("nan")},
        {"lr": torch.tensor([0.1, 0.1])},
        {"lr": torch.tensor(0.1), "foreach": True},
        {"fused": True, "foreach": True},
        {"fused": True, "differentiable": True},
    ],
    ids=str,
)
def test_bad_settings_raise_as_in_torch(settings: dict[str, Any]) -> None:
    raised = []
    for cls in (Adam, torch.optim.Adam):
        with pytest.raises((ValueError, RuntimeError)) as info:
            cls([torch.nn.Parameter(torch.zeros(1))], **settings)
        raised.append((info.type, str(info.value)))
    assert raised[0][0] is raised[1][0]
    assert "betas" in settings or raised[0] == raised[1]


@pytest.mark.parametrize("foreach", [None, True, False])
def test_capturable_wants_an_accelerator(foreach: bool | None) -> None:
    for cls in (Adam, torch.optim.Adam):
        p = torch.nn.Parameter(torch.zeros(1))
        p.grad = torch.ones(1)
        with pytest.raises(AssertionError, match="If capturable=True"):
            cls([p], capturable=True, foreach=foreach).step()


@pytest.mark.parametrize("foreach", [None, False])
def test_a_gradient_that_is_refused_leaves_the_others_where_they_were(foreach: bool | None) -> None:
    good, bad = (torch.nn.Parameter(torch.ones(3, 2)) for _ in range(2))
    optimizer = Adam([good, bad], foreach=foreach)
    good.grad = torch.ones(3, 2)
    bad.grad = torch.sparse_coo_tensor([[1]], torch.ones(1, 2), (3, 2), check_invariants=True)
    with pytest.raises(RuntimeError):
        optimizer.step()
    assert torch.equal(good.detach(), torch.ones(3, 2))
    assert optimizer.state[good]["step"] == 0


def test_what_only_the_step_can_see_raises_as_in_torch() -> None:
    for cls in (Adam, torch.optim.Adam):
        p = torch.nn.Parameter(torch.zeros(3, 2))
        p.grad = torch.sparse_coo_tensor([[1]], torch.ones(1, 2), (3, 2), check_invariants=True)
        with pytest.raises(RuntimeError, match="does not support sparse gradients"):
            cls([p]).step()
        p.grad = torch.ones(3, 2)
        optimizer = cls([p], foreach=True)
        optimizer.param_groups[0]["lr"] = torch.tensor(0.1)
        with pytest.raises(RuntimeError, match="lr as a Tensor is not supported"):
            optimizer.step()
        with pytest.raises(AssertionError, match="foreach"):
            cls([p], foreach=True, differentiable=True).step()
        number = torch.nn.Parameter(torch.zeros(2, dtype=torch.complex64))
        number.grad = torch.ones_like(number)
        with pytest.raises(RuntimeError, match="requires all the params to be floating point"):
            cls([number], fused=True).step()


def leaves(*numbers: float) -> list[torch.Tensor]:
    values = [noise(3, seed=0), noise(3, seed=1), *torch.tensor(numbers, dtype=torch.float64)]
    return [value.clone().requires_grad_() for value in values]


@pytest.mark.parametrize("amsgrad", [False, True])
@pytest.mark.parametrize("cls", [Adam, AdamW])
def test_the_derivative_through_the_steps_is_whole(cls: Any, amsgrad: bool) -> None:
    def final(start: torch.Tensor, target: torch.Tensor, *numbers: torch.Tensor) -> torch.Tensor:
        lr, beta1, beta2, decay = numbers
        return descend(cls, start, target, lr=lr, betas=(beta1, beta2), weight_decay=decay, amsgrad=amsgrad)

    assert torch.autograd.gradcheck(final, leaves(0.1, 0.8, 0.9, 0.2))


@pytest.mark.parametrize("name", ["Adam", "AdamW"])
def test_the_derivative_with_respect_to_the_rate_is_torchs(name: str) -> None:
    slopes = []
    for cls in ({"Adam": Adam, "AdamW": AdamW}[name], getattr(torch.optim, name)):
        start, target, lr = leaves(0.1)
        slopes.append(torch.autograd.grad(descend(cls, start, target, lr=lr).sum(), [start, target, lr]))
    torch.testing.assert_close(*slopes, rtol=1e-5, atol=1e-6)  # torch's count is in float32 here
