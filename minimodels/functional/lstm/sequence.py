"""The LSTM over a whole sequence at once: what does not depend on the step before is done for many steps together.

Forward, the projection of the inputs is a few large products; a step is left with the product of its hidden state and
six element-wise operations. Backward, the factors by which ∂h and ∂c are multiplied are formed for many steps together;
a step is left with five element-wise operations and one product, and each weight's gradient is a sum of few large
products, ∂W_hh = Σ_t ∂a_tᵀ·h_{t−1} = Σ_chunks ∂aᵀ·H. "Many steps" is a chunk whose rows stay in the cache from the
first of these operations to the last, which is worth as much as the products' size.

Every squashing is a logistic function, so that all four gates take one pass:

    tanh(a) = 1 − 2σ(−2a)      the rows of W and b for g are multiplied by −2, and s = σ(−2a_g) is what is stored
    i ⊙ g = i − 2·i·s          and h = o ⊙ tanh(c) = o − 2·o·σ(−2c): one operation each

(PyTorch's `tanh` took 76 µs where its `sigmoid` took 8, 64x512 numbers on an AMD EPYC; on an Intel Xeon they are
level.) The price: 1 − 2σ has the absolute error of σ, 3e-8 in float32, and not the relative error of tanh. Among
numbers of about 1 that does not show; of states that are all about 1e-3, nearly four digits are right, not seven.

In bfloat16 the operands of the products are of 16 bits and everything else is of 32; so are those of the steps' own
products where these are small (`recurrence.buffers.STEP`). A step rounds W_ih·x + b to 8 bits and, beyond `STEP`, also
W_hh·h, h and the sum; of an error ε·a in a gate's argument its squashing leaves at most 0.45·ε. That sum is what is
kept: the backward pass squashes it again, which is as exact, and half of what would have to be written and read.
"""

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
    blocks,
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
        state: (h, c) of each sequence before its first step.
        weights: the parameters; no projection.
        steps: the steps and their direction.
        keep: store what the derivative needs.

    Shape:
        - x: [rows, I]; h, c: [N, H]
        - Output: [rows, H]; (h, c) after the last steps

    Cost: rows·4H·(I + H) multiply-adds. Kept: the gates, c and h, 6·rows·H numbers; without `keep` the output and
        2 MiB. Steps that multiply in bfloat16 keep gates of 16 bits.

    See: definition.py; tests/functional/test_lstm.py.
    """
    h, c = state
    H = h.shape[1]
    scale = x.new_ones(4 * H)
    scale[2 * H : 3 * H] = -2  # the rows of g
    kind = step_dtype(x, c, 4)
    w_hh = Repeated((weights.w_hh * scale.unsqueeze(1)).to(kind), len(h))
    bias = weights.bias()
    bias = None if bias is None else bias * scale
    same = kind == c.dtype
    w_ih = weights.w_ih * scale.unsqueeze(1)
    gates, shares = projected(x, w_ih, bias, steps, keep, 4, kind)  # [rows, 4H]
    wide = [] if same else blocks(c, 4 * H, steps, False)[1]
    hidden, cell = Trail(h.to(kind), steps), Trail(c, steps, keep)
    (_, shown), (_, qs) = (blocks(c, H, steps, False) for _ in range(2))
    minus_two, factor = c.new_full((), -2.0), w_hh.factor
    for t, a, parts in shares:
        if same:
            i, f, g, o = parts
            a.addmm_(hidden.before[t], factor).sigmoid_()
        else:
            squashed = wide[t].copy_(a.add_(w_hh.times(hidden.before[t]))).sigmoid_()
            i, f, g, o = squashed.view(-1, 4, H).unbind(1)
        u, q = shown[t], qs[t]
        torch.addcmul(i, i, g, value=-2, out=u)  # i ⊙ g
        torch.addcmul(u, f, cell.before[t], out=cell.after[t])
        if steps.launched:  # two launches in place of three; an accelerator's tanh costs what its sigmoid costs
            torch.mul(o, torch.tanh(cell.after[t], out=q), out=hidden.after[t] if same else u)
        else:
            torch.mul(cell.after[t], minus_two, out=q).sigmoid_()
            torch.addcmul(o, o, q, value=-2, out=hidden.after[t] if same else u)
        if not same:
            hidden.after[t].copy_(u)
    y, final = hidden.rows_after(), (hidden.final(), cell.final())
    if not keep:
        return y.to(x.dtype), final, ()
    return y.to(x.dtype, copy=True), final, (gates, hidden.rows_before(), cell.rows_before(), cell.rows_after())


def backward(
    gradient: Tensor, last: State, x: Tensor, weights: Weights, steps: Steps, kept: State
) -> tuple[Tensor, State, Weights]:
    """Carry gradients back through all steps.

    With ∂h and ∂c running backwards through the steps, the derivatives before the gates are

        ∂h += ∂y;  ∂c += ∂h·o·(1 − tanh²c)
        ∂a_i = ∂c·g·i·(1 − i);  ∂a_f = ∂c·c_{t−1}·f·(1 − f);  ∂a_g = ∂c·i·(1 − g²);  ∂a_o = ∂h·tanh(c)·o·(1 − o)
        ∂c ← ∂c·f;  ∂h ← ∂a·W_hh

    and the factors of ∂h and ∂c are known before the loop.

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

    Cost: twice the multiply-adds of the forward pass; 2 MiB beside the gradients, in 16 bits 16 KiB·H.

    See: definition.py, whose derivative this is; tests/functional/test_lstm.py.
    """
    backwards, kind, cell = steps.reversed(), step_dtype(x, last[1], 4), kept[2]
    H, narrow = cell.shape[1], is_narrow(x)
    d_x = torch.empty_like(x)
    d_ih, d_hh, d_bias = (cell.new_zeros(s) for s in (weights.w_ih.shape, weights.w_hh.shape, 4 * H))
    carried = tuple(part.to(cell.dtype, copy=True) for part in last)
    room = rows_at_a_time(steps, 8 * H)
    memory = tuple(cell.new_empty(room, width) for width in (4 * H, H, H, H, 4 * H * (kind != cell.dtype)))
    low = x.new_empty(rows_at_a_time(steps, 8 * H, narrow), 4 * H) if narrow else memory[0]
    w_hh = Repeated(weights.w_hh.t().to(kind), len(carried[0]))
    for part in chunks(backwards, 8 * H, narrow):
        rows, inner = part.rows, backwards._replace(sizes=part.sizes)
        d, before = low[: sum(part.sizes)], kept[1][rows].to(x.dtype)
        _through_part(inner, d, gradient[rows], [k[rows] for k in kept], memory, carried, w_hh, d_bias)
        add_product_(d_ih, d.t(), x[rows].t())
        add_product_(d_hh, d.t(), before.t())
        product_into(d_x[rows], d, weights.w_ih.t())
    bias = None if weights.b_ih is None else d_bias.to(x.dtype)
    return d_x, carried, Weights(d_ih.to(x.dtype), d_hh.to(x.dtype), bias, bias)


def _through_part(
    steps: Steps,
    low: Tensor,
    dy: Tensor,
    kept: list[Tensor],
    memory: tuple[Tensor, ...],
    carried: State,
    w_hh: Repeated,
    d_bias: Tensor,
) -> None:
    """Take ∂h and ∂c back through some steps, chunk by chunk; leave ∂a in low, and add it up in d_bias."""
    gates, _, c_before, c_after = kept
    H = c_after.shape[1]
    for chunk in chunks(steps, 8 * H):
        rows, squashed = chunk.rows, gates[chunk.rows]
        if gates.dtype != c_after.dtype:
            squashed = memory[4][: len(squashed)].copy_(squashed).sigmoid_()
        d, through = _factors(squashed, c_before[rows], c_after[rows], memory)
        _through_time(chunk, d, low[rows], through, squashed[:, H : 2 * H], dy[rows], carried, w_hh)
        d_bias += d.sum(0)
        if low.dtype != w_hh.factor.dtype:  # the steps have not done so
            low[rows].copy_(d)


def _factors(gates: Tensor, c_before: Tensor, c_after: Tensor, memory: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """Give by what ∂c (for i, f, g) and ∂h (for o) are multiplied, [n, 4H], and ∂h/∂c, [n, H], in memory used again."""
    n, H = c_after.shape
    d, through, u, q = (part[:n] for part in memory[:4])
    (i, f, g, o), (d_i, d_f, d_g, d_o) = (rows.view(n, 4, H).unbind(1) for rows in (gates, d))
    torch.addcmul(i, i, g, value=-2, out=u)  # i ⊙ g
    torch.addcmul(u, u, i, value=-1, out=d_i)
    torch.mul(f, c_before, out=d_f).addcmul_(d_f, f, value=-1)
    torch.sub(i, u, out=d_g).addcmul_(u, g, value=2)
    torch.mul(c_after, -2, out=q).sigmoid_()
    h = torch.addcmul(o, o, q, value=-2, out=u)
    torch.addcmul(h, h, o, value=-1, out=d_o)
    return d, torch.sub(o, h, out=through).addcmul_(h, q, value=2)


def _through_time(
    chunk: Chunk, d: Tensor, low: Tensor, through: Tensor, forget: Tensor, dy: Tensor, carried: State, w_hh: Repeated
) -> None:
    """Take ∂h and ∂c back through the steps of a chunk, and leave ∂a in d, and in low in the type of w_hh."""
    H, factor, same = through.shape[1], w_hh.factor, d.dtype == w_hh.factor.dtype
    parts = (d, low, d.view(-1, 4, H)[:, :3], d[:, 3 * H :], through, forget, dy.to(d.dtype))
    views = [chunk.split(part) for part in parts]
    for t in chunk.steps:
        d_t, low_t, d_ifg, d_o, through_t, f_t, dy_t = (view[t] for view in views)
        K, G = (part[: len(d_t)] for part in carried)
        K.add_(dy_t)
        G.addcmul_(K, through_t)
        d_o.mul_(K)
        d_ifg.mul_(G.unsqueeze(1))
        G.mul_(f_t)
        if same:
            torch.mm(d_t, factor, out=K)
        else:
            K.copy_(w_hh.times(low_t.copy_(d_t)))
