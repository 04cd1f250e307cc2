"""Muon: momentum, made orthogonal. The equation, and the same step in place."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from minimodels.optim.stepping import Group, SteppingOptimizer, scalar
from minimodels.shards import placed_as, whole

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""a, b and c of Jordan et al.: a, the slope at 0, is as steep as it can be while what has come near 1 stays there."""


def newton_schulz(
    matrix: Tensor,
    coefficients: tuple[float, float, float] = COEFFICIENTS,
    steps: int = 5,
    eps: float = 1e-7,
) -> Tensor:
    """The orthogonal matrix that is nearest to a matrix, roughly: G = USVᵀ becomes US′Vᵀ with S′ near the identity.

        X ← G/max(‖G‖, ε)                       so that no singular value is above 1
        A ← XXᵀ,   X ← aX + (bA + cA²)X         k times

    A polynomial that is odd in X acts on its singular values alone, σ ← aσ + bσ³ + cσ⁵, and leaves its singular
    vectors where they are. Five steps with the default coefficients bring all σ above 0.2 % of ‖G‖ to between 0.68
    and 1.21, and more steps bring them no further: a polynomial that is so fast does not converge. Muon needs no more.
    A tall matrix is worked on as its transpose, whose A is the smaller.

    Args:
        matrix: G, [A, B]. It is computed in its own dtype; Muon gives it in bfloat16, whose errors the iteration
            bears, as A is a function of the present X.
        coefficients: a, b and c.
        steps: k.
        eps: ε, keeps a matrix of zeros at zero.

    Shape:
        [A, B] → [A, B].

    Raises:
        ValueError: it is not a matrix, or there are not three coefficients, or 100 steps and more.

    Cost:
        With m = min(A, B) and n = max(A, B), k(2m²n + m³) multiply-adds; two more matrices [m, n], two [m, m].

    References:
        Jordan, Jin, Boza, You, Cesista, Newhouse & Bernstein, Muon: An optimizer for hidden layers in neural networks,
        2024, https://kellerjordan.github.io/posts/muon/.
        Higham, Functions of Matrices, 2008, doi:10.1137/1.9780898717778, section 8.3 (Newton–Schulz itself, with
        a = 3/2, b = −1/2, c = 0, which converges).

    See: `Muon`; tests/optim/test_muon.py.

    Example:
        >>> turn = torch.tensor([[0.0, -1.0], [1.0, 0.0]])
        >>> newton_schulz(5 * turn, (1.5, -0.5, 0.0), steps=8)
        tensor([[ 0., -1.],
                [ 1.,  0.]])
    """
    if steps >= 100:
        raise ValueError("Number of steps must be less than 100 for computational efficiency")
    if matrix.dim() != 2:
        raise ValueError("Input tensor gradient must be a 2D matrix")
    if len(coefficients) != 3:
        raise ValueError("Coefficients must be a tuple of exactly 3 values")
    a, b, c = coefficients
    tall = matrix.size(0) > matrix.size(1)
    X = matrix.mT if tall else matrix  # [m, n]
    X = X / torch.linalg.vector_norm(X).clamp(min=eps)
    for _ in range(steps):
        A = X @ X.mT  # [m, m]
        X = torch.addmm(X, torch.addmm(A, A, A, beta=b, alpha=c), X, beta=a)
    return X.mT if tall else X


def rate_factor(shape: Sequence[int], adjust_lr_fn: str | None = None) -> float:
    """What the learning rate of a matrix is multiplied by, so that one rate suits matrices of all shapes.

    An orthogonal matrix [A, B] has elements of the size 1/√max(A, B) (their root mean square).

        "original"         √max(1, A/B): as large a change of the layer's outputs whatever their number (Jordan et al.)
        "match_rms_adamw"  0.2 √max(A, B): elements of the size 0.2, as AdamW's changes have them, so that its learning
                           rate and weight decay serve Muon too (Liu et al., equation 4)

    Args:
        shape: A and B; "original" takes A for the number of outputs, as in `nn.Linear.weight`.
        adjust_lr_fn: which of the two; None is "original".

    Raises:
        ValueError: there is no such adjustment.

    Example:
        >>> rate_factor((400, 100)), rate_factor((400, 100), "match_rms_adamw")
        (2.0, 4.0)
    """
    if adjust_lr_fn is None or adjust_lr_fn == "original":
        return math.sqrt(max(1, shape[0] / shape[1]))
    if adjust_lr_fn == "match_rms_adamw":
        return 0.2 * math.sqrt(max(shape))
    raise ValueError(f"Adjust learning rate function {adjust_lr_fn} is not supported")


