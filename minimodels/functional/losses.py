"""Losses: how wrong a prediction was, as one number to descend on."""

import warnings

import torch
from torch import Tensor

from minimodels.functional.activations import log_softmax
from minimodels.functional.precision import autocast_to_float32
from minimodels.tap import tap


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Measure how surprised a prediction is by the truth: ℓ = −Σ_c w_c · t_c · log softmax(x)_c.

    The truth t is a distribution over the C classes. A class index y means t = onehot(y); label smoothing ε mixes
    in the uniform distribution, t ← (1 − ε)·t + ε/C. The mean divides by what the truths weigh together, Σ w_y
    (ignored places weigh nothing), except for distributions as targets, where it divides by their number.

    Args:
        input: scores (logits) of the classes.
        target: a class index a place (int64 or uint8), or a distribution of the input's shape.
        weight: w, one number a class.
        size_average: deprecated, see `reduction`.
        ignore_index: places with this index as truth count nothing; class indices only.
        reduce: deprecated, see `reduction`.
        reduction: "none", "mean" or "sum".
        label_smoothing: ε.

    Shape:
        - input: [C], [N, C] or [N, C, d₁, …, dₖ]; weight: [C]
        - target: the input's shape without C, or the input's shape
        - Output: the input's shape without C for "none", else []

    Raises:
        RuntimeError: shapes or dtypes do not fit, ε is not in [0, 1], or `ignore_index` meets distributions.
        ValueError: batch sizes differ, or the reduction is unknown.
        IndexError: a class index is not below C (on a CPU; an accelerator stops by itself).

    Cost: one exponential an element; keeps the log-probabilities for the backward pass, ∂x = softmax(x) − t.

    References: Shannon 1948, doi:10.1002/j.1538-7305.1948.tb01338.x; Szegedy et al. 2016, arXiv:1512.00567,
        section 7 (label smoothing).

    See: `minimodels.nn.CrossEntropyLoss`; tests/functional/test_losses.py.

    Example:
        >>> cross_entropy(torch.tensor([[0.0, 0.0]]), torch.tensor([1]))  # a coin: log 2
        tensor(0.6931)
    """
    reduction = legacy_reduction(size_average, reduce) or reduction
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    input, weight = autocast_to_float32(input, input), autocast_to_float32(input, weight)
    classes = 0 if input.ndim <= 1 else 1
    if input.shape == target.shape:
        _check_distribution(input, target, weight, classes, ignore_index)
    else:
        _check_indices(input, target, weight, classes)
    log_p = tap("cross_entropy.log_probabilities", log_softmax(input, classes))
    if input.shape == target.shape:
        return _against_distribution(
            log_p, autocast_to_float32(input, target), weight, classes, reduction, label_smoothing
        )
    return _against_indices(log_p, target, weight, classes, ignore_index, reduction, label_smoothing)


def legacy_reduction(size_average: bool | None, reduce: bool | None) -> str | None:
    """Translate the two arguments that `reduction` replaced, with PyTorch's warning.

    Args:
        size_average: take the mean rather than the sum.
        reduce: reduce at all.

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
        f"size_average and reduce args will be deprecated, please use reduction='{meant}' instead.", stacklevel=3
    )
    return meant


def _against_distribution(
    log_p: Tensor, target: Tensor, weight: Tensor | None, classes: int, reduction: str, smoothing: float
) -> Tensor:
    count = log_p.shape[classes]
    if smoothing > 0:
        target = target * (1 - smoothing) + smoothing / count
    loss = -(_weighted(log_p, weight, classes) * target).sum(classes)
    places = log_p.numel() // count if count else 0
    return _reduced(loss, reduction, loss.new_tensor(float(places)))


def _against_indices(
    log_p: Tensor,
    target: Tensor,
    weight: Tensor | None,
    classes: int,
    ignore_index: int,
    reduction: str,
    smoothing: float,
) -> Tensor:
    counted = target != ignore_index
    index = target.to(torch.int64).where(counted, 0)  # an ignored index may be out of range: read any class there
    weighted = _weighted(log_p, weight, classes)
    try:
        loss = -weighted.gather(classes, index.unsqueeze(classes)).squeeze(classes)
    except RuntimeError as error:  # shapes and types are checked, so an index is out of range
        outside = index[(index < 0) | (index >= log_p.shape[classes])].flatten()
        raise IndexError(f"Target {outside[0]} is out of bounds: there are {log_p.shape[classes]} classes.") from error
    if smoothing > 0:
        loss = (1 - smoothing) * loss - smoothing / log_p.shape[classes] * weighted.sum(classes)
    loss = loss.where(counted, 0)
    if weight is None:
        return _reduced(loss, reduction, counted.sum())
    weights = weight.expand(log_p.shape[classes]).gather(0, index.flatten()).view_as(index)
    return _reduced(loss, reduction, weights.where(counted, 0).sum())


def _reduced(loss: Tensor, reduction: str, count: Tensor) -> Tensor:
    """Bring the losses of all places together.

    Args:
        loss: one number a place.
        reduction: "none", "mean" or "sum".
        count: what a mean divides by.

    Raises:
        ValueError: the reduction is unknown.

    Example:
        >>> _reduced(torch.tensor([1.0, 3.0]), "mean", torch.tensor(2))
        tensor(2.)
    """
    if reduction == "none":
        return loss
    if reduction == "sum":
        return loss.sum()
    if reduction == "mean":
        return loss.sum() / count
    raise ValueError(f"{reduction} is not a valid value for reduction")


def _weighted(log_p: Tensor, weight: Tensor | None, classes: int) -> Tensor:
    """Scale every class's log-probability by its weight."""
    if weight is None:
        return log_p
    return log_p * weight.view(-1, *[1] * (log_p.ndim - classes - 1))


def _check_distribution(input: Tensor, target: Tensor, weight: Tensor | None, classes: int, ignore_index: int) -> None:
    if not target.is_floating_point():
        raise RuntimeError(f"Expected floating point type for target with class probabilities, got {target.dtype}")
    if ignore_index >= 0:
        raise RuntimeError("ignore_index is not supported for floating point target")
    _check_weight(input, weight, classes)


def _check_indices(input: Tensor, target: Tensor, weight: Tensor | None, classes: int) -> None:
    wanted = input.shape[:classes] + input.shape[classes + 1 :]
    if target.shape != wanted:
        if input.ndim > 1 and target.ndim > 0 and target.shape[0] != input.shape[0]:
            raise ValueError(
                f"Expected input batch_size ({input.shape[0]}) to match target batch_size ({target.shape[0]})."
            )
        raise RuntimeError(f"Expected target size {list(wanted)}, got {list(target.shape)}")
    if target.dtype not in (torch.int64, torch.uint8):
        raise RuntimeError(f"expected target dtype to be Long or Byte, but got {target.dtype}")
    _check_weight(input, weight, classes)


def _check_weight(input: Tensor, weight: Tensor | None, classes: int) -> None:
    if weight is None:
        return
    if weight.shape != (input.shape[classes],):
        raise RuntimeError(
            f"weight tensor should be defined either for all {input.shape[classes]} classes or no classes "
            f"but got weight tensor of shape: {list(weight.shape)}"
        )
    if weight.dtype != input.dtype:
        raise RuntimeError(f"expected weight of the input's type {input.dtype}, but got {weight.dtype}")
