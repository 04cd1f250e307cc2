"""Cross-entropy of a few rows at a time, with its derivative: the scores are read once forward and once backward.

With q the truth (see `truth`), m = max_c x_c and S = Σ_c exp(x_c − m), the loss of a place and its derivative are

    ℓ = −Σ_c q_c·log softmax(x)_c = Σ_c q_c·(log S − (x_c − m)),     ∂ℓ/∂x_c = Σ_k q_k · exp(x_c − m)/S − q_c.

So m and S, two numbers per place, are all that the backward pass has to know beside the scores: no log-probabilities
are kept, and the gradient is written once. Both passes go over a few rows at a time, so that what is made of them is
still in the processor's cache when it is read again. Operation by operation, the whole would be read and written
each time.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from minimodels.functional import placement
from minimodels.functional.losses.truth import Truth
from minimodels.functional.precision import accumulator
from minimodels.functional.transforms import apply, steps_aside


def surprise(scores: Tensor, truth: Truth) -> Tensor:
    """Compute the cross-entropy of every place, with a derivative by the scores alone.

    Args:
        scores: x.
        truth: q.

    Shape:
        - scores: [N, C, D]
        - Output: [N, D]

    Cost: one exponential per element, and once more in the backward pass; keeps two numbers per place.

    See: tests/functional/losses/test_classification.py.

    Example:
        >>> from minimodels.functional.losses.truth import truth_of
        >>> truth = truth_of(torch.tensor([[0]]), 2, None, -100, 0.0, torch.float32)
        >>> surprise(torch.zeros(1, 2, 1), truth)  # a coin: log 2
        tensor([[0.6931]])
    """
    return apply(_Surprise, scores, truth)


def surprise_of_(shifted: Tensor, truth: Truth) -> tuple[Tensor, Tensor]:
    """Compute ℓ and S from scores below their maximum, which become their exponentials in place.

    Args:
        shifted: x − m.
        truth: q.

    Shape:
        - shifted: [N, C, D]
        - Output: [N, D] both
    """
    expected, mass = truth.expectation(shifted), truth.mass()
    total = shifted.exp_().sum(1)
    loss = (mass * total.log()).where(mass != 0, 0) - expected  # scores of an ignored place may be no numbers
    return loss, total


def slope_of_(exponentials: Tensor, total: Tensor, truth: Truth, factor: Tensor) -> Tensor:
    """Turn exponentials into the derivative f·∂ℓ/∂x, in place.

    Args:
        exponentials: exp(x − m).
        total: S.
        truth: q.
        factor: f, what comes from above.

    Shape:
        - exponentials: [N, C, D]; total, factor: [N, D]
        - Output: [N, C, D]
    """
    exponentials.mul_((truth.mass() * factor / total).unsqueeze(1))
    return truth.subtract_from_(exponentials, factor)


PIECE = 1 << 18
"""About how many scores are worked on at a time on a CPU.

512 rows on one thread of an Intel Xeon (2 MB of cache a core), float32, forward / backward in milliseconds: pieces of
one row of 50,257 classes 42/107, of 8 rows 42/121, of 128 rows 62/131; of one row of 10,000 classes 27/40, of 8 rows
12/16, of 32 rows 12/15, of 128 rows 16/17. An accelerator takes `placement.PIECE`.
"""


def spans(scores: Tensor) -> Iterator[tuple[int, int]]:
    """Say which rows are worked on at a time: first and one after the last.

    Args:
        scores: [N, C, D].
    """
    rows = len(scores)
    step = max(1, placement.at_once(scores, PIECE) // scores[0].numel())
    return ((start, min(start + step, rows)) for start in range(0, rows, step))


def below_top(scores: Tensor, out: Tensor, top: Tensor | None = None) -> Tensor:
    """Write x − m, in the type of `out`, and give m.

    Args:
        scores: x.
        out: where to; of float32 for 16-bit scores, or the scores themselves.
        top: m, if it is known.

    Shape:
        - scores, out: [N, C, D]
        - top and Output: [N, D]
    """
    wide = scores if scores.dtype is out.dtype else out.copy_(scores)
    top = wide.amax(1) if top is None else top
    torch.sub(wide, top.unsqueeze(1), out=out)
    return top


class _Surprise(Function):
    """Cross-entropy and its derivative."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, truth: Truth) -> Tensor:
        rows, buffer = [], rows_at_once(scores)
        for i, j in spans(scores):
            top = below_top(scores[i:j], buffer[: j - i])
            rows.append((*surprise_of_(buffer[: j - i], truth.rows(i, j)), top))
        losses, totals, tops = map(torch.cat, zip(*rows, strict=True))
        ctx.truth, parts = truth.parts()
        ctx.save_for_backward(scores, tops, totals, *parts)
        return losses

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        scores, tops, totals, *parts = ctx.saved_tensors
        truth = ctx.truth(*parts)
        wide = accumulator(scores.dtype)
        gradient = gradient.to(wide)
        if torch.is_grad_enabled() or steps_aside(gradient):  # a second derivative, or a batch of gradients
            return _slope(scores.to(wide), tops, truth, gradient).to(scores.dtype), None
        result = torch.empty_like(scores, memory_format=torch.contiguous_format)
        buffer = None if scores.dtype is wide else rows_at_once(scores)
        for i, j in spans(scores):
            out = result[i:j] if buffer is None else buffer[: j - i]
            below_top(scores[i:j], out, tops[i:j])
            result[i:j] = slope_of_(out.exp_(), totals[i:j], truth.rows(i, j), gradient[i:j])
        return result, None


def rows_at_once(scores: Tensor) -> Tensor:
    """Make memory for the rows that are worked on at a time, of the type that is computed in.

    Args:
        scores: [N, C, D].
    """
    most = max(j - i for i, j in spans(scores))
    return scores.new_empty(most, *scores.shape[1:], dtype=accumulator(scores.dtype))


def _slope(scores: Tensor, tops: Tensor, truth: Truth, factor: Tensor) -> Tensor:
    """Compute f·∂ℓ/∂x in operations that have derivatives themselves."""
    e = (scores - tops.unsqueeze(1)).exp()
    probabilities = e / e.sum(1, keepdim=True)
    return (truth.mass().unsqueeze(1) * probabilities - truth.written_out(scores.shape[1])) * factor.unsqueeze(1)
