"""Adam, the optimiser: its settings and its state. What it does with them stands in adam_equation.py."""

from collections import defaultdict
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from minimodels.optim.adam_equation import adam_step, adam_tile
from minimodels.optim.stepping import (
    CAPTURABLE_DEVICES,
    Group,
    SteppingOptimizer,
    check_flags,
    check_fused,
    prefers_tiles,
    real,
    scalar,
    tiles,
)
from minimodels.shards import own_parts, placed_as


class Adam(SteppingOptimizer):
    """Adam, gradient descent whose every coordinate has a step size of its own, as `torch.optim.Adam`.

        m ← β₁m + (1 − β₁)g,   v ← β₂v + (1 − β₂)g²,   θ ← θ − η · m/(1 − β₁ᵗ) / (√(v/(1 − β₂ᵗ)) + ε)

    with g = ∇f(θ) + λθ. Complex parameters are treated as pairs of real ones.

    Args:
        params: parameters, (name, parameter) pairs, or dicts that are parameter groups with settings of their own.
        lr: η, the learning rate; a tensor of one element is allowed where `foreach` is not True.
        betas: β₁ and β₂, both numbers or both tensors of one element.
        eps: ε, keeps the division finite.
        weight_decay: λ, an L2 penalty (it passes through m and v) unless `decoupled_weight_decay`.
        amsgrad: divide by the largest v so far.
        foreach: True for the multi-tensor path, False for the equation tensor by tensor, None for the faster.
        maximize: climb instead of descending.
        capturable: keep the step count on the accelerator, so that a CUDA graph can capture the step.
        differentiable: let autograd look through the step.
        fused: accepted with torch's conditions; our multi-tensor path runs. The step count is kept beside the
            parameter, as torch keeps it. A GradScaler unscales and skips from outside, with the same result.
        decoupled_weight_decay: AdamW's weight decay, θ ← (1 − ηλ)θ, instead of the penalty.

    Raises:
        ValueError: a hyper-parameter is out of its range.
        RuntimeError: `fused` together with `foreach` or `differentiable`; on `step`, a sparse gradient.
        AssertionError: on `step`, `capturable` with parameters that are not on an accelerator.

    Cost:
        Two tensors beside each parameter (three with AMSGrad). On a CPU a step reads θ, g, m, v and writes θ, m, v
        once, and holds one more tile; on an accelerator it holds one more tensor a parameter.

    References:
        Kingma & Ba, Adam: A Method for Stochastic Optimization, 2015, arXiv:1412.6980, algorithm 1; the multi-tensor
        path is the reordering at the end of its section 2.
        Reddi, Kale & Kumar, On the Convergence of Adam and Beyond, 2018, arXiv:1904.09237 (AMSGrad).

    See:
        `adam_step`, the equation; tests/optim/test_adam.py.

    Example:
        >>> weight = torch.nn.Parameter(torch.tensor([1.0, 1.0]))
        >>> optimizer = Adam([weight], lr=0.1)
        >>> weight.grad = torch.tensor([1e-3, -1e3])
        >>> optimizer.step()
        >>> weight.data
        tensor([0.9000, 1.1000])
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        lists_of_numbers = bool(foreach) and not capturable
        _check_lr(lr, lists_of_numbers=lists_of_numbers)
        if not eps >= 0:
            raise ValueError(f"Invalid epsilon value: {eps}")
        for i, beta in enumerate(betas):
            if not 0 <= beta < 1:
                raise ValueError(f"Invalid beta parameter at index {i}: {beta}")
        if not weight_decay >= 0:
            raise ValueError(f"Invalid weight_decay value: {weight_decay}")
        _check_betas(betas, lists_of_numbers=lists_of_numbers)
        defaults = {
            "lr": lr,
            "betas": (scalar(betas[0]), scalar(betas[1])),
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)
        check_flags(foreach=foreach, fused=fused, differentiable=differentiable)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore, and give what older versions saved the settings and the tensor step count that they lack."""
        super().__setstate__(state)
        late = {
            "amsgrad": False,
            "maximize": False,
            "foreach": None,
            "capturable": False,
            "differentiable": False,
            "decoupled_weight_decay": False,
            "fused": None,
        }
        for group in self.param_groups:
            for name, value in late.items():
                group.setdefault(name, value)
            for p in group["params"]:
                entry = self.state.get(p, {})
                if entry and not isinstance(entry["step"], Tensor):
                    entry["step"] = _step_count(p, group, float(entry["step"]))

    def update(self, group: Group) -> None:
        """Move the parameters of one group.

        Args:
            group: the entry of `param_groups` to work on.

        Raises:
            RuntimeError: a sparse gradient, or flags that contradict each other.
            AssertionError: `capturable` with parameters that are not on an accelerator.
        """
        self._accelerator_graph_capture_health_check()
        tiled = prefers_tiles(group)
        if tiled and group["differentiable"]:
            raise AssertionError("foreach=True does not support differentiable=True: leave foreach to its default")
        tables: defaultdict[tuple[Any, ...], list[list[Tensor]]] = defaultdict(list)
        # All rows first: where one of them is refused, no count has moved yet.
        for row, step in [self._row(p, group) for p in group["params"] if p.grad is not None]:
            step += 1
            # Reading a count off an accelerator would make it wait: there it stays a tensor, the row's last.
            t = step.item() if step.is_cpu else None
            tables[row[0].device, row[0].dtype, t].append(row if step.is_cpu else [*row, step])
        for (_, _, t), rows in tables.items():
            if tiled and _has_numbers(group, t):
                for columns in tiles(rows):
                    adam_tile(columns, t, group)
            else:
                for row in rows:
                    _adam_one(row, t, group)

    def _row(self, param: Tensor, group: Group) -> tuple[list[Tensor], Tensor]:
        """A parameter, its gradient and state (of shared ones this process's part) as real tensors, and its count."""
        assert param.grad is not None
        if param.grad.is_sparse:
            raise RuntimeError("Adam does not support sparse gradients, please consider SparseAdam instead")
        state = self.state[param]
        if not state:
            if group["fused"]:
                check_fused(param)
            state["step"] = _step_count(param, group, 0.0)
            state["exp_avg"] = torch.zeros_like(param)
            state["exp_avg_sq"] = torch.zeros_like(param)
            if group["amsgrad"]:
                state["max_exp_avg_sq"] = torch.zeros_like(param)
        step = state["step"]
        _check_state(param, step, group)
        names = ("exp_avg", "exp_avg_sq") + (("max_exp_avg_sq",) if group["amsgrad"] else ())
        tensors = own_parts([param, placed_as(param.grad, param), *(state[name] for name in names)], param)
        return [real(tensor) for tensor in tensors], step


