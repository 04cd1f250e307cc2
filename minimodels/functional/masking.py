"""Dropouts: in training, silence units, or whole channels, at random so that none can rely on another."""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zero each element with probability p and scale the rest: y = x · m / (1 − p), m ~ Bernoulli(1 − p).

    The scale keeps the expected value, E[y] = x, so that nothing has to change when training ends. The mask is
    drawn just as PyTorch draws it on the CPU: the same seed gives the same zeros.

    Args:
        input: any tensor of floating-point numbers.
        p: probability of a zero.
        training: without it the input is handed back.
        inplace: write the result over the input.

    Shape:
        - input: [*]
        - Output: [*]

    Raises:
        ValueError: p is not a probability.
        RuntimeError: the numbers are integers, which cannot be scaled.

    Cost: one random number and two products per element; the mask is kept for the backward pass.

    References: Hinton et al. 2012, arXiv:1207.0580; Srivastava et al. 2014, JMLR 15:1929-1958.

    See: `minimodels.nn.Dropout`; tests/functional/test_masking.py.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> dropout(torch.ones(6), p=0.5)
        tensor([0., 0., 2., 0., 0., 0.])
    """
    _check_probability(p)
    if not training or p == 0.0 or input.numel() == 0:
        return input
    return _drop(input, p, inplace, lambda: torch.empty_like(input))


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zero each channel of a sequence with probability p and scale the rest: y[n, c] = x[n, c] · m[n, c] / (1 − p).

    Neighbours within a channel are strongly correlated, so zeroing them one by one would take little away.
    The mask, m ~ Bernoulli(1 − p), is PyTorch's on the CPU: the same seed gives the same zeros.

    Args:
        input: a batch of sequences, or one.
        p: probability of a zero.
        training: without it the input is handed back.
        inplace: write the result over the input.

    Shape:
        - input: [N, C, L] or [C, L]
        - Output: as the input

    Raises:
        ValueError: p is not a probability.
        RuntimeError: the input has other dimensions, or the numbers are integers.

    Cost: one random number per channel, one product per element; the mask, one number per channel, is kept for the
        backward pass.

    References: Tompson et al. 2015, arXiv:1411.4280, section 3.2.

    See: `minimodels.nn.Dropout1d`; tests/functional/test_masking.py.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> dropout1d(torch.ones(1, 4, 2), p=0.5).sum(2)
        tensor([[0., 0., 4., 0.]])
    """
    _check_probability(p)
    if input.ndim not in (2, 3):
        raise RuntimeError(f"dropout1d: Expected 2D or 3D input, but received a {input.ndim}D input.")
    return _drop_channels(input, p, training, inplace, batched=input.ndim == 3)


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zero each channel of an image with probability p and scale the rest: y[n, c] = x[n, c] · m[n, c] / (1 − p).

    Neighbours within a channel are strongly correlated, so zeroing them one by one would take little away.
    The mask, m ~ Bernoulli(1 − p), is PyTorch's on the CPU: the same seed gives the same zeros.

    Args:
        input: a batch of images; three dimensions are read as [N, C, L], with PyTorch's warning, any others warned of.
        p: probability of a zero.
        training: without it the input is handed back.
        inplace: write the result over the input.

    Shape:
        - input: [N, C, H, W], or [N, C, *]
        - Output: as the input

    Raises:
        ValueError: p is not a probability.
        RuntimeError: there are fewer than two dimensions, or the numbers are integers.

    Cost: one random number per channel, one product per element; the mask, one number per channel, is kept for the
        backward pass.

    References: Tompson et al. 2015, arXiv:1411.4280, section 3.2.

    See: `minimodels.nn.Dropout2d`; tests/functional/test_masking.py.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> dropout2d(torch.ones(1, 4, 2, 1), p=0.5).sum((2, 3))
        tensor([[0., 0., 4., 0.]])
    """
    _check_probability(p)
    if input.ndim not in (3, 4):
        warnings.warn(
            f"dropout2d: Received a {input.ndim}-D input to dropout2d, which is deprecated and will result in an error "
            "in a future release. To retain the behavior and silence this warning, please use dropout instead.",
            stacklevel=2,
        )
    if input.ndim == 3:
        warnings.warn(
            "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout behavior is "
            "desired - input is interpreted as shape (N, C, L). To maintain this, please use dropout1d instead.",
            stacklevel=2,
        )
    return _drop_channels(input, p, training, inplace, batched=True)


def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zero each channel of a volume with probability p and scale the rest: y[n, c] = x[n, c] · m[n, c] / (1 − p).

    Neighbours within a channel are strongly correlated, so zeroing them one by one would take little away.
    The mask, m ~ Bernoulli(1 − p), is PyTorch's on the CPU: the same seed gives the same zeros.

    Args:
        input: a batch of volumes, or one; other numbers of dimensions are read as one, with PyTorch's warning.
        p: probability of a zero.
        training: without it the input is handed back.
        inplace: write the result over the input.

    Shape:
        - input: [N, C, D, H, W] or [C, D, H, W]
        - Output: as the input

    Raises:
        ValueError: p is not a probability.
        RuntimeError: there are no dimensions, or the numbers are integers.

    Cost: one random number per channel, one product per element; the mask, one number per channel, is kept for the
        backward pass.

    References: Tompson et al. 2015, arXiv:1411.4280, section 3.2.

    See: `minimodels.nn.Dropout3d`; tests/functional/test_masking.py.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> dropout3d(torch.ones(4, 2, 1, 1), p=0.5).sum((1, 2, 3))
        tensor([0., 0., 4., 0.])
    """
    _check_probability(p)
    if input.ndim not in (4, 5):
        warnings.warn(
            f"dropout3d: Received a {input.ndim}-D input to dropout3d, which is deprecated and will result in an error "
            "in a future release. To retain the behavior and silence this warning, please use dropout instead.",
            stacklevel=2,
        )
    return _drop_channels(input, p, training, inplace, batched=input.ndim == 5)


def _drop_channels(input: Tensor, p: float, training: bool, inplace: bool, batched: bool) -> Tensor:
    channels = input.shape[: 1 + batched]
    if not training or p == 0.0 or input.numel() == 0:
        return input
    if p < 1.0 and len(channels) < 1 + batched:
        raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
    return _drop(input, p, inplace, lambda: input.new_empty(*channels, *[1] * (input.ndim - len(channels))))


def _drop(input: Tensor, p: float, inplace: bool, fresh: Callable[[], Tensor]) -> Tensor:
    """Draw a mask over memory that is fresh, and apply it."""
    if p == 1.0:
        return input.zero_() if inplace else input * input.new_zeros(())
    mask = fresh().bernoulli_(1.0 - p).div_(1.0 - p)
    return input.mul_(mask) if inplace else input * mask


def _check_probability(p: float) -> None:
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
