"""What every loss does at its end, and at its door: bring the places together, and know two old spellings."""

import warnings

import torch
from torch import Tensor


def chosen_reduction(reduction: str, size_average: bool | None = None, reduce: bool | None = None) -> str:
    """Say which reduction a loss was asked for.

    Args:
        reduction: "none", "mean" or "sum"; "elementwise_mean" is an old name of the mean.
        size_average: deprecated, see `legacy_reduction`.
        reduce: deprecated, likewise.

    Raises:
        ValueError: the reduction is unknown.

    Example:
        >>> chosen_reduction("sum")
        'sum'
    """
    reduction = legacy_reduction(size_average, reduce, stacklevel=4) or reduction
    if reduction == "elementwise_mean":
        warnings.warn("reduction='elementwise_mean' is deprecated. Please use reduction='mean' instead.", stacklevel=3)
        return "mean"
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    return reduction


def legacy_reduction(size_average: bool | None, reduce: bool | None, stacklevel: int = 3) -> str | None:
    """Translate the two arguments that `reduction` replaced, with PyTorch's warning.

    Args:
        size_average: take the mean rather than the sum.
        reduce: reduce at all.
        stacklevel: which caller the warning points at.

    Returns:
        the reduction that they mean, or None when neither is given.

    Example:
        >>> legacy_reduction(None, None) is None
        True
    """
    if size_average is None and reduce is None:
        return None
    total = "mean" if size_average in (None, True) else "sum"
    meant = total if reduce in (None, True) else "none"
    warnings.warn(
        f"size_average and reduce args will be deprecated, please use reduction='{meant}' instead.",
        stacklevel=stacklevel,
    )
    return meant


def reduced(loss: Tensor, reduction: str, count: Tensor | None = None) -> Tensor:
    """Bring the losses of all places together.

    Args:
        loss: one number per place.
        reduction: "none", "mean" or "sum".
        count: what a mean divides by; None is the number of places.

    Example:
        >>> reduced(torch.tensor([1.0, 3.0]), "mean", torch.tensor(4))
        tensor(1.)
    """
    if reduction == "none":
        return loss
    if reduction == "sum":
        return loss.sum()
    if count is None:
        return loss.mean()
    return loss.sum().where(count != 0, torch.nan) / count  # the mean of nothing is NaN, its derivative 0


def warn_of_broadcasting(input: Tensor, target: Tensor) -> None:
    """Warn that a target of another size is about to be repeated, which is seldom what was meant.

    Args:
        input: the prediction.
        target: the truth.

    Example:
        >>> warn_of_broadcasting(torch.zeros(3), torch.ones(3))
    """
    if target.size() != input.size() and not torch.compiler.is_compiling():  # whose graph a warning breaks
        warnings.warn(
            f"Using a target size ({target.size()}) that is different to the input size ({input.size()}). "
            "This will likely lead to incorrect results due to broadcasting. "
            "Please ensure they have the same size.",
            stacklevel=3,
        )
