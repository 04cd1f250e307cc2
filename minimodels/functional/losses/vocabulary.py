"""The last layer and its loss in one: a linear map onto a vocabulary, and the cross-entropy, in chunks of rows.

A language model's scores are its largest tensor: 512 rows of 50,257 words are 103 MB in float32, and a loss behind a
layer holds up to three of that size at once (log-probabilities, their gradient, and that of the scores). None of them
is needed whole: chunked.py goes through them a few rows at a time. Here stands what may be asked for, and who answers.
"""

import math

import torch
from torch import Tensor
from torch.nn import LinearCrossEntropyOptions

from minimodels.functional.affine import linear
from minimodels.functional.losses.checks import check_distribution, check_indices, check_weight
from minimodels.functional.losses.chunked import surprise_of_layer
from minimodels.functional.losses.classification import cross_entropy
from minimodels.functional.losses.reduction import chosen_reduction, reduced
from minimodels.functional.losses.truth import total_weight, truth_of
from minimodels.functional.precision import accumulator, autocast_to_float32, autocast_to_low_precision
from minimodels.functional.transforms import plain_autograd
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
    step = None if options is None else options.batch_chunk_size or 0
    loss = surprise_of_layer(rows, matrix, vector, truth, reduction == "none", step)
    places = shape[:dim] + shape[dim + 1 :]
    if reduction == "none":
        return loss.view(places).to(dtype)
    return reduced(loss, reduction, total_weight(target, weight, ignore_index, places)).to(dtype)
