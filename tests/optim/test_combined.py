"""Several optimisers that look like one: the same steps, groups, states, copies, schedules and scalers."""

import copy
import io
import pickle
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels.errors import InputError
from minimodels.nn.utils import clip_grad_norm_
from minimodels.optim import SGD, Adam, AdamW, CombinedOptimizer, LinearLR, Muon, WarmupCosineLR

ADAMW = {"lr": 0.02, "betas": (0.8, 0.9), "weight_decay": 0.3}
MUON = {"lr": 0.05, "momentum": 0.8}


def leaves() -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    return [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in [(3, 4), (5,), (2, 2), ()]]


def parts(module: Any = None) -> list[torch.optim.Optimizer]:
    """Muon for the matrices and AdamW, in two groups, for the others."""
    a, b, c, d = leaves()
    muon, adamw = (Muon, AdamW) if module is None else (module.Muon, module.AdamW)
    return [muon([a, c], **MUON), adamw([{"params": [b]}, {"params": [d], "lr": 0.1}], **ADAMW)]


def gradients(optimizers: list[torch.optim.Optimizer], t: int) -> None:
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            for p in group["params"]:
                p.grad = torch.randn(p.shape, generator=torch.Generator().manual_seed(t))


def walk(optimizer: torch.optim.Optimizer, steps: range) -> None:
    for t in steps:
        gradients([optimizer], t)
        optimizer.step()


def weights(*optimizers: torch.optim.Optimizer) -> list[torch.Tensor]:
    return [p.detach() for optimizer in optimizers for group in optimizer.param_groups for p in group["params"]]


def test_it_takes_the_steps_of_its_parts() -> None:
    alone, combined = parts(), CombinedOptimizer(parts())
    walk(combined, range(4))
    for optimizer in alone:
        walk(optimizer, range(4))
    assert all(map(torch.equal, weights(combined), weights(*alone)))
    states = [entry for optimizer in alone for entry in optimizer.state.values()]
    for entry, expected in zip(combined.state.values(), states, strict=True):
        torch.testing.assert_close(entry, expected, rtol=0, atol=0)


def test_groups_and_state_are_those_of_the_parts() -> None:
    begun = parts()
    for optimizer in begun:
        walk(optimizer, range(2))
    before = [group for part in begun for group in part.param_groups]
    combined = CombinedOptimizer(begun)
    groups = [group for part in combined.parts for group in part.param_groups]
    assert all(one is other is old for one, other, old in zip(combined.param_groups, groups, before, strict=True))
    assert all(part.state is combined.state for part in combined.parts)
    assert len(combined.state) == 4
    walk(combined, range(2, 3))
    combined.zero_grad()
    assert all(p.grad is None for group in groups for p in group["params"])


@given(stop=st.integers(0, 3))
def test_a_state_that_is_loaded_goes_on(stop: int) -> None:
    whole, first, second = (CombinedOptimizer(parts()) for _ in range(3))
    walk(whole, range(5))
    walk(first, range(stop))
    buffer = io.BytesIO()
    torch.save(first.state_dict(), buffer)
    buffer.seek(0)
    second.load_state_dict(torch.load(buffer, weights_only=True))
    for p, q in zip(weights(second), weights(first), strict=True):
        p.copy_(q)
    walk(second, range(stop, 5))
    assert all(map(torch.equal, weights(second), weights(whole)))
    assert second.state_dict()["param_groups"] == whole.state_dict()["param_groups"]


def test_parts_adapt_what_they_load() -> None:
    a, b, _, _ = leaves()
    saved = Adam([{"params": [a]}, {"params": [b]}])
    walk(saved, range(1))
    state = saved.state_dict()
    for group in state["param_groups"]:
        del group["amsgrad"]
    combined = CombinedOptimizer([AdamW([a]), Adam([b])])
    combined.load_state_dict(state)
    assert [group["decoupled_weight_decay"] for group in combined.param_groups] == [True, False]
    assert not any(group["amsgrad"] for group in combined.param_groups)
    walk(combined, range(1, 2))


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))], ids=["copy", "pickle"])
def test_a_copy_goes_on_alone(duplicate: Any) -> None:
    original, reference = CombinedOptimizer(parts()), CombinedOptimizer(parts())
    walk(original, range(2))
    other = duplicate(original)
    frozen = [p.clone() for p in weights(original)]
    walk(other, range(2, 5))
    walk(reference, range(5))
    assert all(map(torch.equal, weights(other), weights(reference)))
    assert all(map(torch.equal, weights(original), frozen))
    assert all(part.state is other.state for part in other.parts)


