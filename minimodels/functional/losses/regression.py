"""Losses between numbers. All of them are functions of the difference alone: ℓ = ρ(x − t), ∂x = ρ′(x − t) = −∂t."""

import torch
from torch import Tensor

from minimodels.functional.losses.difference import ABSOLUTE, SQUARE, Even, huber, loss_of_difference
from minimodels.functional.losses.reduction import chosen_reduction, reduced, warn_of_broadcasting
from minimodels.functional.precision import autocast_to_float32, common_dtype


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """Square the errors: ℓ = (x − t)². The mean of them is least where x is the mean of t.

    Args:
        input: x, the predictions.
        target: t, the truths; another shape is broadcast, with a warning.
        size_average: deprecated, see `reduction`.
        reduce: deprecated, see `reduction`.
        reduction: "none", "mean" or "sum".
        weight: w, multiplies each error; the mean then divides by Σ w.

    Shape:
        - input: [*]; target: [*]; weight: [*]
        - Output: [*] for "none", else []

    Raises:
        NotImplementedError: the numbers are integers or complex.
        RuntimeError: the shapes do not broadcast.
        ValueError: the weight has another shape than the input, or the reduction is unknown.

    Cost: one difference and one product per element; keeps nothing beyond its operands.

    References: Gauss 1809, Theoria motus (least squares).

    See: `minimodels.nn.MSELoss`; tests/functional/losses/test_regression.py.

    Example:
        >>> mse_loss(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0]))
        tensor(2.)
    """
    warn_of_broadcasting(input, target)
    reduction = chosen_reduction(reduction, size_average, reduce)
    input, target = _real("mse", input, target)
    if weight is not None:
        return _weighted(SQUARE, input, target, weight, reduction)
    return loss_of_difference(SQUARE, input, target, reduction)


def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """Take the errors as they are: ℓ = |x − t|. The mean of them is least where x is the median of t.

    Args:
        input: x, the predictions; real or complex.
        target: t, the truths; another shape is broadcast, with a warning.
        size_average: deprecated, see `reduction`.
        reduce: deprecated, see `reduction`.
        reduction: "none", "mean" or "sum".
        weight: w, multiplies each error; the mean then divides by Σ w.

    Shape:
        - input: [*]; target: [*]; weight: [*]
        - Output: [*] for "none", else []

    Raises:
        RuntimeError: the shapes do not broadcast, or integers are averaged.
        ValueError: the weight has another shape than the input, or the reduction is unknown.

    Cost: one difference per element; keeps nothing beyond its operands. The derivative at x = t is 0.

    References: Boscovich 1757; Laplace 1774 (the median minimises absolute errors).

    See: `minimodels.nn.L1Loss`; tests/functional/losses/test_regression.py.

    Example:
        >>> l1_loss(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0]))
        tensor(1.)
    """
    warn_of_broadcasting(input, target)
    reduction = chosen_reduction(reduction, size_average, reduce)
    return _absolute(input, target, reduction, weight)


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """Square small errors, take large ones as they are: ℓ = d²/2β for |d| < β, else |d| − β/2, with d = x − t.

    It is Huber's loss divided by its threshold, so that the slope of large errors stays 1. β = 0 is the L1 loss.

    Args:
        input: x, the predictions.
        target: t, the truths; another shape is broadcast, with a warning.
        size_average: deprecated, see `reduction`.
        reduce: deprecated, see `reduction`.
        reduction: "none", "mean" or "sum".
        beta: β, where small errors end.

    Shape:
        - input: [*]; target: [*]
        - Output: [*] for "none", else []

    Raises:
        NotImplementedError: the numbers are integers or complex (unless β = 0).
        RuntimeError: β is negative, or the shapes do not broadcast.
        ValueError: the reduction is unknown.
        TypeError: β is not a number.

    Cost: about five operations per element; keeps nothing beyond its operands.

    References: Girshick 2015 (Fast R-CNN), arXiv:1504.08083, equation 3.

    See: `minimodels.nn.SmoothL1Loss`; tests/functional/losses/test_regression.py.

    Example:
        >>> smooth_l1_loss(torch.tensor([0.5, 3.0]), torch.zeros(2), reduction="none")
        tensor([0.1250, 2.5000])
    """
    warn_of_broadcasting(input, target)
    reduction = chosen_reduction(reduction, size_average, reduce)
    if not isinstance(beta, int | float):
        raise TypeError(f"smooth_l1_loss(): argument 'beta' must be float, not {type(beta).__name__}")
    if beta == 0:
        return _absolute(input, target, reduction, None)
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    input, target = _real("smooth_l1", input, target)
    return loss_of_difference(huber(beta)._replace(scale=1 / beta), input, target, reduction)


def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """Square small errors, take large ones as they are: ℓ = ½d² for |d| ≤ δ, else δ(|d| − ½δ), with d = x − t.

    Args:
        input: x, the predictions.
        target: t, the truths; another shape is broadcast, with a warning.
        reduction: "none", "mean" or "sum".
        delta: δ, where small errors end.
        weight: w, multiplies each error; the mean divides by the number of errors all the same.

    Shape:
        - input: [*]; target: [*]; weight: [*]
        - Output: [*] for "none", else []; always of the input's type

    Raises:
        NotImplementedError: the numbers are integers or complex.
        RuntimeError: δ is not positive, the shapes do not broadcast, or the result does not fit the input's type.
        ValueError: the weight has another shape than the input, or the reduction is unknown.

    Cost: about five operations per element; keeps nothing beyond its operands.

    References: Huber 1964, doi:10.1214/aoms/1177703732.

    See: `minimodels.nn.HuberLoss`; tests/functional/losses/test_regression.py.

    Example:
        >>> huber_loss(torch.tensor([0.5, 3.0]), torch.zeros(2), reduction="none", delta=2.0)
        tensor([0.1250, 4.0000])
    """
    warn_of_broadcasting(input, target)
    reduction = chosen_reduction(reduction)
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    common = common_dtype(input, target)
    if common is not input.dtype and not torch.can_cast(common, input.dtype):
        raise RuntimeError(f"result type {common} can't be cast to the desired output type {input.dtype}")
    dtype = autocast_to_float32(input, input).dtype
    input, target = _real("huber", input, target)
    if weight is not None:
        _check_weight(input, weight)
        return reduced(huber(delta).value(input - target).to(dtype) * weight, reduction)
    return loss_of_difference(huber(delta), input, target, reduction).to(dtype)


def _absolute(input: Tensor, target: Tensor, reduction: str, weight: Tensor | None) -> Tensor:
    input, target = autocast_to_float32(input, input), autocast_to_float32(input, target)
    if weight is not None:
        return _weighted(ABSOLUTE, input, target, weight, reduction)
    return loss_of_difference(ABSOLUTE, input, target, reduction)


def _weighted(rho: Even, input: Tensor, target: Tensor, weight: Tensor, reduction: str) -> Tensor:
    _check_weight(input, weight)
    return reduced(rho.value(input - target) * weight, reduction, weight.sum())


def _check_weight(input: Tensor, weight: Tensor) -> None:
    if weight.size() != input.size():
        raise ValueError("Weights and input must have the same size.")


def _real(name: str, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Cast both to their common type, which must be a floating-point one, as autocast wants it."""
    dtype = common_dtype(input, target)
    if not dtype.is_floating_point:
        raise NotImplementedError(f'"{name}" not implemented for {dtype}')
    return autocast_to_float32(input, input.to(dtype)), autocast_to_float32(input, target.to(dtype))
