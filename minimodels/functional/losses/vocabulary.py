"""The last layer and its loss in one: a linear map onto a vocabulary, and the cross-entropy, in chunks of rows.

A language model's scores are its largest tensor: 512 rows of 50,257 words are 103 MB in float32, and a loss behind a
layer holds up to three of that size at once (log-probabilities, their gradient, and that of the scores). None of them
is needed whole. With the truth q and p = softmax(x·Wᵀ + b), row by row,

    ℓ = −Σ_c q_c·log p_c,   g = ∂ℓ/∂(x·Wᵀ + b) = p·Σ_c q_c − q,   ∂x = g·W,   ∂W = Σ_rows gᵀ·x,   ∂b = Σ_rows g.

g depends on nothing that comes later: what comes from above, a single number u, scales it. So the forward pass makes
the scores of a few rows, their loss, turns them into g in place, adds what they contribute to ∂x, ∂W and ∂b, and
forgets them. The backward pass multiplies by u. Nothing is computed twice, and the peak is one chunk of scores beside
the gradients themselves. Without a reduction u differs from row to row, which ∂W cannot be scaled for afterwards: then
the forward pass gives the losses alone, and the backward pass makes the scores anew with u at hand.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import LinearCrossEntropyOptions

from minimodels.functional.activations import log_softmax
from minimodels.functional.affine import linear
from minimodels.functional.losses.checks import check_distribution, check_indices, check_weight
from minimodels.functional.losses.classification import cross_entropy
from minimodels.functional.losses.reduction import chosen_reduction, reduced
from minimodels.functional.losses.surprise import below_top, rows_at_once, slope_of_, spans, surprise_of_
from minimodels.functional.losses.truth import Truth, total_weight, truth_of
from minimodels.functional.matmul import product
from minimodels.functional.precision import accumulator, autocast_to_float32, autocast_to_low_precision
from minimodels.functional.transforms import apply, plain_autograd, steps_aside
from minimodels.tap import listened


def linear_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: LinearCrossEntropyOptions | None = None,
) -> Tensor:
    """Compute cross_entropy(x·Wᵀ + b, target) without ever holding the scores x·Wᵀ + b whole.

    PyTorch does so on request, through `options`, and for class indices without smoothing only. Here it is always so,
    for every kind of target. Of `options` the number of rows a chunk is taken, if it is given; the rest speaks of
    ways to compute, of which there is one here: sums in float32, and a graph that may be kept. A second derivative,
    a transform (vmap, jvp, torch.func.grad), a compiler, and a listener are served by the plain formula.

    Args:
        input: x, rows of features.
        linear_weight: W, one row per class; dimensions between classes and features make as many losses per row.
        target: class indices, or distributions over the classes.
        linear_bias: b, or None.
        weight: one number per class, see `cross_entropy`.
        reduction: "none", "mean" or "sum".
        ignore_index: rows whose target is this index are ignored; None is −100, and needed for distributions.
        label_smoothing: see `cross_entropy`.
        options: PyTorch's object; None leaves the choice of chunks to this function.

    Shape:
        - input: [I] or [N, I]; linear_weight: [C, d₁, …, dₖ, I]; linear_bias: [C, d₁, …, dₖ]; weight: [C]
        - target: [] or [N, d₁, …, dₖ]; or [C] or [N, C, d₁, …, dₖ]
        - Output: [] or [N, d₁, …, dₖ] for "none", else []

    Raises:
        RuntimeError: shapes or dtypes do not fit, the smoothing is not in [0, 1], or `ignore_index` meets
            distributions.
        ValueError: batch sizes differ, or the reduction is unknown.
        IndexError: a class index is not below C (on a CPU; on a GPU the kernel's own assertion fails).

    Cost: N·C·I multiply-adds forward and twice that for the gradients, made in the forward pass (with reduction "none"
        in the backward pass, and the N·C·I once more). Peak memory 128·C numbers (or 2²², if that is more; I·C of 16
        bits on a CPU) beside the gradients; one after the other up to 3·N·C. For 512 rows, 768 features and 50,257
        classes the resident memory of a process grew by 178 MiB forward and backward, 147 of them ∂W, and by 310 with
        torch.nn's two layers.

    References: Wijmans et al. 2024 (Cut Your Losses), arXiv:2411.09009; Hsu et al. 2024 (Liger Kernel),
        arXiv:2410.10989, section 3.2 (gradients in the forward pass, in chunks).

    See: `minimodels.nn.LinearCrossEntropyLoss`; tests/functional/losses/test_vocabulary.py.

    Example:
        >>> linear_cross_entropy(torch.zeros(1, 4), torch.ones(10, 4), torch.tensor([3]))  # ten equal guesses: log 10
        tensor(2.3026)
    """
    reduction = chosen_reduction(reduction)
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    _check_operands(input, linear_weight, linear_bias)
    shape = (*input.shape[:-1], *linear_weight.shape[:-1])  # the scores'
    if target.shape == shape and ignore_index is not None:
        raise RuntimeError("ignore_index cannot be specified when target contains probabilities")
    ignore_index = -100 if ignore_index is None else ignore_index
    x = autocast_to_low_precision(input, input)
    matrix = autocast_to_low_precision(input, linear_weight.flatten(0, -2))  # [C·D, I]
    vector = autocast_to_low_precision(input, None if linear_bias is None else linear_bias.flatten())
    if not _hand_derived(x, matrix, vector, target, weight):
        scores = linear(x, matrix, vector).reshape(shape)
        settings = {"ignore_index": ignore_index, "reduction": reduction, "label_smoothing": label_smoothing}
        return cross_entropy(scores, target, weight, **settings)  # type: ignore[arg-type]
    return _by_rows(x, matrix, vector, shape, target, weight, ignore_index, reduction, label_smoothing, options)


def _check_operands(input: Tensor, linear_weight: Tensor, linear_bias: Tensor | None) -> None:
    if input.ndim not in (1, 2):
        raise RuntimeError(f"expected input with dimensionality 1 or 2, got {input.ndim}")
    if linear_weight.ndim < 2:
        raise RuntimeError(f"expected linear_weight with dimensionality at least 2, got {linear_weight.ndim}")
    if input.shape[-1] != linear_weight.shape[-1]:
        raise RuntimeError(
            "expected equal input and linear_weight last dimensions (in_features), "
            f"got {input.shape[-1]} and {linear_weight.shape[-1]}, respectively"
        )
    if linear_bias is not None and linear_bias.shape != linear_weight.shape[:-1]:
        raise RuntimeError(
            f"expected linear_bias shape {tuple(linear_weight.shape[:-1])}, got {tuple(linear_bias.shape)}"
        )
    if linear_weight.ndim > 2 and input.ndim == 1:
        raise RuntimeError(
            f"K-dimensional loss defined by linear_weight shape {tuple(linear_weight.shape)} requires "
            f"batched input, (N, {input.shape[-1]}), got unbatched input with shape {tuple(input.shape)}"
        )


def _hand_derived(input: Tensor, matrix: Tensor, vector: Tensor | None, target: Tensor, weight: Tensor | None) -> bool:
    operands = [t for t in (input, matrix, vector) if t is not None]
    return (
        plain_autograd()
        and not torch.compiler.is_compiling()
        and not listened()
        and not any(t.requires_grad for t in (target, weight) if t is not None)
        and all(t.is_floating_point() and t.numel() > 0 and t.dtype == input.dtype for t in operands)
    )


def _by_rows(
    input: Tensor,
    matrix: Tensor,
    vector: Tensor | None,
    shape: tuple[int, ...],
    target: Tensor,
    weight: Tensor | None,
    ignore_index: int,
    reduction: str,
    smoothing: float,
    options: LinearCrossEntropyOptions | None,
) -> Tensor:
    dim = input.ndim - 1  # of the classes, in the scores
    weight, target = autocast_to_float32(input, weight), autocast_to_float32(input, target)
    dtype = autocast_to_float32(input, input[:0]).dtype  # of the loss
    if target.shape == shape:
        check_distribution(shape, dim, target, ignore_index)
    else:
        check_indices(shape, dim, target)
    check_weight(weight, shape[dim], dtype)
    rows = input.reshape(-1, input.shape[-1])  # [N, I]
    further = math.prod(shape[dim + 1 :])  # D
    layout = (len(rows), shape[dim], further) if target.shape == shape else (len(rows), further)
    truth = truth_of(target.reshape(layout), shape[dim], weight, ignore_index, smoothing, accumulator(input.dtype))
    step = chunk_rows(rows, matrix) if options is None else options.batch_chunk_size
    step = step or len(rows)
    loss = apply(_Vocabulary, rows, matrix, vector, truth, reduction == "none", step, torch.is_grad_enabled())
    places = shape[:dim] + shape[dim + 1 :]
    if reduction == "none":
        return loss.view(places).to(dtype)
    return reduced(loss, reduction, total_weight(target, weight, ignore_index, places)).to(dtype)


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
