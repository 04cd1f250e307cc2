"""Layer norm and RMS norm: every row of the last dimensions by itself, γ and β an element each."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from minimodels.functional.layout import image_layout
from minimodels.functional.norms import checks, definition, few, rows
from minimodels.functional.norms.choice import autocast, left_to_the_definition, viewed
from minimodels.functional.norms.definition import Axes
from minimodels.functional.precision import accumulator


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise over the last dimensions: y[…, i] = γ[i]·(x[…, i] − μ[…]) / √(σ²[…] + ε) + β[i].

    Args:
        input: any number of leading dimensions.
        normalized_shape: the last dimensions, over which i runs.
        weight: γ; None is 1.
        bias: β; None is 0.
        eps: ε, added to the variance.

    Shape:
        - input: [*, *normalized_shape]; weight, bias: normalized_shape
        - Output: [*, *normalized_shape]

    Raises:
        RuntimeError: shapes or dtypes do not fit.
        TypeError: the shape is a number.
        NotImplementedError: the input is not floating-point.

    Cost: five passes forward and ten backward, of which one read and one write (two reads backward) leave the cache;
        x is kept for the derivative, and two numbers a row.

    References: Ba, Kiros & Hinton 2016, arXiv:1607.06450.

    See: `minimodels.nn.LayerNorm`; tests/functional/test_norms.py.

    Example:
        >>> layer_norm(torch.tensor([[1.0, 3.0], [10.0, 30.0]]), (2,))
        tensor([[-1.0000,  1.0000],
                [-1.0000,  1.0000]])
    """
    if few.serves(input, normalized_shape, eps, weight, bias):
        assert weight is not None
        return few.normalize(input, weight, bias, eps)
    checks.check_trailing(input, normalized_shape, weight=weight, bias=bias)
    input, weight, bias = autocast(input, input), autocast(input, weight), autocast(input, bias)
    checks.check_numbers("layer_norm", input, weight, bias)
    return _over_last(input, normalized_shape, weight, bias, eps, centred=True)


def rms_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """Divide by the root of the mean square over the last dimensions: y[…, i] = γ[i]·x[…, i] / √(mean_j x[…, j]² + ε).

    Layer norm without the mean: y does not change with the scale of x (but for ε), while it does with a shift.

    Args:
        input: any number of leading dimensions.
        normalized_shape: the last dimensions, over which i and j run.
        weight: γ; None is 1.
        eps: ε; None is the machine epsilon of the type that is computed in.

    Shape:
        - input: [*, *normalized_shape]; weight: normalized_shape
        - Output: [*, *normalized_shape]

    Raises:
        RuntimeError: shapes do not fit.
        ValueError: the input has fewer dimensions than the shape.
        TypeError: the shape is a number.
        NotImplementedError: the numbers are integers.

    Cost: three passes forward and seven backward, of which one read and one write (two reads backward) leave the cache;
        x is kept for the derivative, and a number a row.

    References: Zhang & Sennrich 2019, arXiv:1910.07467, equation (4).

    See: `minimodels.nn.RMSNorm`; tests/functional/test_norms.py.

    Example:
        >>> rms_norm(torch.tensor([[1.0, 7.0], [10.0, 70.0]]), (2,))  # the root of (1 + 49) / 2 is 5
        tensor([[0.2000, 1.4000],
                [0.2000, 1.4000]])
    """
    if not isinstance(normalized_shape, int) and input.ndim < len(normalized_shape):
        raise ValueError(f"Input tensor must have at least {len(normalized_shape)} dimensions, but got {input.ndim}")
    checks.check_trailing(input, normalized_shape, weight=weight)
    input, weight = autocast(input, input), autocast(input, weight)
    if not input.is_floating_point() and not input.is_complex():
        raise NotImplementedError(f'"rms_norm" not implemented for {input.dtype}')
    eps = torch.finfo(accumulator(input.dtype)).eps if eps is None else eps
    if few.serves(input, normalized_shape, eps, weight):
        assert weight is not None
        return few.normalize(input, weight, None, eps, centred=False)
    y = _over_last(input, normalized_shape, weight, None, eps, centred=False)
    return y.contiguous(memory_format=image_layout(input))


def _over_last(
    input: Tensor, shape: Sequence[int], weight: Tensor | None, bias: Tensor | None, eps: float, *, centred: bool
) -> Tensor:
    """Normalise the rows of a matrix, a row the last dimensions."""
    row = (1, math.prod(shape))
    axes = Axes((1,), eps, centred)
    x = input.reshape(math.prod(input.shape[: input.ndim - len(shape)]), row[1])
    gamma, beta = viewed(weight, row), viewed(bias, row)
    if left_to_the_definition(x, gamma, beta):
        return definition.normalize(x, gamma, beta, axes).output.view(input.shape)
    return rows.normalize(x, gamma, beta, axes).view(input.shape)
