"""Adam's equation (AdamW's too) for one tensor, and the same steps over a tile of many."""

import math

import torch
from torch import Tensor

from minimodels.optim.stepping import Group, scalar


def adam_step(
    param: Tensor,
    grad: Tensor,
    exp_avg: Tensor,
    exp_avg_sq: Tensor,
    max_exp_avg_sq: Tensor | None = None,
    *,
    step: float | Tensor,
    lr: float | Tensor,
    betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float | Tensor = 0,
    decoupled_weight_decay: bool = False,
    maximize: bool = False,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """One step of Adam for one real tensor, as a pure function.

        g ← ∇f(θ)                   (−∇f(θ) to maximise; + λθ unless the weight decay is decoupled)
        m ← β₁m + (1 − β₁)g         mean of the gradients
        v ← β₂v + (1 − β₂)g²        mean of their squares
        s ← max(s, v) with AMSGrad, v without
        m̂ ← m/(1 − β₁ᵗ), ŝ ← s/(1 − β₂ᵗ)
        Δ ← η m̂/(√ŝ + ε)            (+ ηλθ when the weight decay is decoupled), and the caller sets θ ← θ − Δ

    Args:
        param: θ.
        grad: ∇f(θ).
        exp_avg: m of the step before, zero at first.
        exp_avg_sq: v of the step before, zero at first.
        max_exp_avg_sq: s of the step before, zero at first; None without AMSGrad.
        step: t, 1 on the first step.
        lr: η, the learning rate.
        betas: β₁ and β₂.
        eps: ε.
        weight_decay: λ.
        decoupled_weight_decay: AdamW's weight decay instead of an L2 penalty.
        maximize: climb instead of descending.

    Returns:
        Δ, to be subtracted from θ, and the new m, v and s (None without AMSGrad).

    Example:
        >>> change, m, v, _ = adam_step(*torch.tensor([1.0, 5.0, 0.0, 0.0]).double(), step=1, lr=0.1)
        >>> change, m
        (tensor(0.1000, dtype=torch.float64), tensor(0.5000, dtype=torch.float64))
    """
    beta1, beta2 = betas
    g = -grad if maximize else grad
    if weight_decay != 0 and not decoupled_weight_decay:
        g = g + weight_decay * param
    m = beta1 * exp_avg + (1 - beta1) * g
    v = beta2 * exp_avg_sq + (1 - beta2) * g * g
    s = v if max_exp_avg_sq is None else torch.maximum(max_exp_avg_sq, v)
    m_hat = m / (1 - beta1**step)
    s_hat = s / (1 - beta2**step)
    change = lr * m_hat / (s_hat.sqrt() + eps)
    if weight_decay != 0 and decoupled_weight_decay:
        change = change + lr * weight_decay * param
    return change, m, v, None if max_exp_avg_sq is None else s


def adam_tile(columns: list[list[Tensor]], t: float | None, group: Group) -> None:
    """`adam_step` for a tile, in place, with the bias corrections gathered as in section 2 of the paper.

    Δ = η m̂/(√ŝ + ε) = η̂ m/(√s + ε̂)   with η̂ = η√(1 − β₂ᵗ)/(1 − β₁ᵗ) and ε̂ = ε√(1 − β₂ᵗ),
    so that nothing but √s is as large as the parameters.

    Args:
        columns: lists of parameters, gradients, m and v, with AMSGrad s, and of counts where t is None.
        t: the count of all of them; None where counts are tensors.
        group: the settings, by the names of torch.optim.

    See: tests/optim/test_adam.py.
    """
    params, grads, exp_avgs, exp_avg_sqs = columns[:4]
    (beta1, beta2), lr, weight_decay = group["betas"], scalar(group["lr"]), group["weight_decay"]
    if group["maximize"]:
        grads = list(torch._foreach_neg(grads))
    if weight_decay != 0 and group["decoupled_weight_decay"]:
        torch._foreach_mul_(params, 1 - lr * weight_decay)
    elif weight_decay != 0:
        grads = list(torch._foreach_add(grads, params, alpha=weight_decay))
    torch._foreach_lerp_(exp_avgs, grads, 1 - beta1)
    torch._foreach_mul_(exp_avg_sqs, beta2)
    torch._foreach_addcmul_(exp_avg_sqs, grads, grads, 1 - beta2)
    if group["amsgrad"]:
        torch._foreach_maximum_(columns[4], exp_avg_sqs)
    denominators = list(torch._foreach_sqrt(columns[4] if group["amsgrad"] else exp_avg_sqs))
    if t is not None:
        correction = math.sqrt(1 - beta2**t)
        torch._foreach_add_(denominators, group["eps"] * correction)
        torch._foreach_addcdiv_(params, exp_avgs, denominators, -lr * correction / (1 - beta1**t))
    else:
        counts = torch.stack(columns[-1])
        corrections = (1 - beta2**counts).sqrt()
        torch._foreach_add_(denominators, list((group["eps"] * corrections).unbind()))
        torch._foreach_div_(denominators, list((-lr * corrections / (1 - beta1**counts)).unbind()))
        torch._foreach_addcdiv_(params, exp_avgs, denominators)
