"""Cross-entropy of scores that are never whole: made for a few rows, turned into their gradients, and forgotten.

With the truth q and p = softmax(x·Wᵀ + b), row by row,

    ℓ = −Σ_c q_c·log p_c,   g = ∂ℓ/∂(x·Wᵀ + b) = p·Σ_c q_c − q,   ∂x = g·W,   ∂W = Σ_rows gᵀ·x,   ∂b = Σ_rows g.

g depends on nothing that comes later: what comes from above, a single number u, scales it. So the forward pass makes
the scores of a few rows, their loss, turns them into g in place, adds what they contribute to ∂x, ∂W and ∂b, and
forgets them. The backward pass multiplies by u. Nothing is computed twice, and the peak is one chunk of scores beside
the gradients themselves. Without a reduction u differs from row to row, which ∂W cannot be scaled for afterwards: then
the forward pass gives the losses alone, and the backward pass makes the scores anew with u at hand.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from minimodels.functional.activations import log_softmax
from minimodels.functional.affine import linear
from minimodels.functional.losses.surprise import below_top, rows_at_once, slope_of_, spans, surprise_of_
from minimodels.functional.losses.truth import Truth
from minimodels.functional.matmul import product
from minimodels.functional.precision import accumulator
from minimodels.functional.transforms import apply, steps_aside


def surprise_of_layer(
    rows: Tensor, matrix: Tensor, vector: Tensor | None, truth: Truth, each: bool, step: int | None
) -> Tensor:
    """Compute the cross-entropy of x·Wᵀ + b, chunk by chunk.

    Args:
        rows: x.
        matrix: W.
        vector: b, or None.
        truth: q.
        each: give the loss of every place instead of their sum.
        step: rows of a chunk; 0 for all, None for `chunk_rows`.

    Shape:
        - rows: [N, I]; matrix: [C·D, I]; vector: [C·D]
        - Output: [N, D] or []

    Cost: N·C·D·I multiply-adds and twice that for the gradients, in the forward pass; with `each` in the backward pass,
        and the first once more.

    See: vocabulary.py; tests/functional/losses/test_vocabulary.py.
    """
    step = chunk_rows(rows, matrix) if step is None else step or len(rows)
    return apply(_Vocabulary, rows, matrix, vector, truth, each, step, torch.is_grad_enabled())


ROWS, SCORES = 128, 1 << 22
"""The rows of a chunk, and the scores below which a chunk of few classes takes more rows than that."""


def chunk_rows(rows: Tensor, matrix: Tensor) -> int:
    """Count the rows of a chunk.

    In 16 bits a CPU takes as many as there are features: scores and ∂W are then as large. A product of more rows is the
    faster one, and it adds up in float32 where chunks are rounded to 16 bits and added one by one. 512 rows of 768
    features and 50,257 words on two threads of an Intel Xeon with AMX, by 128 rows and at once, in milliseconds: scores
    58 and 31, ∂x 37 and 31, ∂W 352 and 63.

    Args:
        rows: x, [N, I].
        matrix: W, [C, I].

    Example:
        >>> x, W = torch.zeros(1, 768), torch.zeros(1, 768).expand(50257, -1)
        >>> chunk_rows(x, W), chunk_rows(x.bfloat16(), W.bfloat16())
        (128, 768)
    """
    few = max(ROWS, SCORES // len(matrix))
    narrow = accumulator(rows.dtype) != rows.dtype
    return max(few, rows.shape[1]) if narrow and rows.is_cpu else few


Gradients = list[Tensor | None]


class _Vocabulary(Function):
    """The sum of the losses with its derivatives made on the way, or each loss with derivatives made afterwards."""

    @staticmethod
    def forward(
        ctx: Any,
        rows: Tensor,
        matrix: Tensor,
        vector: Tensor | None,
        truth: Truth,
        each: bool,
        step: int,
        differentiated: bool,
    ) -> Tensor:
        ctx.truth, parts = truth.parts()
        ctx.save_for_backward(rows, matrix, vector, *parts)
        ctx.each, ctx.step = each, step
        wanted = [differentiated and not each and needed for needed in ctx.needs_input_grad[:3]]
        losses, ctx.gradients = _descend(rows, matrix, vector, truth, step, None, wanted)
        return losses if each else losses.sum()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        rows, matrix, vector, *parts = ctx.saved_tensors
        truth = ctx.truth(*parts)
        wanted = ctx.needs_input_grad[:3]
        if torch.is_grad_enabled() or steps_aside(gradient):  # a second derivative, or a batch of gradients
            return *_by_autograd((rows, matrix, vector), truth, ctx.each, wanted, gradient), None, None, None, None
        gradients, ctx.gradients = ctx.gradients, None  # handed on, not copied: they are as large as the weights
        if ctx.each or gradients is None:  # none were made, or a graph that was kept is gone through again
            factor = gradient if ctx.each else None
            _, gradients = _descend(rows, matrix, vector, truth, ctx.step, factor, wanted)
        if not ctx.each:
            gradients = [None if g is None else g.mul_(gradient) for g in gradients]
        return *(None if g is None else g.to(rows.dtype) for g in gradients), None, None, None, None


def _descend(
    rows: Tensor,
    matrix: Tensor,
    vector: Tensor | None,
    truth: Truth,
    step: int,
    factor: Tensor | None,
    wanted: list[bool],
) -> tuple[Tensor, Gradients]:
    """Go through the rows chunk by chunk: all losses [N, D], and the gradients of Σ f·ℓ that are wanted."""
    losses = []
    by_rows = torch.empty_like(rows) if wanted[0] else None
    sums: Gradients = [None, None]
    for start in range(0, len(rows), step):
        upstream = None if factor is None else factor[start : start + step].to(accumulator(rows.dtype))
        chunk, mine = rows[start : start + step], truth.rows(start, start + step)
        loss, slope = _one_chunk(chunk, matrix, vector, mine, upstream, differentiated=any(wanted))
        losses.append(loss)
        if by_rows is not None:
            by_rows[start : start + step] = product(slope, matrix.t())
        if wanted[1]:
            sums[0] = _added(sums[0], slope, chunk, more=start + step < len(rows))
        if wanted[2]:
            found = slope.sum(0, dtype=accumulator(rows.dtype))
            sums[1] = found if sums[1] is None else sums[1].add_(found)
    return torch.cat(losses), [by_rows, *sums]


def _one_chunk(
    chunk: Tensor, matrix: Tensor, vector: Tensor | None, truth: Truth, factor: Tensor | None, *, differentiated: bool
) -> tuple[Tensor, Tensor]:
    """Give the losses of a chunk, and its scores, turned into their gradients if these are wanted: piece by piece."""
    further = truth.mass().shape[1]
    scores = product(chunk, matrix, vector).unflatten(1, (-1, further))  # [n, C, D]
    losses, buffer = [], rows_at_once(scores) if scores.dtype != accumulator(scores.dtype) else None
    for i, j in spans(scores):
        e, mine = scores[i:j] if buffer is None else buffer[: j - i], truth.rows(i, j)
        below_top(scores[i:j], e)
        loss, total = surprise_of_(e, mine)
        losses.append(loss)
        if differentiated:
            scores[i:j] = slope_of_(e, total, mine, torch.ones_like(loss) if factor is None else factor[i:j])
    return torch.cat(losses), scores.flatten(1)


def _added(total: Tensor | None, slope: Tensor, chunk: Tensor, *, more: bool) -> Tensor:
    """Add gᵀ·x to the sum of the chunks before, which is one of float32 where there are several."""
    if total is None:
        found = torch.mm(slope.t(), chunk)
        return found.to(accumulator(found.dtype)) if more else found
    if total.dtype == chunk.dtype:
        return total.addmm_(slope.t(), chunk)
    return total.add_(torch.mm(slope.t(), chunk))


def _by_autograd(
    operands: tuple[Tensor, Tensor, Tensor | None], truth: Truth, each: bool, wanted: list[bool], gradient: Tensor
) -> Gradients:
    """Differentiate the plain formula, whose derivatives have derivatives."""
    rows, matrix, vector = operands
    with torch.enable_grad():
        q = truth.written_out(len(matrix) // truth.mass().shape[1])  # [N, C, D]
        scores = linear(rows, matrix, vector).unflatten(1, q.shape[1:])
        losses = -(q * log_softmax(scores.to(q.dtype), 1)).sum(1)
        loss = losses if each else losses.sum()
    leaves = [t for t, want in zip(operands, wanted, strict=True) if t is not None and want]
    create_graph = torch.is_grad_enabled()
    found = iter(torch.autograd.grad(loss, leaves, gradient, create_graph=create_graph))
    return [next(found) if want else None for want in wanted]
