"""A whole GRU sequence with a hand-derived backward, as lstm/sequence.py has one of an LSTM.

The substitutions that turn tanh into a logistic function are here

    n' = σ(2a_n) − ½ = n/2      W_in, b_in, W_hn and b_hn are doubled
    k = h/2                     k ← n' + z·(k − n');  W_hh is doubled
"""

from collections.abc import Callable

import torch
from torch import Tensor

from minimodels.functional.matmul import add_product_, product_into
from minimodels.functional.onednn import Repeated
from minimodels.functional.recurrence import (
    Chunk,
    State,
    Steps,
    Trail,
    Weights,
    chunks,
    is_narrow,
    projected,
    rows_at_a_time,
    step_dtype,
)


def forward(x: Tensor, state: State, weights: Weights, steps: Steps, keep: bool) -> tuple[Tensor, State, State]:
    """Run all steps: the same numbers as the definition's.

    Args:
        x: the packed input.
        state: (h,) of each sequence before its first step.
        weights: the parameters.
        steps: the steps and their direction.
        keep: store what the derivative needs.

    Shape:
        - x: [rows, I]; h: [N, H]
        - Output: [rows, H]; (h,) after the last steps

    Cost: rows·3H·(I + H) multiply-adds. Kept: the gates, W_hn·h and h, 5·rows·H numbers; without `keep` the output and
        2 MiB.

    See: definition.py; tests/functional/test_gru.py.
    """
    (h,) = state
    H, kind = h.shape[1], step_dtype(x, h, 3)
    twice = h.new_ones(3, 1, 1)
    twice[2] = 2  # the rows of n
    w_ih = (weights.w_ih.unflatten(0, (3, H)) * twice).flatten(0, 1)
    w_hh = (weights.w_hh.unflatten(0, (3, H)) * (2 * twice)).flatten(0, 1).t().to(kind)
    bias = b_n = None
    if weights.b_ih is not None and weights.b_hh is not None:
        bias = (weights.b_ih.view(3, H) * twice[..., 0]).flatten()
        bias[: 2 * H] += weights.b_hh[: 2 * H]
        bias, b_n = bias.to(x.dtype), 2 * weights.b_hh[2 * H :].to(h.dtype)
    gates, shares = projected(x, w_ih.to(x.dtype), bias, steps, keep, 3, h.dtype)  # [rows, 3H]
    hidden = Trail(h / 2, steps)
    inner = h.new_empty(x.shape[0] if keep else h.shape[0], H)
    inners = inner.split(steps.sizes) if keep else [inner[:n] for n in steps.sizes]
    add_state = _state_added(w_hh, b_n) if kind == h.dtype else _state_added_in_16_bits(w_hh, b_n, len(h))
    for t, a, (r, z, n) in shares:
        k, inner_t = hidden.before[t], inners[t]
        add_state(a[:, : 2 * H], inner_t, k)
        n.addcmul_(r, inner_t).sigmoid_().sub_(0.5)
        torch.lerp(n, k, z, out=hidden.after[t])
    y, final = hidden.rows_after() * 2, (hidden.final() * 2,)
    return y.to(x.dtype), final, (gates, inner, hidden.rows_before()) if keep else ()


def _state_added(w_hh: Tensor, b_n: Tensor | None) -> Callable[[Tensor, Tensor, Tensor], None]:
    """Make what adds the state's part to a step: r, z = σ(· + W·k) in place, and m = W_n·k + b_n."""
    width = w_hh.shape[0]
    w_rz, w_n = (w.contiguous() for w in w_hh.split([2 * width, width], 1))  # dense rows are the faster right factor

    def add_state(rz: Tensor, m: Tensor, k: Tensor) -> None:
        rz.addmm_(k, w_rz).sigmoid_()
        torch.mm(k, w_n, out=m) if b_n is None else torch.addmm(b_n, k, w_n, out=m)

    return add_state


def _state_added_in_16_bits(w_hh: Tensor, b_n: Tensor | None, rows: int) -> Callable[[Tensor, Tensor, Tensor], None]:
    """Make the same with one product of 16 bits, which is rounded and then added."""
    factor, kind = Repeated(w_hh.t(), rows), w_hh.dtype

    def add_state(rz: Tensor, m: Tensor, k: Tensor) -> None:
        said_rz, said_n = factor.times(k.to(kind)).split([rz.shape[1], m.shape[1]], 1)
        rz.add_(said_rz).sigmoid_()
        m.copy_(said_n) if b_n is None else torch.add(said_n, b_n, out=m)

    return add_state


