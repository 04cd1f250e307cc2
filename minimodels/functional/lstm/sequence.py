"""The LSTM over a whole sequence at once: what does not depend on the step before is done for all steps together.

Forward, the projection of the inputs is one matrix product; a step is left with the product of its hidden state and
seven element-wise operations in place. Backward, the factors by which ∂h and ∂c are multiplied are formed for all steps
together; a step is left with four element-wise operations and one product, and each weight's gradient is one product
over all steps, ∂W_hh = Σ_t ∂a_tᵀ·h_{t−1} = ∂aᵀ·H.

Three substitutions make every squashing a logistic function, so that all four gates take one pass:

    tanh(a) = 2σ(2a) − 1     W_g and b_g are doubled, and g' = σ(2a) − ½ = g/2 is what is stored
    C = 2c                   C ← f·C + 4·i·g';  q = σ(C) − ½ = tanh(c)/2
    k = h/2                  k = o·q;  W_hh is doubled

(PyTorch's `tanh` took 76 µs where its `sigmoid` took 8, 64x512 numbers on an AMD EPYC; on an Intel Xeon they are
level.) The price: σ − ½ has the absolute error of σ, 3e-8 in float32, and not the relative error of tanh. Among
numbers of about 1 that does not show; of states that are all about 1e-3, nearly four digits are right, not seven.
"""

import torch
from torch import Tensor

from minimodels.functional.matmul import product
from minimodels.functional.recurrence import State, Steps, Trail, Weights, projected


def forward(x: Tensor, state: State, weights: Weights, steps: Steps, keep: bool) -> tuple[Tensor, State, State]:
    """Run all steps: the same numbers as the definition's.

    Args:
        x: the packed input.
        state: (h, c) of each sequence before its first step.
        weights: the parameters; no projection.
        steps: the steps and their direction.
        keep: store what the derivative needs.

    Shape:
        - x: [rows, I]; h, c: [N, H]
        - Output: [rows, H]; (h, c) after the last steps

    Cost: rows·4H·(I + H) multiply-adds. Kept: the gates, c, h and tanh(c), 7·rows·H numbers; without `keep` the output
        and 2 MiB.

    See: definition.py; tests/functional/test_lstm.py.
    """
    h, c = state
    H = h.shape[1]
    twice = x.new_ones(4, 1, 1)
    twice[2] = 2  # the rows of g
    w_ih = (weights.w_ih.unflatten(0, (4, H)) * twice).flatten(0, 1)
    w_hh = (weights.w_hh.unflatten(0, (4, H)) * (2 * twice)).flatten(0, 1).t()
    bias = weights.bias()
    bias = None if bias is None else (bias.view(4, H) * twice[..., 0]).flatten()
    gates, shares = projected(x, w_ih, bias, steps, keep)  # [rows, 4H]
    hidden, cell = Trail(h / 2, steps), Trail(2 * c, steps, keep)
    q = h.new_empty(x.shape[0] if keep else h.shape[0], H)
    halves = q.split(steps.sizes) if keep else [q[:n] for n in steps.sizes]
    for t, a in shares:
        a.addmm_(hidden.before[t], w_hh).sigmoid_()
        i, f, g, o = a.view(-1, 4, H).unbind(1)  # [n, H] each
        g.sub_(0.5)
        C = torch.mul(f, cell.before[t], out=cell.after[t]).addcmul_(i, g, value=4)
        torch.sigmoid(C, out=halves[t]).sub_(0.5)
        torch.mul(o, halves[t], out=hidden.after[t])
    y, final = hidden.rows_after() * 2, (hidden.final() * 2, cell.final() / 2)
    return y, final, (gates, q, hidden.rows_before(), cell.rows_before()) if keep else ()


def backward(
    gradient: Tensor, last: State, x: Tensor, weights: Weights, steps: Steps, kept: State
) -> tuple[Tensor, State, Weights]:
    """Carry gradients back through all steps.

    With K = ∂k and Γ = ∂C running backwards through the steps (K = 2·∂h, Γ = ∂c/2), the derivatives before the gates
    are

        K += 2·∂y;  Γ += K·o·(¼ − q²)
        ∂a_o = K·q·o·(1 − o)
        ∂a_i = Γ·4g'·i·(1 − i);  ∂a_f = Γ·C_{t−1}·f·(1 − f);  ∂a_g = Γ·i·(2 − 8g'²)
        Γ ← Γ·f;  K ← 2·∂a·W_hh

    and the factors of K and Γ are known before the loop.

    Args:
        gradient: ∂y.
        last: the gradients of the last states.
        x: the packed input.
        weights: the parameters.
        steps: the steps and their direction.
        kept: what `forward` stored.

    Shape:
        - gradient: [rows, H]; last: [N, H] each; x: [rows, I]

    Returns:
        ∂x, (∂h, ∂c) before the first steps, and the gradients of the weights.

    Cost: twice the multiply-adds of the forward pass; 5·rows·H numbers beside the gradients.

    See: definition.py, whose derivative this is; tests/functional/test_lstm.py.
    """
    gates, q, k_before, c_before = kept
    H = q.shape[1]
    i, f, g, o = gates.view(-1, 4, H).unbind(1)
    d = torch.addcmul(gates, gates, gates, value=-1)  # s·(1 − s), [rows, 4H]
    d_i, d_f, d_g, d_o = d.view(-1, 4, H).unbind(1)
    d_i.mul_(g).mul_(4)
    d_f.mul_(c_before)
    torch.mul(g, g, out=d_g).mul_(-8).add_(2).mul_(i)
    d_o.mul_(q)
    through = torch.mul(q, q).neg_().add_(0.25).mul_(o)  # ∂C/∂k
    K, G, w_hh = 2 * last[0], last[1] / 2, 2 * weights.w_hh
    views = [v.split(steps.sizes) for v in (d, through, f, gradient)]
    for t in reversed(steps.order()):
        d_t, through_t, f_t, dy = (view[t] for view in views)
        n = d_t.shape[0]
        K_t, G_t, a = K[:n], G[:n], d_t.view(n, 4, H)
        K_t.add_(dy, alpha=2)
        G_t.addcmul_(K_t, through_t)
        a[:, 3].mul_(K_t)
        a[:, :3].mul_(G_t.unsqueeze(1))
        G_t.mul_(f_t)
        torch.mm(d_t, w_hh, out=K_t)
    bias = None if weights.b_ih is None else d.sum(0)
    d_weights = Weights(product(d.t(), x.t()), product(d.t(), k_before.t()).mul_(2), bias, bias)
    return product(d, weights.w_ih.t()), (K / 2, G * 2), d_weights
