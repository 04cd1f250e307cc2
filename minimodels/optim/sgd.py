"""Stochastic gradient descent with momentum: the equation, and the same steps over many tensors."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from minimodels.optim.stepping import Group, SteppingOptimizer, check_flags, check_fused, prefers_tiles, scalar, tiles
from minimodels.shards import own_parts, placed_as


def sgd_step(
    param: Tensor,
    grad: Tensor,
    momentum_buffer: Tensor | None,
    *,
    lr: float | Tensor,
    momentum: float = 0,
    dampening: float = 0,
    weight_decay: float | Tensor = 0,
    nesterov: bool = False,
    maximize: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """One step of stochastic gradient descent for one tensor, as a pure function.

        g ← ∇f(θ) + λθ              (−∇f(θ) + λθ to maximise)
        b ← μb + (1 − τ)g           (b ← g on the first step; b ← nothing when μ = 0)
        d ← g + μb with Nesterov, b without
        Δ ← ηd                      and the caller sets θ ← θ − Δ

    Args:
        param: θ.
        grad: ∇f(θ), dense or sparse.
        momentum_buffer: b of the step before; None on the first.
        lr: η, the learning rate.
        momentum: μ.
        dampening: τ.
        weight_decay: λ.
        nesterov: look ahead along the momentum.
        maximize: climb instead of descending.

    Returns:
        Δ, to be subtracted from θ, and the new b.

    Example:
        >>> sgd_step(torch.tensor(1.0), torch.tensor(4.0), torch.tensor(2.0), lr=0.5, momentum=0.9)
        (tensor(2.9000), tensor(5.8000))
    """
    g = -grad if maximize else grad
    if weight_decay != 0:
        g = g + weight_decay * param
    if momentum == 0:
        return lr * g, None
    b = g if momentum_buffer is None else momentum * momentum_buffer + (1 - dampening) * g
    return lr * (g + momentum * b if nesterov else b), b


class SGD(SteppingOptimizer):
    """Stochastic gradient descent, optionally with (Nesterov) momentum, as `torch.optim.SGD`.

        g ← ∇f(θ) + λθ,   b ← μb + (1 − τ)g,   θ ← θ − η(g + μb with Nesterov, b without)

    The learning rate stands outside the momentum, as in torch: in Sutskever et al. it is b ← μb + ηg, θ ← θ − b,
    which is the same while η is constant and differs when η changes. The first b is g itself, undamped.

    Args:
        params: parameters, (name, parameter) pairs, or dicts that are parameter groups with settings of their own.
        lr: η, the learning rate; a tensor of one element is allowed.
        momentum: μ.
        dampening: τ.
        weight_decay: λ, an L2 penalty: it passes through the momentum.
        nesterov: Nesterov's variant; needs momentum and no dampening.
        maximize: climb instead of descending.
        foreach: True for the multi-tensor path, False for the equation tensor by tensor, None for the faster.
        differentiable: let autograd look through the step. The momentum keeps its history from the first step on;
            torch detaches that one, and so loses a part of the derivative.
        fused: accepted with torch's conditions (floating point, no sparse gradients); our multi-tensor path runs.

    Raises:
        ValueError: a hyper-parameter is out of its range.
        RuntimeError: `fused` together with `foreach` or `differentiable`.

    Cost:
        Beside the parameters one tensor each with momentum; per step one read of θ, g, b and one write of θ, b,
        and temporaries no larger than a tile (a CPU) or than the parameters (an accelerator).

    References:
        Robbins & Monro, A Stochastic Approximation Method, 1951, doi:10.1214/aoms/1177729586.
        Polyak, Some methods of speeding up the convergence of iteration methods, 1964,
        doi:10.1016/0041-5553(64)90137-5.
        Sutskever, Martens, Dahl & Hinton, On the importance of initialization and momentum in deep learning, 2013,
        ICML, section 2.

    See:
        `sgd_step`, the equation; tests/optim/test_sgd.py.

    Example:
        >>> weight = torch.nn.Parameter(torch.tensor([3.0]))
        >>> optimizer = SGD([weight], lr=0.1, momentum=0.5)
        >>> for _ in range(2):
        ...     weight.grad = torch.ones(1)
        ...     optimizer.step()
        >>> weight.data
        tensor([2.7500])
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float | Tensor = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        for name, value in (("learning rate", lr), ("momentum value", momentum), ("weight_decay value", weight_decay)):
            if value < 0:
                raise ValueError(f"Invalid {name}: {value}")
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)
        check_flags(foreach=foreach, fused=fused, differentiable=differentiable)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore, and give groups saved by older versions the settings that they lack."""
        super().__setstate__(state)
        for group in self.param_groups:
            late = {"nesterov": False, "maximize": False, "foreach": None, "differentiable": False, "fused": False}
            for name, value in late.items():
                group.setdefault(name, value)

    def update(self, group: Group) -> None:
        """Move the parameters of one group.

        Args:
            group: the entry of `param_groups` to work on.

        Raises:
            RuntimeError: `fused=True` with a sparse gradient, or a parameter that is not floating point.
        """
        params = [p for p in group["params"] if p.grad is not None]
        if group["fused"]:
            for p in params:
                check_fused(p)
            if any(p.grad.is_sparse for p in params):
                raise RuntimeError("`fused=True` does not support sparse gradients")
        tiled = prefers_tiles(group)
        for p in params:
            if not tiled or p.grad.is_sparse:
                self._update_one(p, group)
        if tiled:
            self._update_many([p for p in params if not p.grad.is_sparse], group)

    def _update_one(self, param: Tensor, group: Group) -> None:
        """The equation, for one tensor."""
        assert param.grad is not None
        old = self.state[param].get("momentum_buffer") if group["momentum"] != 0 else None
        settings = {k: group[k] for k in ("momentum", "dampening", "weight_decay", "nesterov", "maximize")}
        # What autograd has saved must not be overwritten: it is given a copy of the parameter.
        theta = param.clone() if group["differentiable"] else param
        change, new = sgd_step(theta, param.grad, old, lr=scalar(group["lr"]), **settings)
        param.sub_(change)
        if new is not None:
            self.state[param]["momentum_buffer"] = new.clone() if old is None else old.copy_(new)

    def _update_many(self, params: Sequence[Tensor], group: Group) -> None:
        """The same steps over many tensors; those whose momentum begins go by themselves."""
        tables: defaultdict[tuple[Any, ...], list[list[Tensor]]] = defaultdict(list)
        for p in params:
            assert p.grad is not None
            grad = placed_as(p.grad, p)
            row, begins = [p, grad], False
            if group["momentum"] != 0:
                state = self.state[p]
                begins = state.get("momentum_buffer") is None
                if begins:
                    state["momentum_buffer"] = torch.empty_like(grad)
                row.append(state["momentum_buffer"])
            tables[p.device, p.dtype, begins].append(own_parts(row, p))
        for (_, _, begins), rows in tables.items():
            room: list[Tensor] = []
            for columns in tiles(rows):
                _sgd_tile(*columns, group=group, begins=begins, room=room)


def _sgd_tile(
    params: list[Tensor],
    grads: list[Tensor],
    buffers: Sequence[Tensor] = (),
    *,
    group: Group,
    begins: bool,
    room: list[Tensor],
) -> None:
    """`sgd_step` for a tile, in place: every line is the same line of the equation for all tensors of the lists."""
    momentum = group["momentum"]
    if group["maximize"]:
        grads = list(torch._foreach_neg(grads))
    if group["weight_decay"] != 0:
        grads = _decayed(grads, params, float(group["weight_decay"]), room)
    if momentum != 0:
        bufs = list(buffers)
        if begins:
            torch._foreach_copy_(bufs, grads)
        else:
            torch._foreach_mul_(bufs, momentum)
            torch._foreach_add_(bufs, grads, alpha=1 - group["dampening"])
        grads = list(torch._foreach_add(grads, bufs, alpha=momentum)) if group["nesterov"] else bufs
    torch._foreach_add_(params, grads, alpha=-float(group["lr"]))


def _decayed(grads: list[Tensor], params: list[Tensor], decay: float, room: list[Tensor]) -> list[Tensor]:
    """∇f + λθ; of the pieces of large tensors always in the same memory, which stays in the cache.

    A step over GPT-2's parameters on two threads of an Intel Xeon: 108 ms so, 116 with fresh memory; the 2.5 GB that a
    step reads and writes cannot take less than 96.
    """
    (piece, *others), size = grads, grads[0].numel()
    if others or piece.ndim != 1 or not piece.is_cpu:
        return list(torch._foreach_add(grads, params, alpha=decay))
    if not room or room[0].numel() < size:
        room[:] = [torch.empty_like(piece)]
    return [torch.add(piece, params[0], alpha=decay, out=room[0][:size])]