def backward(
    gradient: Tensor, last: State, x: Tensor, weights: Weights, steps: Steps, kept: State
) -> tuple[Tensor, State, Weights]:
    """Carry gradients back through all steps.

    With K = ∂k = 2·∂h running backwards through the steps, and m = W_hn·h + b_hn, the derivatives before the gates are

        K += 2·∂y
        ∂a_n = K·(1 − z)·(½ − 2n'²);  ∂a_z = K·(k_{t−1} − n')·z·(1 − z)
        ∂m = ∂a_n·r;  ∂a_r = ∂a_n·m·r·(1 − r)
        K ← K·z + 2·(∂a_r, ∂a_z, ∂m)·W_hh

    and the factors are known before the loop. They stand in one buffer as m, r, z, n: its last three are the
    derivatives of the input's projection, its first three those of the state's.

    Args:
        gradient: ∂y.
        last: the gradient of the last state.
        x: the packed input.
        weights: the parameters.
        steps: the steps and their direction.
        kept: what `forward` stored.

    Shape:
        - gradient: [rows, H]; last: [N, H]; x: [rows, I]

    Returns:
        ∂x, (∂h,) before the first steps, and the gradients of the weights.

    Cost: twice the multiply-adds of the forward pass; 2 MiB beside the gradients, in 16 bits at least 8,192·H numbers.

    See: definition.py; tests/functional/test_gru.py.
    """
    gates, inner, before = kept
    H, narrow = inner.shape[1], is_narrow(x)
    d_x = torch.empty_like(x)
    d_ih, d_hh, d_bi, d_bh = (inner.new_zeros(s) for s in (weights.w_ih.shape, weights.w_hh.shape, 3 * H, 3 * H))
    K = 2 * last[0]
    w_hh = Repeated(2 * _rolled(weights.w_hh, 1).t().to(step_dtype(x, K, 3)), len(K))  # the rows of m, r, z
    memory = inner.new_empty(rows_at_a_time(steps, 4 * H, narrow), 4 * H)
    for chunk in chunks(steps.reversed(), 4 * H, narrow):
        rows = chunk.rows
        d = _factors(gates[rows], inner[rows], before[rows], memory)
        _through_time(chunk, d, gates[rows, H : 2 * H], gradient[rows], K, w_hh)
        d_i, d_h = d[:, H:], d[:, : 3 * H]
        d_bi += d_i.sum(0)
        d_bh += d_h.sum(0)
        d_i, d_h, k = (part.to(x.dtype) for part in (d_i, d_h, before[rows]))
        add_product_(d_ih, d_i.t(), x[rows].t())
        add_product_(d_hh, d_h.t(), k.t())
        product_into(d_x[rows], d_i, weights.w_ih.t())
    sums = (d_ih, _rolled(d_hh.mul_(2), -1), d_bi, _rolled(d_bh, -1))
    return d_x, (K / 2,), Weights(*(part.to(x.dtype) for part in (sums[:2] if weights.b_ih is None else sums)))


def _factors(gates: Tensor, inner: Tensor, before: Tensor, memory: Tensor) -> Tensor:
    """Give by what K (for z, n) and ∂a_n (for m, r) are multiplied, as m, r, z, n: [n, 4H], in memory used again."""
    count, H = inner.shape
    d = memory[:count]
    (r, z, n), (d_m, d_r, d_z, d_n) = gates.view(-1, 3, H).unbind(1), d.view(-1, 4, H).unbind(1)
    d_m.copy_(r)
    torch.addcmul(r, r, r, value=-1, out=d_r).mul_(inner).mul_(0.5)
    torch.sub(before, n, out=d_n)
    torch.addcmul(z, z, z, value=-1, out=d_z).mul_(d_n)
    torch.mul(n, n, out=d_n).mul_(-2).add_(0.5)
    d_n.addcmul_(d_n, z, value=-1)
    return d


def _through_time(chunk: Chunk, d: Tensor, z: Tensor, dy: Tensor, K: Tensor, w_hh: Repeated) -> None:
    """Take K back through the steps of a chunk, and leave in d the derivatives."""
    H, kind = K.shape[1], w_hh.factor.dtype
    views = [chunk.split(v) for v in (d, z, dy)]
    for t in chunk.steps:
        d_t, z_t, dy_t = (view[t] for view in views)
        size = d_t.shape[0]
        K_t, a, a_h = K[:size], d_t.view(size, 4, H), d_t[:, : 3 * H]
        K_t.add_(dy_t, alpha=2)
        a[:, 2:].mul_(K_t.unsqueeze(1))
        a[:, :2].mul_(a[:, 3:])
        K_t.mul_(z_t)
        K_t.addmm_(a_h, w_hh.factor) if kind == d.dtype else K_t.add_(w_hh.times(a_h.to(kind)))


def _rolled(w: Tensor, by: int) -> Tensor:
    """Turn the order r, z, n of three blocks of rows into n, r, z (by = 1) or back (by = −1)."""
    return torch.cat([w.chunk(3)[(i - by) % 3] for i in range(3)])
