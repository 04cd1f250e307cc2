"""Parameters that two processes share (FSDP2): every optimiser and clipping does what it does to a whole model."""

import copy
import math
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
import torch

from minimodels import nn, optim
from minimodels.nn.utils import clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm
from minimodels.optim import stepping
from minimodels.shards import gathered, is_shared, own, placed_as, whole
from tests.distributed import run

pytestmark = pytest.mark.skipif(not torch.distributed.is_available(), reason="needs torch.distributed")

Optimizer = torch.optim.Optimizer
Weights = list[torch.Tensor]


def combined(model: torch.nn.Module) -> Optimizer:
    matrices = [p for p in model.parameters() if p.dim() == 2]
    others = [p for p in model.parameters() if p.dim() != 2]
    muon = optim.Muon(matrices, lr=0.05, adjust_lr_fn="match_rms_adamw")
    return optim.CombinedOptimizer([muon, optim.AdamW(others, lr=0.05)])


OPTIMIZERS: dict[str, Callable[[torch.nn.Module], Optimizer]] = {
    "SGD": lambda model: optim.SGD(model.parameters(), lr=0.1),
    "SGD momentum": lambda model: optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    "SGD equation": lambda model: optim.SGD(model.parameters(), lr=0.1, momentum=0.9, foreach=False),
    "Adam": lambda model: optim.Adam(model.parameters(), lr=0.05, amsgrad=True),
    "AdamW": lambda model: optim.AdamW(model.parameters(), lr=0.05, weight_decay=0.1),
    "AdamW equation": lambda model: optim.AdamW(model.parameters(), lr=0.05, foreach=False),
    "Muon and AdamW": combined,
}
NORMS = (2.0, 1.0, 3.5, 0.0, math.inf, -math.inf)
CLIPPINGS: dict[str, Callable[[list[torch.nn.Parameter]], Any]] = {
    "norm": lambda params: clip_grad_norm_(params, 0.3),
    "norm one by one": lambda params: clip_grad_norm_(params, 0.3, foreach=False),
    "value": lambda params: clip_grad_value_(params, 0.05),
    "value one by one": lambda params: clip_grad_value_(params, 0.05, foreach=False),
    "known norm": lambda params: clip_grads_with_norm_(params, 0.3, torch.nn.utils.get_total_norm(grads(params))),
}


def network() -> torch.nn.Module:
    """Tall, wide and square matrices whose rows two processes cannot share evenly; of the last one gets nothing."""
    torch.manual_seed(0)
    layers = [nn.Linear(3, 7), nn.Tanh(), nn.Linear(7, 5), nn.Tanh(), nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 1)]
    return torch.nn.Sequential(*layers).double()


def divided(model: torch.nn.Module) -> torch.nn.Module:
    from torch.distributed.fsdp import fully_shard

    mesh = torch.distributed.init_device_mesh("cpu", (torch.distributed.get_world_size(),))
    return fully_shard(model, mesh=mesh)


def rows(t: int, *, all_of_them: bool) -> torch.Tensor:
    inputs = torch.randn(6, 3, generator=torch.Generator().manual_seed(t), dtype=torch.float64)
    return inputs if all_of_them else inputs.chunk(2)[torch.distributed.get_rank()]


def grads(params: list[torch.nn.Parameter]) -> Weights:
    return [p.grad for p in params if p.grad is not None]


def backward(model: torch.nn.Module, t: int, *, all_of_them: bool) -> list[torch.nn.Parameter]:
    inputs = rows(t, all_of_them=all_of_them)
    ((model(inputs) - inputs.sum(1, keepdim=True)) ** 2).mean().backward()
    return list(model.parameters())


def train(model: torch.nn.Module, make: Callable[..., Optimizer], *, all_of_them: bool) -> tuple[Weights, Weights]:
    """Six clipped steps, with a stop after the third; the weights, and what the optimiser remembers of them."""
    optimizer = make(model)
    for t in range(6):
        optimizer.zero_grad()
        clip_grad_norm_(backward(model, t, all_of_them=all_of_them), 0.5)
        optimizer.step()
        if t == 2:
            state = copy.deepcopy(optimizer.state_dict())
            optimizer = make(model)
            optimizer.load_state_dict(state)
    kept = [(p, {k: v for k, v in entry.items() if k != "step"}) for p, entry in optimizer.state.items()]
    states = [(p, value) for p, entry in kept for value in entry.values() if value is not None]
    for p, value in states:
        assert is_shared(value) == is_shared(p) != all_of_them
        assert getattr(value, "placements", None) == getattr(p, "placements", None)
    return [whole(p.detach()) for p in model.parameters()], [whole(value) for _, value in states]


def every_case() -> dict[str, Any]:
    """All cases, each for a model that is divided and for a whole one; what must be equal stands in pairs."""
    results: dict[str, Any] = {}
    for name, make in OPTIMIZERS.items():
        ours, expected = train(divided(network()), make, all_of_them=False), train(network(), make, all_of_them=True)
        results[name] = ours, expected
    for name, clip in CLIPPINGS.items():
        sides = backward(divided(network()), 0, all_of_them=False), backward(network(), 0, all_of_them=True)
        norms = [clip(side) for side in sides]
        results[f"clip {name}"] = [[whole(g) for g in grads(side)] for side in sides]
        results[f"returned {name}"] = norms
    shared, ordinary = (
        grads(backward(divided(network()), 0, all_of_them=False)),
        grads(backward(network(), 0, all_of_them=True)),
    )
    mixed = [*shared, *ordinary]
    for p in NORMS:
        results[f"norm {p}"] = [get_total_norm(shared, p), get_total_norm(ordinary, p)]
        results[f"mixed norm {p}"] = [get_total_norm(mixed, p), get_total_norm(ordinary * 2, p)]
    return results


