"""Normalisations: one operation over axes, and every layer a choice of axes. This file chooses them.

    x[n, c, s]: sample, channel, place       mean and variance over       γ and β for each
    batch norm                               n, s                         c
    layer norm, RMS norm (without mean)      the last dimensions          element of these
    group norm                               s and a group's channels     c
    instance norm                            s                            c

definition.py   the operation in plain tensor algebra; every derivative of every order
few.py          layer norm and RMS norm of a few rows without a gradient
rows.py         layer norm and RMS norm of the rows of a matrix, a few rows at a time, and a hand-derived backward
pieces.py       the others likewise: all passes over a piece within the cache
running.py      running statistics
checks.py       what is refused

All are public and tested against each other and against torch.nn.functional.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from minimodels.functional.layout import image_layout
from minimodels.functional.norms import checks, definition, few, pieces, rows, running
from minimodels.functional.norms.definition import Axes, Normalized
from minimodels.functional.precision import Operand, accumulator, autocast_to_float32
from minimodels.functional.transforms import steps_aside
from minimodels.tap import listened

__all__ = [
    "Axes",
    "batch_norm",
    "checks",
    "definition",
    "few",
    "group_norm",
    "instance_norm",
    "layer_norm",
    "pieces",
    "rms_norm",
    "rows",
    "running",
]


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float | Tensor = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise every channel over the batch: y[n, c, s] = γ[c]·(x[n, c, s] − μ[c]) / √(σ²[c] + ε) + β[c].

    In training μ and σ² are the batch's own, and the running statistics move towards them, s ← s + m·(v − s), where v
    is μ or the unbiased σ²·n/(n − 1). In evaluation they are the running statistics, and y is affine in x.

    Args:
        input: a batch; two or more dimensions, channels second.
        running_mean: changed in place in training; may be missing there.
        running_var: likewise.
        weight: γ; None is 1.
        bias: β; None is 0.
        training: normalise with the batch's own statistics.
        momentum: m; a tensor of one number is read without waiting for it.
        eps: ε, added to the variance.

    Shape:
        - input: [N, C, *]; all others: [C]
        - Output: [N, C, *]

    Raises:
        ValueError: a channel has a single value in training, ε is negative (or 0 in training), or one running statistic
            is missing.
        RuntimeError: sizes or dtypes do not fit, or running statistics are missing in evaluation.
        IndexError: the input has no channels' dimension.
        NotImplementedError: the input is not floating-point.

    Cost: training five passes forward and five backward, evaluation two, of which one read and one write
        leave the cache; x is kept for the derivative.

    References: Ioffe & Szegedy 2015, arXiv:1502.03167, algorithms 1 and 2.

    See: `minimodels.nn.BatchNorm2d`; tests/functional/test_norms.py.

    Example:
        >>> mean, variance = torch.zeros(1), torch.ones(1)
        >>> batch_norm(torch.tensor([[1.0], [3.0]]), mean, variance, training=True, momentum=0.5)
        tensor([[-1.0000],
                [ 1.0000]])
        >>> mean, variance
        (tensor([1.]), tensor([1.5000]))
    """
    if eps < 0 or (training and eps == 0):
        raise ValueError(f"batch_norm eps must be {'positive' if training else 'non-negative'}, but got {eps}")
    if input.ndim < 2:
        raise IndexError(f"batch_norm needs samples and channels, but the input has {input.ndim} dimensions")
    channels, count = input.shape[1], input.shape[0] * math.prod(input.shape[2:])
    if training:
        checks.check_more_than_one("value per channel", count, input.shape)
    checks.check_running(running_mean, running_var, training)
    checks.check_channels(channels, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    checks.check_numbers("batch_norm", input, weight, bias, running_mean, running_var)
    last = input.ndim == 2 or image_layout(input) is not torch.contiguous_format
    x = (
        input.movedim(1, -1).reshape(count, channels)
        if last
        else input.reshape(*input.shape[:2], math.prod(input.shape[2:]))
    )
    shape, dims = ((1, channels), (0,)) if last else ((1, channels, 1), (0, 2))
    gamma, beta = _viewed(weight, shape), _viewed(bias, shape)
    if not training:
        assert running_mean is not None
        assert running_var is not None
        y = running.normalize(x, gamma, beta, running_mean.view(shape), running_var.view(shape), eps)
    else:
        y, mean, variance = _normalize(x, gamma, beta, Axes(dims, eps))
        if running_mean is not None and running_var is not None and input.numel():
            running.remember(running_mean, mean.flatten(), momentum)
            running.remember(running_var, running.unbiased(variance.flatten(), count), momentum)
    return y.view(input.shape[0], *input.shape[2:], channels).movedim(-1, 1) if last else y.view(input.shape)


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise every channel of every sample: y[n, c, s] = γ[c]·(x[n, c, s] − μ[n, c]) / √(σ²[n, c] + ε) + β[c].

    Running statistics, if given, move towards the samples' average. An empty batch leaves them as they are; PyTorch
    makes them NaN.

    Args:
        input: a batch; channels second.
        running_mean: changed in place when the input's statistics are used, else used instead of them.
        running_var: likewise.
        weight: γ; None is 1.
        bias: β; None is 0.
        use_input_stats: normalise with each sample's own statistics.
        momentum: how far the running statistics move.
        eps: ε, added to the variance.

    Shape:
        - input: [N, C, *]; all others: [C]
        - Output: [N, C, *]

    Raises:
        ValueError: a channel has a single place, or one running statistic is missing.
        RuntimeError: sizes or dtypes do not fit, or running statistics are missing where they are used.
        NotImplementedError: the input is not floating-point.

    Cost: as batch_norm.

    References: Ulyanov, Vedaldi & Lempitsky 2016, arXiv:1607.08022.

    See: `minimodels.nn.InstanceNorm2d`; tests/functional/test_norms.py.

    Example:
        >>> instance_norm(torch.tensor([[[1.0, 3.0], [10.0, 30.0]]]))
        tensor([[[-1.0000,  1.0000],
                 [-1.0000,  1.0000]]])
    """
    places = math.prod(input.shape[2:])
    if use_input_stats:
        checks.check_more_than_one("spatial element", places, input.shape)
    checks.check_running(running_mean, running_var, use_input_stats)
    batch, channels = input.shape[:2]
    checks.check_channels(channels, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    checks.check_numbers("instance_norm", input, weight, bias, running_mean, running_var)
    x, shape = input.reshape(batch, channels, places), (1, channels, 1)
    gamma, beta = _viewed(weight, shape), _viewed(bias, shape)
    if not use_input_stats:
        assert running_mean is not None
        assert running_var is not None
        y = running.normalize(x, gamma, beta, running_mean.view(shape), running_var.view(shape), eps)
    else:
        y, mean, variance = _normalize(x, gamma, beta, Axes((2,), eps))
        if running_mean is not None and running_var is not None and input.numel():
            running.remember(running_mean, mean.mean(0).flatten(), momentum)
            running.remember(running_var, running.unbiased(variance.mean(0).flatten(), places), momentum)
    return y.view(input.shape)


def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Normalise each group of channels of every sample.

        y[n, c, s] = γ[c]·(x[n, c, s] − μ[n, g]) / √(σ²[n, g] + ε) + β[c]

    Channel c belongs to group g = ⌊c·G/C⌋. One group is layer norm over channels and places together (but for γ and
    β), a group for each channel is instance norm.

    Args:
        input: a batch; two or more dimensions, channels second.
        num_groups: G, by which the number of channels is divisible.
        weight: γ; None is 1.
        bias: β; None is 0.
        eps: ε, added to the variance.

    Shape:
        - input: [N, C, *]; weight, bias: [C]
        - Output: [N, C, *]

    Raises:
        RuntimeError: sizes or dtypes do not fit.
        ValueError: there is a single value per group.
        NotImplementedError: the input is not floating-point.

    Cost: five passes forward and six backward, of which one read and one write leave the cache; x is kept for the
        derivative. Channels-last images are copied to channels-first and back.

    References: Wu & He 2018, arXiv:1803.08494.

    See: `minimodels.nn.GroupNorm`; tests/functional/test_norms.py.

    Example:
        >>> group_norm(torch.tensor([[1.0, 3.0, 10.0, 30.0]]), 2)
        tensor([[-1.0000,  1.0000, -1.0000,  1.0000]])
    """
    checks.check_groups(input, num_groups)
    batch, channels = input.shape[:2]
    checks.check_channels(channels, weight=weight, bias=bias)
    input, weight, bias = _autocast(input, input), _autocast(input, weight), _autocast(input, bias)
    checks.check_numbers("group_norm", input, weight, bias)
    groups = (num_groups, channels // num_groups)
    x = input.contiguous().view(batch, *groups, math.prod(input.shape[2:]))
    shape = (1, *groups, 1)
    y = _normalize(x, _viewed(weight, shape), _viewed(bias, shape), Axes((2, 3), eps)).output
    return y.view(input.shape).contiguous(memory_format=image_layout(input))


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
    input, weight, bias = _autocast(input, input), _autocast(input, weight), _autocast(input, bias)
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
    input, weight = _autocast(input, input), _autocast(input, weight)
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
    gamma, beta = _viewed(weight, row), _viewed(bias, row)
    if _aside(x, gamma, beta):
        return definition.normalize(x, gamma, beta, axes).output.view(input.shape)
    return rows.normalize(x, gamma, beta, axes).view(input.shape)


def _normalize(x: Tensor, weight: Tensor | None, bias: Tensor | None, axes: Axes) -> Normalized:
    """Choose the algorithm: pieces for eager CPU and GPU code, the definition for all who would look inside."""
    if _aside(x, weight, bias):
        return definition.normalize(x, weight, bias, axes)
    return pieces.normalize(x, weight, bias, axes)


def _aside(x: Tensor, *parameters: Tensor | None) -> bool:
    """Whether the definition has to serve: a compiler, a transform, a listener, complex numbers, or nothing at all."""
    operands = [t for t in (x, *parameters) if t is not None]
    return torch.compiler.is_compiling() or listened() or x.is_complex() or not x.numel() or steps_aside(*operands)


def _viewed(parameter: Tensor | None, shape: tuple[int, ...]) -> Tensor | None:
    return None if parameter is None else parameter.reshape(shape)


def _autocast(reference: Tensor, operand: Operand) -> Operand:
    """Cast to float32 on the devices where autocast counts the operation among the float32 ones; a CPU is none."""
    return operand if reference.device.type == "cpu" else autocast_to_float32(reference, operand)
