"""The divergence of one distribution from another."""

import warnings

import torch
from torch import Tensor

from minimodels.functional.losses.reduction import chosen_reduction, reduced
from minimodels.functional.precision import accumulator, autocast_to_float32, common_dtype


def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """Measure what believing q costs where t is true: ℓ = t·(log t − x), with x = log q. 0·log 0 counts 0.

    Summed over a distribution it is the Kullback-Leibler divergence D(t ‖ q), never negative and 0 only for t = q.

    Args:
        input: x, logarithms of the probabilities believed.
        target: t, the true probabilities, or their logarithms.
        size_average: deprecated, see `reduction`.
        reduce: deprecated, see `reduction`.
        reduction: "none", "sum", "batchmean" (the sum divided by N: the divergence that textbooks mean) or "mean"
            (divided by the number of elements, with a warning).
        log_target: the target is given as logarithms.

    Shape:
        - input: [N, *]; target: any shape that broadcasts with it
        - Output: the broadcast shape for "none", else []

    Raises:
        RuntimeError: the numbers are integers or complex, or the shapes do not broadcast.
        ValueError: the reduction is unknown.

    Cost: one logarithm (or exponential) and three operations per element.

    References: Kullback & Leibler 1951, doi:10.1214/aoms/1177729694, equation 2.4.

    See: `minimodels.nn.KLDivLoss`; tests/functional/losses/test_divergence.py.

    Example:
        >>> kl_div(torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[1.0, 0.0]]), reduction="batchmean")
        tensor(0.6931)
    """
    legacy = size_average is not None or reduce is not None
    if reduction == "mean" and not legacy and not torch.compiler.is_compiling():  # whose graph a warning breaks
        warnings.warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support size. "
            "'batchmean' divides only by the batch size, and aligns with the KL div math definition.",
            stacklevel=2,
        )
    by_batch = reduction == "batchmean" and not legacy
    reduction = chosen_reduction("sum" if by_batch else reduction, size_average, reduce)
    for tensor in (input, target):
        if not tensor.is_floating_point():
            raise RuntimeError(f"kl_div: {'Complex' if tensor.is_complex() else 'Integral'} inputs not supported.")
    x, t = autocast_to_float32(input, input), autocast_to_float32(input, target)
    dtype = common_dtype(x, t)
    x, t = x.to(accumulator(x.dtype)), t.to(accumulator(t.dtype))
    loss = t.exp() * (t - x) if log_target else torch.xlogy(t, t) - t * x
    loss = reduced(loss, reduction)
    return (loss / input.shape[0] if by_batch and input.ndim else loss).to(dtype)
