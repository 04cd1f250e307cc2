"""The definition of a loss over classes: what the log-probabilities of the truth are, ℓ = −Σ_c w_c·t_c·log p_c."""

import torch
from torch import Tensor

from minimodels.functional.losses.reduction import reduced
from minimodels.functional.losses.truth import picked, total_weight


def against_distribution(
    log_p: Tensor, target: Tensor, weight: Tensor | None, classes: int, reduction: str, smoothing: float
) -> Tensor:
    """Weigh log-probabilities by distributions.

    Args:
        log_p: log softmax(x).
        target: t, of the same shape.
        weight: w, one number per class, or None.
        classes: which dimension the classes are.
        reduction: "none", "mean" or "sum".
        smoothing: ε.
    """
    count = log_p.shape[classes]
    if smoothing > 0:
        target = target * (1 - smoothing) + smoothing / count
    loss = -(_weighted(log_p, weight, classes) * target).sum(classes)
    return reduced(loss, reduction, loss.new_tensor(float(loss.numel())))


def against_indices(
    log_p: Tensor,
    target: Tensor,
    weight: Tensor | None,
    classes: int,
    ignore_index: int,
    reduction: str,
    smoothing: float,
) -> Tensor:
    """Read the log-probabilities of the true classes.

    Args:
        log_p: log softmax(x), or what a caller of `nll_loss` gives for it.
        target: y, a class index a place.
        weight: w, one number per class, or None.
        classes: which dimension the classes are.
        ignore_index: positions whose target is this index are ignored.
        reduction: "none", "mean" or "sum".
        smoothing: ε.

    Raises:
        IndexError: a class index is not below C (on a CPU; on a GPU the kernel's own assertion fails).
    """
    counted = target != ignore_index
    index = target.to(torch.int64).where(counted, 0)  # an ignored index may be out of range: read any class there
    weighted = _weighted(log_p, weight, classes)
    loss = -picked(weighted, classes, index)
    if smoothing > 0:
        loss = (1 - smoothing) * loss - smoothing / log_p.shape[classes] * weighted.sum(classes)
    loss = loss.where(counted, 0)
    return reduced(loss, reduction, total_weight(target, weight, ignore_index, target.shape)).to(log_p.dtype)


def _weighted(log_p: Tensor, weight: Tensor | None, classes: int) -> Tensor:
    """Scale every class's log-probability by its weight."""
    if weight is None:
        return log_p
    return log_p * weight.view(-1, *[1] * (log_p.ndim - classes - 1))
