"""AdamW: Adam whose weight decay is decoupled from its means."""

from typing import Any

from torch import Tensor
from torch.optim.optimizer import ParamsT

from minimodels.optim.adam import Adam


class AdamW(Adam):
    """Adam with weight decay that does not pass through its means, as `torch.optim.AdamW`.

        θ ← (1 − ηλ)θ − η · m/(1 − β₁ᵗ) / (√(v/(1 − β₂ᵗ)) + ε),   m and v of ∇f(θ) alone

    Args:
        params: parameters, (name, parameter) pairs, or dicts that are parameter groups with settings of their own.
        lr: η, the learning rate; a tensor of one element is allowed where `foreach` is not True.
        betas: β₁ and β₂, both numbers or both tensors of one element.
        eps: ε, keeps the division finite.
        weight_decay: λ.
        amsgrad: divide by the largest v so far.
        maximize: climb instead of descending.
        foreach: True for the multi-tensor path, False for the equation tensor by tensor, None for the faster.
        capturable: keep the step count on the accelerator, so that a CUDA graph can capture the step.
        differentiable: let autograd look through the step.
        fused: accepted with torch's conditions; our multi-tensor path runs.

    Raises:
        ValueError: a hyper-parameter is out of its range.
        RuntimeError: `fused` together with `foreach` or `differentiable`; on `step`, a sparse gradient.
        AssertionError: on `step`, `capturable` with parameters that are not on an accelerator.

    References:
        Loshchilov & Hutter, Decoupled Weight Decay Regularization, 2019, arXiv:1711.05101, algorithm 2.

    See:
        `Adam`; `adam_step`, the equation; tests/optim/test_adam.py.

    Example:
        >>> import torch
        >>> weight = torch.nn.Parameter(torch.tensor([1.0, 1.0]))
        >>> optimizer = AdamW([weight], lr=0.1, weight_decay=0.5)
        >>> weight.grad = torch.zeros(2)
        >>> optimizer.step()
        >>> weight.data
        tensor([0.9500, 0.9500])
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore; a group that was saved by Adam becomes AdamW's."""
        super().__setstate__(state)
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True
