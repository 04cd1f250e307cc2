"""Batch norm, instance norm and group norm: γ and β belong to channels, and so do running statistics."""

import math

import torch
from torch import Tensor

from minimodels.functional.layout import image_layout
from minimodels.functional.norms import checks, running
from minimodels.functional.norms.choice import autocast, normalize, viewed
from minimodels.functional.norms.definition import Axes


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
    gamma, beta = viewed(weight, shape), viewed(bias, shape)
    if not training:
        assert running_mean is not None
        assert running_var is not None
        y = running.normalize(x, gamma, beta, running_mean.view(shape), running_var.view(shape), eps)
    else:
        y, mean, variance = normalize(x, gamma, beta, Axes(dims, eps))
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
    gamma, beta = viewed(weight, shape), viewed(bias, shape)
    if not use_input_stats:
        assert running_mean is not None
        assert running_var is not None
        y = running.normalize(x, gamma, beta, running_mean.view(shape), running_var.view(shape), eps)
    else:
        y, mean, variance = normalize(x, gamma, beta, Axes((2,), eps))
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
    input, weight, bias = autocast(input, input), autocast(input, weight), autocast(input, bias)
    checks.check_numbers("group_norm", input, weight, bias)
    groups = (num_groups, channels // num_groups)
    x = input.contiguous().view(batch, *groups, math.prod(input.shape[2:]))
    shape = (1, *groups, 1)
    y = normalize(x, viewed(weight, shape), viewed(bias, shape), Axes((2, 3), eps)).output
    return y.view(input.shape).contiguous(memory_format=image_layout(input))