def _adam_one(row: list[Tensor], t: float | None, group: Group) -> None:
    """The equation, for one tensor."""
    count: float | Tensor
    row, count = (row, t) if t is not None else (row[:-1], row[-1])
    param, grad, *state = row
    # What autograd has saved must not be overwritten: it is given copies.
    old = [x.clone() if group["differentiable"] else x for x in (param, *state)]
    settings = {k: group[k] for k in ("betas", "eps", "weight_decay", "decoupled_weight_decay", "maximize")}
    change, *new = adam_step(old[0], grad, *old[1:], step=count, lr=scalar(group["lr"]), **settings)
    param.sub_(change)
    for tensor, value in zip(state, new, strict=False):
        if value is not None:
            tensor.copy_(value)


def _has_numbers(group: Group, t: float | None) -> bool:
    """Whether the lists can take a group's settings: a rate that is a tensor needs counts that are tensors."""
    return not isinstance(group["betas"][0], Tensor) and (t is None or not isinstance(group["lr"], Tensor))


def _step_count(param: Tensor, group: Group, value: float) -> Tensor:
    """The count of steps as torch keeps it: on the CPU, unless a captured or fused step must read it on the device."""
    double = torch.get_default_dtype() == torch.float64 and not group["fused"]
    device = param.device if group["capturable"] or group["fused"] else torch.device("cpu")
    return torch.tensor(value, dtype=torch.float64 if double else torch.float32, device=device)


def _check_state(param: Tensor, step: Tensor, group: Group) -> None:
    """Refuse at the step what the constructor could not yet see."""
    if group["differentiable"] and step.requires_grad:
        raise RuntimeError("`requires_grad` is not supported for `step` in differentiable mode")
    if group["foreach"] and isinstance(group["lr"], Tensor) and not group["capturable"]:
        raise RuntimeError("lr as a Tensor is not supported for capturable=False and foreach=True")
    if group["capturable"] and not group["fused"]:
        on_accelerator = param.device.type in CAPTURABLE_DEVICES and step.device.type == param.device.type
        if not on_accelerator:
            raise AssertionError(
                f"If capturable=True, params and state_steps must be on supported devices: {list(CAPTURABLE_DEVICES)}."
            )


def _check_lr(lr: float | Tensor, *, lists_of_numbers: bool) -> None:
    if isinstance(lr, Tensor):
        if lists_of_numbers:
            raise ValueError("lr as a Tensor is not supported for capturable=False and foreach=True")
        if lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
    if not lr >= 0:
        raise ValueError(f"Invalid learning rate: {lr}")


def _check_betas(betas: tuple[float | Tensor, float | Tensor], *, lists_of_numbers: bool) -> None:
    if not (all(isinstance(beta, float) for beta in betas) or all(isinstance(beta, Tensor) for beta in betas)):
        raise ValueError("betas must be either both floats or both Tensors")
    for i, beta in enumerate(betas):
        if isinstance(beta, Tensor):
            if lists_of_numbers:
                raise ValueError(f"betas[{i}] as a Tensor is not supported for capturable=False and foreach=True")
            if beta.numel() != 1:
                raise ValueError(f"Tensor betas[{i}] must be 1-element")
