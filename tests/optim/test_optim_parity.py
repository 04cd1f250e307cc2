"""SGD, Adam, AdamW, and where matrices do Muon, against torch.optim: parameters, state and groups after many steps."""

import inspect
import itertools
from typing import Any
from unittest import mock

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels import optim
from minimodels.optim import stepping

NAMES = ("SGD", "Adam", "AdamW")
ALL = (*NAMES, "Muon")
PATHS = ({}, {"foreach": True}, {"foreach": False}, {"fused": False})
TOLERANCE = {
    torch.float64: {"rtol": 1e-10, "atol": 1e-12},
    torch.float32: {"rtol": 1e-4, "atol": 1e-6},
    torch.complex128: {"rtol": 1e-10, "atol": 1e-12},
}

part = st.sampled_from([0.0, 0.1, 0.5])
rates = st.floats(1e-4, 0.5)


@st.composite
def sgd_settings(draw: st.DrawFn) -> dict[str, Any]:
    momentum = draw(st.sampled_from([0, 0.5, 0.9]))
    nesterov = momentum > 0 and draw(st.booleans())
    return {
        "lr": draw(rates),
        "momentum": momentum,
        "dampening": 0 if nesterov else draw(part),
        "weight_decay": draw(part),
        "nesterov": nesterov,
        "maximize": draw(st.booleans()),
    }


@st.composite
def adam_settings(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "lr": draw(rates),
        "betas": (draw(st.sampled_from([0.0, 0.5, 0.9])), draw(st.sampled_from([0.5, 0.99, 0.999]))),
        "eps": draw(st.sampled_from([1e-8, 1e-3])),
        "weight_decay": draw(part),
        "amsgrad": draw(st.booleans()),
        "maximize": draw(st.booleans()),
    }


SETTINGS = {"SGD": sgd_settings(), "Adam": adam_settings(), "AdamW": adam_settings()}
shapes = st.lists(st.lists(st.integers(0, 5), max_size=3).map(tuple), min_size=1, max_size=4)


def start(shapes: list[tuple[int, ...]], dtype: torch.dtype, seed: int) -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.nn.Parameter(torch.randn(shape, generator=generator, dtype=dtype)) for shape in shapes]


def train(optimizer: torch.optim.Optimizer, steps: range, *, seed: int) -> None:
    """Steps whose gradients are noise; now and then one is missing, so that counts and buffers begin at other times."""
    for t in steps:
        generator = torch.Generator().manual_seed(1000 * seed + t)
        for group in optimizer.param_groups:
            for p in group["params"]:
                p.grad = torch.randn(p.shape, generator=generator, dtype=p.dtype) + p.detach()
                if torch.rand((), generator=generator) < 0.2:
                    p.grad = None
        optimizer.step()


def assert_same(ours: torch.optim.Optimizer, theirs: torch.optim.Optimizer, **tolerance: float) -> None:
    for group, other in zip(ours.param_groups, theirs.param_groups, strict=True):
        torch.testing.assert_close(group["params"], other["params"], **tolerance)
    a, b = ours.state_dict(), theirs.state_dict()
    assert a["param_groups"] == b["param_groups"]
    assert a["state"].keys() == b["state"].keys()
    for key, entry in a["state"].items():
        assert list(entry) == list(b["state"][key])
        torch.testing.assert_close(entry, b["state"][key], **tolerance)


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data(), shapes=shapes, seed=st.integers(0, 99), tile=st.sampled_from([1, 7, stepping.TILE]))
def test_many_steps_with_any_settings_are_torchs(
    name: str, data: st.DataObject, shapes: list[tuple[int, ...]], seed: int, tile: int
) -> None:
    settings = data.draw(SETTINGS[name])
    path = data.draw(st.sampled_from(PATHS))
    dtype = data.draw(st.sampled_from(list(TOLERANCE)))
    ours, theirs = (
        getattr(module, name)(start(shapes, dtype, seed), **settings, **path) for module in (optim, torch.optim)
    )
    with mock.patch.object(stepping, "TILE", tile):
        train(ours, range(6), seed=seed)
    train(theirs, range(6), seed=seed)
    assert_same(ours, theirs, **TOLERANCE[dtype])


@pytest.mark.parametrize(
    ("name", "path"), [*itertools.product(NAMES, PATHS), ("Muon", {}), ("Muon", {"adjust_lr_fn": "original"})], ids=str
)
def test_groups_keep_their_own_settings_and_names(name: str, path: dict[str, Any]) -> None:
    def build(module: Any) -> torch.optim.Optimizer:
        a, b, c = start([(3, 2), (4, 1), (1, 1)], torch.float64, 5)
        optimizer = getattr(module, name)([{"params": [("a", a)]}, {"params": [("b", b)], "lr": 0.3}], lr=0.01, **path)
        optimizer.add_param_group({"params": [("c", c)], "weight_decay": 0.2})
        return optimizer

    ours, theirs = build(optim), build(torch.optim)
    for optimizer in (ours, theirs):
        train(optimizer, range(5), seed=1)
    assert_same(ours, theirs, **TOLERANCE[torch.float64])
    assert repr(ours) == repr(theirs)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", NAMES)
def test_half_precision_stays_within_its_own_rounding(name: str, dtype: torch.dtype) -> None:
    ours, theirs = (
        getattr(module, name)(start([(40, 30), (7,)], dtype, 2), lr=0.01) for module in (optim, torch.optim)
    )
    for optimizer in (ours, theirs):
        for t in range(5):
            for p in optimizer.param_groups[0]["params"]:
                p.grad = torch.randn(p.shape, generator=torch.Generator().manual_seed(t)).to(dtype)
            optimizer.step()
    assert_same(ours, theirs, rtol=2 * torch.finfo(dtype).eps, atol=torch.finfo(dtype).eps)


