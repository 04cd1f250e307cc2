"""PyTorch's own database of optimisers: every configuration that it knows, every mistake that it knows."""

import copy
from typing import Any

import pytest
import torch
from torch.testing._internal.common_optimizers import (
    OptimizerErrorEnum,
    _get_optim_inputs_including_global_cliquey_kwargs,
    optim_db,
)

from minimodels import optim

INFOS = {
    info.name: info
    for info in optim_db
    if info.optim_cls in (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.Muon)
}


def test_the_database_knows_our_optimisers() -> None:
    assert sorted(INFOS) == ["Adam", "AdamW", "Muon", "SGD"]


def descend(cls: Any, settings: dict[str, Any], device: torch.device, dtype: torch.dtype) -> torch.optim.Optimizer:
    """Seven steps of a small regression; a copy of the settings, since a rate that is a tensor may change."""
    generator = torch.Generator().manual_seed(0)
    weight, bias, inputs, targets = (
        torch.randn(shape, generator=generator, dtype=dtype).to(device) for shape in [(4, 6), (1, 4), (9, 6), (9, 4)]
    )
    params = [weight.requires_grad_(), bias.requires_grad_()]
    if settings.get("differentiable"):
        params = [p.clone() for p in params]
    for p in params:
        p.retain_grad()
    optimizer = cls(params, **copy.deepcopy(settings))
    for _ in range(7):
        leaves = [p.detach().requires_grad_() for p in params]
        loss = ((inputs @ leaves[0].t() + leaves[1] - targets) ** 2).mean()
        for p, grad in zip(params, torch.autograd.grad(loss, leaves), strict=True):
            p.grad = grad
        optimizer.step()
    return optimizer


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", INFOS)
def test_every_configuration_moves_parameters_and_state_as_torch(
    name: str, dtype: torch.dtype, device: torch.device
) -> None:
    info = INFOS[name]
    inputs = _get_optim_inputs_including_global_cliquey_kwargs(str(device), dtype, info)
    for foreach in (None, True) if name != "Muon" else ():  # on a CPU the database leaves the choice of lists out
        for input in info.optim_inputs_func(str(device), dtype):
            input.kwargs["foreach"] = foreach
            inputs.append(input)
    assert len(inputs) >= (7 if name == "Muon" else 25)
    for input in inputs:
        tolerance = {"rtol": 1e-4, "atol": 1e-6}
        # With `differentiable` torch corrects the bias with its count in float32, even for parameters in float64.
        if dtype is torch.float64 and not input.kwargs.get("differentiable"):
            tolerance = {"rtol": 1e-10, "atol": 1e-12}
        ours, theirs = (descend(cls, input.kwargs, device, dtype) for cls in (getattr(optim, name), info.optim_cls))
        for p, q in zip(ours.param_groups[0]["params"], theirs.param_groups[0]["params"], strict=True):
            torch.testing.assert_close(p, q, **tolerance, msg=lambda text, d=input.desc: f"{d}: {text}")
            assert list(ours.state[p]) == list(theirs.state[q]), input.desc
            torch.testing.assert_close(ours.state[p], theirs.state[q], **tolerance)


@pytest.mark.filterwarnings("ignore:optimizer contains a parameter group with duplicate")
@pytest.mark.parametrize("name", INFOS)
def test_every_mistake_gives_torchs_exception(name: str, device: torch.device) -> None:
    cases = INFOS[name].optim_error_inputs_func(str(device), torch.float32)
    assert device.type != "cpu" or len(cases) > 5
    for case in cases:
        input = case.optimizer_error_input
        params = input.params
        if params is None:
            params = [torch.nn.Parameter(torch.randn(2, 3, device=device))]

        def offend(params: Any = params, settings: dict[str, Any] = input.kwargs) -> torch.optim.Optimizer:
            return getattr(optim, name)(params, **settings)

        if case.error_on == OptimizerErrorEnum.STEP_ERROR:
            offend = offend().step
        if issubclass(case.error_type, Warning):
            with pytest.warns(case.error_type, match=case.error_regex):
                offend()
        else:
            with pytest.raises(case.error_type, match=case.error_regex):
                offend()
