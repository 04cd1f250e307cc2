"""The gated recurrent unit: the definition of a step, and the fast sequence with a hand-derived backward.

The fast sequence follows lstm/sequence.py. The substitutions that turn tanh into a logistic function are here

    n' = σ(2a_n) − ½ = n/2      W_in, b_in, W_hn and b_hn are doubled
    k = h/2                     k ← n' + z·(k − n');  W_hh is doubled
"""

from collections.abc import Callable

import torch
from torch import Tensor

from minimodels.functional.affine import linear
from minimodels.functional.masking import dropout
from minimodels.functional.matmul import Repeated, add_product_, product_into
from minimodels.functional.recurrence import (
    Cell,
    Chunk,
    Gains,
    State,
    Steps,
    Trail,
    Weights,
    chunks,
    is_narrow,
    normalized,
    one_step,
    projected,
    rows_at_a_time,
    step_dtype,
)
from minimodels.tap import tap


def step(x: Tensor, state: State, weights: Weights) -> State:
    """Take one step: mix the old state with a candidate that sees of it what the reset gate lets through.

        r = σ(W_ir·x + b_ir + W_hr·h + b_hr)           the reset gate: how much of the old state the candidate sees
        z = σ(W_iz·x + b_iz + W_hz·h + b_hz)           the update gate: how much of the old state stays
        n = tanh(W_in·x + b_in + r ⊙ (W_hn·h + b_hn))  the candidate
        h ← (1 − z) ⊙ n + z ⊙ h                        the hidden state, which is the output

    Cho et al. 2014 reset before the product, W_hn·(r ⊙ h), and so does Keras with reset_after=False; PyTorch, cuDNN and
    Keras's default reset after it, as here. Keras stacks the gates as z, r, n.

    Args:
        x: the input at this step.
        state: (h,) before it.
        weights: w_ih and w_hh stack the rows of r, z, n.

    Shape:
        - x: [N, I]; h: [N, H]
        - Output: (h,), [N, H]

    Cost: N·3H·(I + H) multiply-adds.

    References: Cho et al. 2014, arXiv:1406.1078, equations (5)-(8).

    See: `minimodels.nn.GRU`; tests/functional/test_gru.py.

    Example:
        >>> stay = torch.tensor([0.0, 99.0, 0.0])  # the update gate open: the state stays
        >>> step(torch.ones(1, 1), (torch.tensor([[5.0]]),), Weights(torch.zeros(3, 1), torch.zeros(3, 1), stay))
        (tensor([[5.]]),)
    """
    return _mix(linear(x, weights.w_ih, weights.b_ih), linear(state[0], weights.w_hh, weights.b_hh), state[0], 0.0)


def regularized_step(
    x: Tensor, state: State, weights: Weights, gains: Gains | None, mask: Tensor | None, update: float
) -> State:
    """Take one step with normalised projections, and with dropout on the state and the candidate.

    The rows of r and z are normalised together and those of n by themselves, as Ba et al. do.

    Args:
        x: the input at this step.
        state: (h,) before it.
        weights: those of the plain step.
        gains: layer normalisation's, or None for none.
        mask: zeros and 1 / (1 − p) for the state, the same at every step, or None for none.
        update: probability of a zero in the candidate.

    Shape:
        - x: [N, I]; h, mask: [N, H]
        - Output: (h,), [N, H]

    Cost: that of the plain step, and about six more passes over the gates.

    References: Ba, Kiros & Hinton 2016, arXiv:1607.06450, supplement; Gal & Ghahramani 2016, arXiv:1512.05287;
        Semeniuta, Severyn & Barth 2016, arXiv:1603.05118.

    See: `minimodels.nn.GRU`; tests/functional/test_gru.py.
    """
    (h,) = state
    seen = h if mask is None else h * mask
    ih, hh, *_ = gains or (None, None)
    gx = _normalized_linear(x, weights.w_ih, weights.b_ih, ih)
    gh = _normalized_linear(seen, weights.w_hh, weights.b_hh, hh)
    return _mix(gx, gh, h, update)


def _normalized_linear(x: Tensor, w: Tensor, b: Tensor | None, gain: Tensor | None) -> Tensor:
    if gain is None:
        return linear(x, w, b)
    H = w.shape[0] // 3
    parts = [part.split([2 * H, H], -1) for part in (linear(x, w), gain)]
    y = torch.cat([normalized(a, g, None) for a, g in zip(*parts, strict=True)], -1)
    return y if b is None else y + b


def _mix(gx: Tensor, gh: Tensor, h: Tensor, update: float) -> State:
    """Form the gates from what input and state say, and the new state from them."""
    (x_r, x_z, x_n), (h_r, h_z, h_n) = gx.chunk(3, -1), gh.chunk(3, -1)  # [N, H] each
    r = tap("gru.reset_gate", torch.sigmoid(x_r + h_r))
    z = tap("gru.update_gate", torch.sigmoid(x_z + h_z))
    n = torch.tanh(x_n + r * h_n)
    n = tap("gru.candidate", dropout(n, update) if update else n)
    return (tap("gru.hidden", (1 - z) * n + z * h),)


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

    See: tests/functional/test_gru.py.
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

    See: tests/functional/test_gru.py.
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


GRU = Cell(step, regularized_step, forward, backward, narrow=True, lowers_state=False)
"""What `recurrence.stack` needs to know of a GRU."""


def gru_cell(
    input: Tensor,
    hx: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> Tensor:
    """Take one step of a GRU: h ← (1 − z) ⊙ n + z ⊙ h; the gates are in `minimodels.functional.gru.step`.

    Args:
        input: the input at this step.
        hx: the hidden state before it.
        w_ih: weights of the input, the rows of r, z, n stacked.
        w_hh: weights of the hidden state, likewise.
        b_ih: bias of the input's projection.
        b_hh: bias of the hidden state's, inside the reset gate for n.

    Shape:
        - input: [N, I]; hx: [N, H]; w_ih: [3H, I]; w_hh: [3H, H]; b_ih, b_hh: [3H]
        - Output: [N, H]

    Raises:
        RuntimeError: sizes, numbers of rows or dtypes do not fit.

    Cost: N·3H·(I + H) multiply-adds forward, twice that backward.

    References: Cho et al. 2014, arXiv:1406.1078.

    See: `minimodels.nn.GRUCell`; tests/functional/test_gru.py.

    Example:
        >>> gru_cell(torch.ones(1, 2), torch.ones(1, 1), torch.zeros(3, 2), torch.zeros(3, 1))  # z = 1/2, n = 0
        tensor([[0.5000]])
    """
    return one_step(GRU, input, (hx,), Weights(w_ih, w_hh, b_ih, b_hh), "gru_cell")[0]
