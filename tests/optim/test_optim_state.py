"""What optimisers keep: state that goes over to torch.optim and back, old checkpoints, pickles and copies."""

import copy
import io
import itertools
import pickle
from typing import Any

import pytest
import torch

from minimodels import optim

CASES = [
    ("SGD", {"momentum": 0.9, "nesterov": True}),
    ("SGD", {}),
    ("Adam", {"weight_decay": 0.1}),
    ("AdamW", {"amsgrad": True}),
]
PATHS = [{}, {"foreach": False}, {"fused": True}]
MUON = [("Muon", {"momentum": 0.8}), ("Muon", {"nesterov": False, "adjust_lr_fn": "match_rms_adamw"})]


def build(module: Any, name: str, settings: dict[str, Any]) -> torch.optim.Optimizer:
    generator = torch.Generator().manual_seed(0)
    shapes = [(3, 4), (5, 1), (1, 1)] if name == "Muon" else [(3, 4), (5,), ()]
    params = [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]
    return getattr(module, name)([{"params": params[:2]}, {"params": params[2:], "lr": 0.02}], lr=0.01, **settings)


def train(optimizer: torch.optim.Optimizer, steps: range) -> None:
    for t in steps:
        for group in optimizer.param_groups:
            for p in group["params"]:
                p.grad = torch.randn(p.shape, generator=torch.Generator().manual_seed(t))
        optimizer.step()


def parameters(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    return [p.detach() for group in optimizer.param_groups for p in group["params"]]


@pytest.mark.parametrize(
    ("name", "settings"), [*((name, case | path) for (name, case), path in itertools.product(CASES, PATHS)), *MUON]
)
@pytest.mark.parametrize(("first", "second"), [(optim, torch.optim), (torch.optim, optim)], ids=["to torch", "from"])
def test_training_goes_on_with_the_state_of_the_other_library(
    first: Any, second: Any, name: str, settings: dict[str, Any]
) -> None:
    stays, leaves, arrives = (build(module, name, settings) for module in (first, first, second))
    train(stays, range(6))
    train(leaves, range(3))
    buffer = io.BytesIO()
    torch.save(leaves.state_dict(), buffer)
    buffer.seek(0)
    arrives.load_state_dict(torch.load(buffer, weights_only=True))
    with torch.no_grad():
        for p, q in zip(parameters(arrives), parameters(leaves), strict=True):
            p.copy_(q)
    train(arrives, range(3, 6))
    torch.testing.assert_close(parameters(arrives), parameters(stays), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "settings"), CASES + MUON)
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))], ids=["copy", "pickle"])
def test_a_copy_goes_on_alone(name: str, settings: dict[str, Any], duplicate: Any) -> None:
    original, reference = build(optim, name, settings), build(optim, name, settings)
    train(original, range(2))
    other = duplicate(original)
    frozen = [p.clone() for p in parameters(original)]
    train(other, range(2, 5))
    train(reference, range(5))
    assert all(map(torch.equal, parameters(other), parameters(reference)))
    assert all(map(torch.equal, parameters(original), frozen))


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_groups_of_older_versions_get_the_settings_they_lack(name: str, settings: dict[str, Any]) -> None:
    old, expected = build(optim, name, settings), build(torch.optim, name, settings)
    kept = {"params", "lr", "momentum", "dampening", "weight_decay", "betas", "eps", "amsgrad"}
    for optimizer in (old, expected):
        train(optimizer, range(2))
        state = optimizer.state_dict()
        groups = [{key: value for key, value in g.items() if key in kept} for g in state["param_groups"]]
        groups[0].pop("amsgrad", None)
        for entry in state["state"].values():
            if "step" in entry:
                entry["step"] = int(entry["step"])
        optimizer.load_state_dict({"state": state["state"], "param_groups": groups})
    assert old.state_dict()["param_groups"] == expected.state_dict()["param_groups"]
    for p, q in zip(old.state.values(), expected.state.values(), strict=True):
        torch.testing.assert_close(p, q)
    train(old, range(2, 4))
    train(expected, range(2, 4))
    torch.testing.assert_close(parameters(old), parameters(expected))


def test_adamw_stays_decoupled_when_it_loads_what_adam_saved() -> None:
    source, target = build(optim, "Adam", {"weight_decay": 0.1}), build(optim, "AdamW", {})
    target.load_state_dict(source.state_dict())
    assert all(group["decoupled_weight_decay"] for group in target.param_groups)


@pytest.mark.parametrize(("default", "fused"), [(torch.float32, None), (torch.float64, None), (torch.float64, True)])
def test_the_count_has_torchs_dtype(default: torch.dtype, fused: bool | None) -> None:
    before = torch.get_default_dtype()
    torch.set_default_dtype(default)
    try:
        ours, theirs = (build(module, "Adam", {"fused": fused}) for module in (optim, torch.optim))
        for optimizer in (ours, theirs):
            train(optimizer, range(1))
        for entry, other in zip(ours.state.values(), theirs.state.values(), strict=True):
            assert entry["step"].dtype == other["step"].dtype
            assert entry["step"].device == other["step"].device
    finally:
        torch.set_default_dtype(before)