@pytest.mark.parametrize("name", NAMES)
def test_a_mixture_of_dtypes_and_layouts(name: str) -> None:
    def build(module: Any) -> torch.optim.Optimizer:
        image = torch.nn.Parameter(torch.arange(120.0).view(2, 3, 4, 5).to(memory_format=torch.channels_last))
        turned = torch.nn.Parameter(torch.arange(6.0, dtype=torch.float64).view(2, 3).t())
        return getattr(module, name)([image, turned, *start([(3,)], torch.complex64, 1)], lr=0.1)

    ours, theirs = build(optim), build(torch.optim)
    with mock.patch.object(stepping, "TILE", 2):
        train(ours, range(4), seed=3)
    train(theirs, range(4), seed=3)
    assert_same(ours, theirs, rtol=1e-4, atol=1e-5)
    for p, entry in ours.state.items():
        assert all(value.stride() == p.stride() for key, value in entry.items() if key.startswith("exp"))


@pytest.mark.parametrize("lr", [torch.tensor(0.1), torch.tensor([[0.1]]), torch.tensor(0.1, dtype=torch.float64)])
@pytest.mark.parametrize("name", ALL)
def test_a_learning_rate_that_is_a_tensor_may_change_in_place(name: str, lr: torch.Tensor) -> None:
    ours, theirs = (
        getattr(module, name)(start([(3, 2), (1, 1)], torch.float64, 4), lr=lr.clone())
        for module in (optim, torch.optim)
    )
    for optimizer in (ours, theirs):
        train(optimizer, range(2), seed=0)
        optimizer.param_groups[0]["lr"].mul_(0.5)
        train(optimizer, range(2, 4), seed=0)
    if lr.dtype is torch.float32:  # torch rounds what it derives from the rate to the rate's own dtype
        assert_same(ours, theirs, rtol=1e-6, atol=1e-7)
    else:
        assert_same(ours, theirs, **TOLERANCE[torch.float64])


@pytest.mark.parametrize("name", NAMES)
def test_fused_is_accepted_and_gives_the_same_state(name: str) -> None:
    ours, theirs = (
        getattr(module, name)(start([(3, 2), (5,)], torch.float32, 4), lr=0.1, fused=True)
        for module in (optim, torch.optim)
    )
    for optimizer in (ours, theirs):
        for t in range(4):
            for p in optimizer.param_groups[0]["params"]:
                p.grad = torch.randn(p.shape, generator=torch.Generator().manual_seed(t))
            optimizer.step()
    assert_same(ours, theirs, **TOLERANCE[torch.float32])


@pytest.mark.parametrize(("name", "path"), [*itertools.product(NAMES, [{}, {"fused": True}]), ("Muon", {})], ids=str)
def test_a_grad_scaler_unscales_and_skips(name: str, path: dict[str, Any]) -> None:
    ours, theirs = (
        getattr(module, name)(start([(4, 1)], torch.float32, 4), lr=0.1, **path) for module in (optim, torch.optim)
    )
    for optimizer in (ours, theirs):
        scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
        p = optimizer.param_groups[0]["params"][0]
        for t in range(3):
            optimizer.zero_grad()
            loss = (p**2).sum() * (float("inf") if t == 1 else 1.0)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
        assert p.isfinite().all()
        assert scaler.get_scale() == 4.0
    torch.testing.assert_close(ours.param_groups, theirs.param_groups)


@pytest.mark.parametrize("name", ALL)
def test_the_closure_runs_with_gradients_and_its_loss_comes_back(name: str) -> None:
    [p] = start([(2, 1)], torch.float64, 0)
    optimizer = getattr(optim, name)([p], lr=0.1)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = (p**2).sum()
        loss.backward()
        return loss

    before = (p.detach() ** 2).sum()
    with torch.no_grad():
        assert torch.equal(optimizer.step(closure), before)
    assert (p.detach() ** 2).sum() < before
    assert optimizer.step() is None


@pytest.mark.parametrize("name", ALL)
def test_signatures_are_torchs(name: str) -> None:
    def parameters(module: Any) -> list[tuple[str, Any, Any]]:
        return [(p.name, p.kind, p.default) for p in inspect.signature(getattr(module, name)).parameters.values()]

    assert parameters(optim) == parameters(torch.optim)


@pytest.mark.parametrize("name", ALL)
def test_hooks_run_around_the_step(name: str) -> None:
    optimizer = getattr(optim, name)(start([(2, 1)], torch.float64, 0))
    seen: list[str] = []
    optimizer.register_step_pre_hook(lambda *_: seen.append("before"))
    optimizer.register_step_post_hook(lambda *_: seen.append("after"))
    optimizer.step()
    assert seen == ["before", "after"]


@given(
    lengths=st.lists(st.integers(0, 30), min_size=1, max_size=6),
    size=st.integers(1, 12),
    turned=st.booleans(),
)
def test_tiles_cover_every_element_once_and_stay_small(lengths: list[int], size: int, turned: bool) -> None:
    rows = [[torch.zeros(n), torch.arange(n) + 100.0 * i] for i, n in enumerate(lengths)]
    if turned:  # every second element of a longer tensor: such tensors are taken whole
        rows = [[torch.zeros(2 * n)[::2], torch.arange(n) + 100.0 * i] for i, n in enumerate(lengths)]
    with mock.patch.object(stepping, "TILE", size), mock.patch.object(torch, "get_num_threads", return_value=1):
        for targets, values in stepping.tiles(rows):
            if not turned:
                assert sum(t.numel() for t in targets) < 2 * size
            for target, value in zip(targets, values, strict=True):
                target += value + 1
    for i, (target, _) in enumerate(rows):
        assert torch.equal(target, torch.arange(lengths[i]) + 100.0 * i + 1)