def muon_step(
    param: Tensor,
    grad: Tensor,
    momentum_buffer: Tensor,
    *,
    lr: float | Tensor,
    weight_decay: float = 0.1,
    momentum: float = 0.95,
    nesterov: bool = True,
    ns_coefficients: tuple[float, float, float] = COEFFICIENTS,
    eps: float = 1e-7,
    ns_steps: int = 5,
    adjust_lr_fn: str | None = None,
) -> tuple[Tensor, Tensor]:
    """One step of Muon for one matrix, as a pure function.

        b ← μb + (1 − μ)∇f(θ)
        d ← μb + (1 − μ)∇f(θ) with Nesterov, b without
        Δ ← η(r(A, B) NS(d) + λθ)       and the caller sets θ ← θ − Δ

    where NS is `newton_schulz` in bfloat16 and r is `rate_factor`.

    Args:
        param: θ, [A, B].
        grad: ∇f(θ).
        momentum_buffer: b of the step before, zero at first.
        lr: η, the learning rate.
        weight_decay: λ.
        momentum: μ.
        nesterov: look ahead along the momentum.
        ns_coefficients: of `newton_schulz`.
        eps: of `newton_schulz`.
        ns_steps: of `newton_schulz`.
        adjust_lr_fn: of `rate_factor`.

    Returns:
        Δ, to be subtracted from θ, and the new b.

    Example:
        >>> weight, gradient = torch.zeros(2, 2), torch.eye(2)
        >>> change, _ = muon_step(weight, gradient, weight, lr=1.0, ns_coefficients=(1.5, -0.5, 0.0), ns_steps=9)
        >>> change
        tensor([[1., 0.],
                [0., 1.]])
    """
    b = momentum * momentum_buffer + (1 - momentum) * grad
    d = momentum * b + (1 - momentum) * grad if nesterov else b
    orthogonal = newton_schulz(d.bfloat16(), ns_coefficients, ns_steps, eps).to(param.dtype)
    return lr * (rate_factor(param.shape, adjust_lr_fn) * orthogonal + weight_decay * param), b


class Muon(SteppingOptimizer):
    """Muon, gradient descent with momentum along orthogonal matrices, as `torch.optim.Muon`.

        b ← μb + (1 − μ)∇f(θ),   θ ← (1 − ηλ)θ − η r(A, B) NS(d)

    with d = μb + (1 − μ)∇f(θ) (Nesterov) or d = b, NS `newton_schulz` and r `rate_factor`. Gradients of matrices have
    few large singular values and many small ones; made equal, the rare directions learn as fast as the others. It is
    for the matrices inside a network: embeddings, heads, biases and gains are left to another optimiser, beside it
    in a `CombinedOptimizer`.

    Of a matrix that several processes share (a DTensor) each gathers the whole d, in bfloat16, and moves its own part.

    Args:
        params: matrices, (name, matrix) pairs, or dicts that are parameter groups with settings of their own.
        lr: η, the learning rate; a tensor of one element is allowed.
        weight_decay: λ, decoupled as AdamW's.
        momentum: μ.
        nesterov: look ahead along the momentum.
        ns_coefficients: a, b and c of `newton_schulz`.
        eps: ε of `newton_schulz`.
        ns_steps: k of `newton_schulz`.
        adjust_lr_fn: "original" (or None) or "match_rms_adamw", see `rate_factor`. Where a group has another, torch
            goes on unadjusted, and this one says so.

    Raises:
        ValueError: a hyper-parameter is out of its range, or a parameter is no matrix.
        RuntimeError: on `step`, a complex parameter or a sparse gradient.

    Cost:
        One tensor beside each parameter. Per matrix and step the products of `newton_schulz` in bfloat16, and five
        passes over the matrix. A momentum in bfloat16 without Nesterov stays what it is; torch scales it in place.

    References:
        Jordan et al., Muon: An optimizer for hidden layers in neural networks, 2024,
        https://kellerjordan.github.io/posts/muon/.
        Liu et al., Muon is Scalable for LLM Training, 2025, arXiv:2502.16982.

    See:
        `muon_step`, the equation; tests/optim/test_muon.py.

    Example:
        >>> weight = torch.nn.Parameter(torch.zeros(2, 2))
        >>> optimizer = Muon([weight], lr=0.1, ns_coefficients=(1.5, -0.5, 0.0), ns_steps=20)
        >>> weight.grad = torch.diag(torch.tensor([100.0, -1.0]))
        >>> optimizer.step()
        >>> weight.data
        tensor([[-0.1000,  0.0000],
                [ 0.0000,  0.1000]])
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = COEFFICIENTS,
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        for name, value in (("Learning rate", lr), ("momentum", momentum), ("weight decay", weight_decay)):
            if not value >= 0:
                raise ValueError(f"{name} should be >= 0 but is: {value}")
        rate_factor((1, 1), adjust_lr_fn)
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_coefficients": ns_coefficients,
            "eps": eps,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        }
        super().__init__(params, defaults)
        for p in (p for group in self.param_groups for p in group["params"]):
            if p.dim() != 2:
                raise ValueError(f"Muon only supports 2D parameters whereas we found a parameter with size: {p.size()}")

    def update(self, group: Group) -> None:
        """Move the matrices of one group.

        Args:
            group: the entry of `param_groups` to work on.

        Raises:
            RuntimeError: a complex parameter, or a sparse gradient.
            ValueError: settings of the group that `newton_schulz` or `rate_factor` refuses.
        """
        params = [p for p in group["params"] if p.grad is not None]
        for p in params:
            if p.is_complex():
                raise RuntimeError("Muon does not support complex parameters")
            if p.grad.is_sparse:
                raise RuntimeError("Muon does not support sparse gradients")
        for p in params:
            self._update_one(p, group)

    def _update_one(self, param: Tensor, group: Group) -> None:
        """`muon_step` in place, for one matrix."""
        assert param.grad is not None
        grad = placed_as(param.grad, param)
        state: dict[str, Any] = self.state[param]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(grad)
        b: Tensor = state["momentum_buffer"]
        b.lerp_(grad, 1 - group["momentum"])
        d = grad.lerp(b, group["momentum"]) if group["nesterov"] else b
        orthogonal = newton_schulz(whole(d.bfloat16()), group["ns_coefficients"], group["ns_steps"], group["eps"])
        lr = scalar(group["lr"])
        rate = lr * rate_factor(param.shape, group["adjust_lr_fn"])
        param.mul_(1 - lr * group["weight_decay"])
        param.add_(placed_as(orthogonal, param), alpha=-float(rate))
