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
products where these are small (`STEP`). A step rounds W_ih·x + b and, beyond `STEP`, W_hh·h and h to 8 bits each; of an
error ε·a in a gate's argument its squashing leaves at most 0.45·ε.
"""

import torch
from torch import Tensor

from minimodels.functional.matmul import add_product_, product_into
from minimodels.functional.recurrence import (
    Chunk,
    State,
    Steps,
    Trail,
    Weights,
    blocks,
    chunks,
    projected,
    rows_at_a_time,
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
        2 MiB.

    See: definition.py; tests/functional/test_lstm.py.
    """
    h, c = state
    H = h.shape[1]
    scale = x.new_ones(4 * H)
    scale[2 * H : 3 * H] = -2  # the rows of g
    kind = _step_dtype(x, c)
    w_hh = (weights.w_hh * scale.unsqueeze(1)).t().to(kind).contiguous()  # dense rows are the faster right factor
    bias = weights.bias()
    bias = None if bias is None else bias * scale
    gates, shares = projected(x, weights.w_ih * scale.unsqueeze(1), bias, steps, keep, 4, c.dtype)  # [rows, 4H]
    hidden, cell = Trail(h.to(kind), steps), Trail(c, steps, keep)
    (_, written), (_, qs) = (blocks(c, H, steps, False) for _ in range(2))
    minus_two, same = c.new_full((), -2.0), kind == c.dtype
    for t, a, (i, f, g, o) in shares:
        k, u, q = hidden.before[t], written[t], qs[t]
        (a.addmm_(k, w_hh) if same else a.add_(torch.mm(k, w_hh))).sigmoid_()
        torch.addcmul(i, i, g, value=-2, out=u)  # i ⊙ g
        torch.addcmul(u, f, cell.before[t], out=cell.after[t])
        torch.mul(cell.after[t], minus_two, out=q).sigmoid_()
        torch.addcmul(o, o, q, value=-2, out=hidden.after[t] if same else u)
        if not same:
            hidden.after[t].copy_(u)
    y, final = hidden.rows_after(), (hidden.final(), cell.final())
    if not keep:
        return y.to(x.dtype), final, ()
    return y.to(x.dtype, copy=True), final, (gates, hidden.rows_before(), cell.rows_before(), cell.rows_after())


STEP = 1 << 23
"""Multiply-adds from which a step's product in bfloat16 makes up for the casts around it.

On one and on two threads of an Intel Xeon with AMX, microseconds in float32 against those in bfloat16: in the loop,
casts included, 64x128x512 (2²² multiply-adds) 54 and 37 against 60 and 56; by itself 64x512x2048 (2²⁶) 890 and 500
against 280 and 210.
"""


def _step_dtype(x: Tensor, c: Tensor) -> torch.dtype:
    """Choose the type of the factors in the steps' own products: the input's, or the state's for small ones."""
    return x.dtype if c.numel() * 4 * c.shape[1] >= STEP else c.dtype


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

    Cost: twice the multiply-adds of the forward pass; 2 MiB beside the gradients.

    See: definition.py, whose derivative this is; tests/functional/test_lstm.py.
    """
    gates, h_before, c_before, c_after = kept
    H = c_after.shape[1]
    wide, narrow = gates.dtype, x.dtype
    d_x = torch.empty_like(x)
    d_ih, d_hh, d_bias = (gates.new_zeros(s) for s in (weights.w_ih.shape, weights.w_hh.shape, 4 * H))
    K, G = (part.to(wide, copy=True) for part in last)
    room = rows_at_a_time(steps, 8 * H)
    memory = gates.new_empty(room, 4 * H), *(gates.new_empty(room, H) for _ in range(3))
    w_hh = weights.w_hh.to(_step_dtype(x, last[1]))
    low = x.new_empty(room, 4 * H) if wide != narrow else memory[0]
    for chunk in chunks(steps.reversed(), 8 * H):
        rows = chunk.rows
        d, through = _factors(gates[rows], c_before[rows], c_after[rows], memory)
        _through_time(chunk, d, low[: len(d)], through, gates[rows, H : 2 * H], gradient[rows], (K, G), w_hh)
        d_bias += d.sum(0)
        if w_hh.dtype != narrow:
            low[: len(d)].copy_(d)
        d = low[: len(d)]
        add_product_(d_ih, d.t(), x[rows].t())
        add_product_(d_hh, d.t(), h_before[rows].to(narrow).t())
        product_into(d_x[rows], d, weights.w_ih.t())
    bias = None if weights.b_ih is None else d_bias.to(narrow)
    return d_x, (K, G), Weights(d_ih.to(narrow), d_hh.to(narrow), bias, bias)


def _factors(gates: Tensor, c_before: Tensor, c_after: Tensor, memory: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """Give by what ∂c (for i, f, g) and ∂h (for o) are multiplied, [n, 4H], and ∂h/∂c, [n, H], in memory used again."""
    n, H = c_after.shape
    d, through, u, q = (part[:n] for part in memory)
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
    chunk: Chunk, d: Tensor, low: Tensor, through: Tensor, forget: Tensor, dy: Tensor, carried: State, w_hh: Tensor
) -> None:
    """Take ∂h and ∂c back through the steps of a chunk, and leave ∂a in d, and in low in the type of w_hh."""
    H, same = w_hh.shape[1], d.dtype == w_hh.dtype
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
            torch.mm(d_t, w_hh, out=K)
        else:
            K.copy_(torch.mm(low_t.copy_(d_t), w_hh))