def test_parts_may_be_torchs() -> None:
    ours, theirs = CombinedOptimizer(parts()), CombinedOptimizer(parts(torch.optim))
    walk(ours, range(3))
    walk(theirs, range(3))
    torch.testing.assert_close(weights(ours), weights(theirs))
    ours.load_state_dict(copy.deepcopy(theirs.state_dict()))  # loading takes the tensors themselves
    walk(ours, range(3, 5))
    walk(theirs, range(3, 5))
    torch.testing.assert_close(weights(ours), weights(theirs))


@pytest.mark.parametrize("module", [None, torch.optim.lr_scheduler], ids=["ours", "torch's"])
def test_a_schedule_sets_the_rates_of_all_parts_also_after_loading(module: Any) -> None:
    combined = CombinedOptimizer(parts())
    schedule = (module.LinearLR if module else LinearLR)(combined, 0.5, total_iters=2)
    rates = lambda: [[group["lr"] for group in part.param_groups] for part in combined.parts]  # noqa: E731
    assert rates() == [[0.025], [0.01, 0.05]]
    walk(combined, range(1))
    combined.load_state_dict(combined.state_dict())
    for _ in range(2):
        combined.step()
        schedule.step()
    assert rates() == [[pytest.approx(0.05)], [pytest.approx(0.02), pytest.approx(0.1)]]


def test_scaling_and_clipping_in_float16_fashion() -> None:
    combined = CombinedOptimizer(parts())
    schedule, scaler = WarmupCosineLR(combined, 1, 4), torch.amp.GradScaler("cpu", init_scale=8.0)
    for t in range(3):
        before = [p.clone() for p in weights(combined)]
        combined.zero_grad()
        loss = sum((p**2).sum() for group in combined.param_groups for p in group["params"])
        scaler.scale(loss * (float("inf") if t == 1 else 1.0)).backward()
        scaler.unscale_(combined)
        norm = clip_grad_norm_([p for group in combined.param_groups for p in group["params"]], 0.5)
        if t == 2:
            torch.testing.assert_close(norm, 2 * torch.cat([p.flatten() for p in weights(combined)]).norm())
        scaler.step(combined)
        scaler.update()
        schedule.step()
        assert all(map(torch.equal, before, weights(combined))) == (t < 2)  # the rate of the first step is 0
    assert scaler.get_scale() == 4.0


def test_the_closure_runs_once_with_gradients() -> None:
    combined, calls = CombinedOptimizer(parts()), []

    def closure() -> torch.Tensor:
        combined.zero_grad()
        loss = sum((p**2).sum() for group in combined.param_groups for p in group["params"])
        loss.backward()
        calls.append(loss.detach())
        return loss

    with torch.no_grad():
        assert torch.equal(combined.step(closure), calls[0])
    assert len(calls) == 1
    assert combined.step() is None


def test_mistakes_are_named() -> None:
    a, b, c, _ = leaves()
    with pytest.raises(InputError, match="of no parts"):
        CombinedOptimizer([])
    with pytest.raises(TypeError, match="Parameter is not an Optimizer"):
        CombinedOptimizer([a])
    with pytest.raises(ValueError, match="more than one parameter group"):
        CombinedOptimizer([SGD([a]), SGD([b, a])])
    combined = CombinedOptimizer([SGD([a]), SGD([b])])
    with pytest.raises(InputError, match="combined already"):
        combined.add_param_group({"params": [c]})
    with pytest.raises(ValueError, match="different number of parameter groups"):
        combined.load_state_dict(SGD([a]).state_dict())
