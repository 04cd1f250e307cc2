"""Losses of choosing one class among many: from scores, and from log-probabilities."""

import torch
from torch import Tensor

from minimodels.functional.activations import log_softmax
from minimodels.functional.losses.checks import check_distribution, check_indices, check_weight
from minimodels.functional.losses.compiled import surprise_of_indices
from minimodels.functional.losses.few import surprise_of_few
from minimodels.functional.losses.likelihood import against_distribution, against_indices
from minimodels.functional.losses.reduction import chosen_reduction, reduced
from minimodels.functional.losses.surprise import surprise
from minimodels.functional.losses.truth import total_weight, truth_of
from minimodels.functional.precision import accumulator, autocast_to_float32
from minimodels.functional.transforms import plain_autograd
from minimodels.tap import listened, tap


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
        target: a class index per place (int64 or uint8), or a distribution of the input's shape.
        weight: w, one number per class.
        size_average: deprecated, see `reduction`.
        ignore_index: positions whose target is this index are ignored; class indices only.
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
        IndexError: a class index is not below C (on a CPU; on a GPU the kernel's own assertion fails).

    Cost: one exponential per element, and once more in the backward pass, ∂x = softmax(x) − t; keeps the scores and
        two numbers per place.

    References: Shannon 1948, doi:10.1002/j.1538-7305.1948.tb01338.x; Szegedy et al. 2016, arXiv:1512.00567,
        section 7 (label smoothing).

    See: `minimodels.nn.CrossEntropyLoss`; tests/functional/losses/test_classification.py.

    Example:
        >>> cross_entropy(torch.tensor([[0.0, 0.0]]), torch.tensor([1]))  # a coin: log 2
        tensor(0.6931)
    """
    reduction = chosen_reduction(reduction, size_average, reduce)
    if not 0.0 <= label_smoothing <= 1.0:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    input, weight = autocast_to_float32(input, input), autocast_to_float32(input, weight)
    classes = 0 if input.ndim <= 1 else 1
    distribution = input.shape == target.shape
    if distribution:
        check_distribution(input.shape, classes, target, ignore_index)
        target = autocast_to_float32(input, target)
    else:
        check_indices(input.shape, classes, target)
    check_weight(weight, input.shape[classes] if input.ndim else 1, input.dtype)
    if _hand_derived(input, target, weight):
        if input.numel() >= LARGE:
            return _by_rows(input, target, weight, classes, ignore_index, reduction, label_smoothing)
        if not distribution and weight is None and label_smoothing == 0 and reduction != "none":
            return surprise_of_few(input, target, classes, ignore_index, reduction)
    if torch.compiler.is_compiling() and label_smoothing == 0 and not distribution and _plain(input):
        return surprise_of_indices(input, target, weight, classes, ignore_index, reduction)
    log_p = tap("cross_entropy.log_probabilities", log_softmax(input, classes))
    if distribution:
        return against_distribution(log_p, target, weight, classes, reduction, label_smoothing)
    return against_indices(log_p, target, weight, classes, ignore_index, reduction, label_smoothing)


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Read the negative log-likelihood of the truth: ℓ = −w_y · x_y, with x = log p.

    After a log-softmax it is the cross-entropy. The mean divides by what the truths weigh together, Σ w_y (ignored
    places weigh nothing).

    Args:
        input: x, logarithms of the classes' probabilities.
        target: y, a class index per place (int64 or uint8).
        weight: w, one number per class.
        size_average: deprecated, see `reduction`.
        ignore_index: positions whose target is this index are ignored.
        reduce: deprecated, see `reduction`.
        reduction: "none", "mean" or "sum".

    Shape:
        - input: [C], [N, C] or [N, C, d₁, …, dₖ]; weight: [C]
        - target: the input's shape without C; [1] too for [C]
        - Output: the input's shape without C for "none", else []

    Raises:
        RuntimeError: shapes or dtypes do not fit.
        ValueError: batch sizes differ, there are no classes, or the reduction is unknown.
        IndexError: a class index is not below C (on a CPU; on a GPU the kernel's own assertion fails).
        NotImplementedError: the log-probabilities are integers or complex.

    Cost: one number read a place; the gradient has the input's size.

    References: Fisher 1922, doi:10.1098/rsta.1922.0009 (maximum likelihood).

    See: `minimodels.nn.NLLLoss`; tests/functional/losses/test_classification.py.

    Example:
        >>> nll_loss(torch.tensor([[0.25, 0.75]]).log(), torch.tensor([0]))  # log 4
        tensor(1.3863)
    """
    reduction = chosen_reduction(reduction, size_average, reduce)
    if input.ndim == 0:
        raise ValueError("Expected 1 or more dimensions (got 0)")
    classes = 0 if input.ndim == 1 else 1
    if classes == 0 and target.ndim == 1:
        if target.shape[0] != 1:
            raise ValueError(f"For 1D input, 1D target must have size 1, but got target size: {target.shape[0]}")
        target = target[0]
    input, weight = autocast_to_float32(input, input), autocast_to_float32(input, weight)
    check_indices(input.shape, classes, target)
    check_weight(weight, input.shape[classes], input.dtype)
    if not input.is_floating_point():
        raise NotImplementedError(f'"nll_loss" not implemented for {input.dtype}')
    return against_indices(input, target, weight, classes, ignore_index, reduction, 0.0)


def _hand_derived(input: Tensor, target: Tensor, weight: Tensor | None) -> bool:
    constants = not target.requires_grad and (weight is None or not weight.requires_grad)
    return not torch.compiler.is_compiling() and constants and _plain(input)  # a compiler fuses what it sees


def _plain(input: Tensor) -> bool:
    return plain_autograd() and not listened() and input.is_floating_point() and input.numel() > 0


LARGE = 1 << 16
"""Scores from which going over them by rows makes up for its more numerous small operations.

Microseconds of processor time forward and backward on one thread of an Intel Xeon, over the log-probabilities and by
rows: 64 rows of 10 classes 151 and 242, 64 of 1,000 409 and 403, 512 of 1,000 3002 and 2017, 512 of 4,000 15435 and
8425.
"""


def _by_rows(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    classes: int,
    ignore_index: int,
    reduction: str,
    smoothing: float,
) -> Tensor:
    places = input.shape[:classes] + input.shape[classes + 1 :]
    rows = places[0] if classes else 1
    scores = input.reshape(rows, input.shape[classes], -1)  # [N, C, D]
    truth = truth_of(
        target.reshape(scores.shape if target.shape == input.shape else (rows, -1)),
        scores.shape[1],
        weight,
        ignore_index,
        smoothing,
        accumulator(input.dtype),
    )
    loss = surprise(scores, truth).view(places)
    return reduced(loss, reduction, total_weight(target, weight, ignore_index, places)).to(input.dtype)