def scaled() -> list[Weights]:
    """Steps under a GradScaler, the second of which has an infinite gradient in one process alone."""
    sides = []
    for model, all_of_them in ((divided(network()), False), (network(), True)):
        optimizer, scaler = optim.AdamW(model.parameters(), lr=0.05), torch.amp.GradScaler("cpu", init_scale=8.0)
        for t in range(3):
            optimizer.zero_grad()
            loss = (model(rows(t, all_of_them=all_of_them)) ** 2).mean()
            broken = t == 1 and (all_of_them or torch.distributed.get_rank() == 1)
            scaler.scale(loss * (math.inf if broken else 1.0)).backward()
            scaler.step(optimizer)
            scaler.update()
        sides.append([whole(p.detach()) for p in model.parameters()])
    return sides


def placements() -> dict[str, Any]:
    """What the helpers say of tensors that lie in every way that there is."""
    from torch.distributed.tensor import DTensor, Partial, Replicate, Shard

    mesh = torch.distributed.init_device_mesh("cpu", (2,))
    rank = torch.distributed.get_rank()
    matrix = torch.arange(6.0).view(3, 2)
    shared = placed_as(
        matrix, DTensor.from_local(torch.zeros(2 - rank, 2), mesh, [Shard(0)], shape=(3, 2), stride=(2, 1))
    )
    summed = DTensor.from_local(matrix / 2, mesh, [Partial()])
    own(shared).add_(1.0)
    with pytest.raises(RuntimeError, match="has yet to be summed"):
        own(summed)
    return {
        "own": own(shared),
        "whole": whole(shared),
        "settled": own(placed_as(summed, shared)),
        "same": placed_as(shared, shared) is shared,
        "copies": get_total_norm([DTensor.from_local(matrix, mesh, [Replicate()])]),
        "gathered": gathered(torch.tensor(rank), shared, 0),
    }


def in_tiles() -> list[set[type]]:
    """The kinds of tensors that the fast path of an optimiser is given."""
    found = []
    for module, make in ((optim.sgd, OPTIMIZERS["SGD momentum"]), (optim.adam, OPTIMIZERS["Adam"])):
        with mock.patch.object(module, "tiles", side_effect=stepping.tiles) as tiles:
            model = divided(network())
            optimizer = make(model)
            backward(model, 0, all_of_them=False)
            optimizer.step()
        found.append({type(tensor) for call in tiles.mock_calls for row in call.args[0] for tensor in row})
    return found


def everything() -> dict[str, Any]:
    return {"cases": every_case(), "scaled": scaled(), "placements": placements(), "tiles": in_tiles()}


@pytest.fixture(scope="module")
def results() -> list[dict[str, Any]]:
    """Of both processes; they are started once."""
    return run(2, everything)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_goes_as_that_of_a_whole_model(results: Any, name: str) -> None:
    for process in results:
        ours, expected = process["cases"][name]
        torch.testing.assert_close(ours, expected, rtol=0, atol=1e-10)
    first, second = (process["cases"][name][0] for process in results)
    torch.testing.assert_close(first, second, rtol=0, atol=0)


@pytest.mark.parametrize("name", CLIPPINGS)
def test_gradients_are_clipped_as_those_of_a_whole_model(results: Any, name: str) -> None:
    for process in results:
        torch.testing.assert_close(*process["cases"][f"clip {name}"], rtol=1e-12, atol=1e-12)
        ours, expected = process["cases"][f"returned {name}"]
        assert type(ours) is type(expected)
        torch.testing.assert_close(ours or 0, expected or 0)


@pytest.mark.parametrize("kind", ["norm", "mixed norm"])
@pytest.mark.parametrize("p", NORMS)
def test_the_norm_is_that_of_the_whole_gradient_and_an_ordinary_tensor(results: Any, p: float, kind: str) -> None:
    for process in results:
        ours, expected = process["cases"][f"{kind} {p}"]
        assert type(ours) is torch.Tensor
        torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)
    assert torch.equal(*(process["cases"][f"{kind} {p}"][0] for process in results))


def test_the_fast_path_works_on_ordinary_tensors(results: Any) -> None:
    for process in results:
        assert process["tiles"] == [{torch.Tensor}] * 2


def test_a_step_that_overflows_in_one_process_is_skipped_by_all(results: Any) -> None:
    for process in results:
        torch.testing.assert_close(*process["scaled"], rtol=0, atol=1e-10)


def test_parts_and_wholes(results: Any) -> None:
    matrix = torch.arange(6.0).view(3, 2)
    for process, part in zip(results, (slice(0, 2), slice(2, 3)), strict=True):
        found = process["placements"]
        assert torch.equal(found["own"], matrix[part] + 1)
        assert torch.equal(found["whole"], matrix + 1)
        assert torch.equal(found["settled"], matrix[part])
        assert found["same"]
        torch.testing.assert_close(found["copies"], matrix.norm())
        assert found["gathered"].tolist() == [0, 1]
