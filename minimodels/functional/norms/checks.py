"""What normalisations refuse, in the words that PyTorch's users know."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def check_numbers(name: str, input: Tensor, *parameters: Tensor | None) -> None:
    """Check the dtypes: parameters have the input's, or all of them are float32 beside a 16-bit input.

    Args:
        name: the operation, for the message.
        input: real numbers.
        parameters: weights, biases, running statistics; None does not count.

    Raises:
        NotImplementedError: the input is no floating-point number.
        RuntimeError: the dtypes do not fit together.
    """
    if not input.is_floating_point():
        raise NotImplementedError(f'"{name}" not implemented for {input.dtype}')
    kinds = {t.dtype for t in parameters if t is not None}
    mixed = {torch.float32} if input.dtype in (torch.float16, torch.bfloat16) else {input.dtype}
    if kinds not in (set(), {input.dtype}, mixed):
        raise RuntimeError(
            f"{name}: mixed dtype: expected parameters of the input's type {input.dtype}, "
            f"or of float32 beside a 16-bit input, but got {', '.join(map(str, kinds))}"
        )


def check_trailing(input: Tensor, normalized_shape: Sequence[int], **parameters: Tensor | None) -> None:
    """Check that the input and the parameters end in the shape that is normalised over.

    Args:
        input: the input.
        normalized_shape: its last dimensions.
        parameters: weight and bias by name.

    Raises:
        TypeError: the shape is no sequence of integers.
        RuntimeError: something has another shape.
    """
    if isinstance(normalized_shape, int):
        raise TypeError(f"normalized_shape must be a tuple of ints, but got the number {normalized_shape}")
    shape = tuple(normalized_shape)
    if not shape:
        raise RuntimeError(
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, "
            "but got normalized_shape = []"
        )
    for name, parameter in parameters.items():
        if parameter is not None and tuple(parameter.shape) != shape:
            raise RuntimeError(
                f"Expected {name} to be of same shape as normalized_shape, but got {name} of shape "
                f"{list(parameter.shape)} and normalized_shape = {list(shape)}"
            )
    if tuple(input.shape[-len(shape) :]) != shape:
        raise RuntimeError(
            f"Given normalized_shape={list(shape)}, expected input with shape "
            f"[*, {', '.join(map(str, shape))}], but got input of size{list(input.shape)}"
        )


def check_channels(channels: int, **parameters: Tensor | None) -> None:
    """Check that there is one number per channel.

    Args:
        channels: how many there are.
        parameters: weights, biases, running statistics by name.

    Raises:
        RuntimeError: one has another number of elements.
    """
    for name, parameter in parameters.items():
        if parameter is not None and parameter.shape != (channels,):
            raise RuntimeError(f"{name} should contain {channels} elements not {parameter.numel()}")


def check_groups(input: Tensor, num_groups: int) -> None:
    """Check that the channels fall into groups of more than one element.

    Args:
        input: [N, C, *].
        num_groups: how many groups.

    Raises:
        RuntimeError: there are no channels, or the groups do not divide them.
        ValueError: a group has a single element, whose deviation is zero.
    """
    if input.ndim < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received {input.ndim}")
    if num_groups == 0:
        raise ZeroDivisionError("num_groups is 0, but channels cannot be divided into no groups")
    count = input.shape[0] * input.shape[1] // num_groups * math.prod(input.shape[2:])
    check_more_than_one("value per channel", count, input.shape)
    if num_groups < 0:
        raise RuntimeError(f"Expected num groups to be greater than 0, got {num_groups}")
    if input.shape[1] % num_groups:
        raise RuntimeError(
            "Expected number of channels in input to be divisible by num_groups, "
            f"but got input of shape {list(input.shape)} and num_groups={num_groups}"
        )


def check_more_than_one(what: str, count: int, size: Sequence[int]) -> None:
    """Check that a mean goes over more than one element: a single one has no deviation.

    Args:
        what: the elements, for the message.
        count: how many there are.
        size: the input's size, for the message.

    Raises:
        ValueError: there is a single one.
    """
    if count == 1:
        raise ValueError(f"Expected more than 1 {what} when training, got input size {size}")


def check_running(running_mean: Tensor | None, running_var: Tensor | None, training: bool) -> None:
    """Check that running statistics come in a pair, and that they are there where they are needed.

    Args:
        running_mean: the running mean.
        running_var: the running variance.
        training: the batch's own statistics are used.

    Raises:
        RuntimeError: evaluation lacks them.
        ValueError: one is there and the other not.
    """
    for name, statistic in (("running_mean", running_mean), ("running_var", running_var)):
        if statistic is None and not training:
            raise RuntimeError(f"{name} must be defined in evaluation mode")
    if (running_mean is None) != (running_var is None):
        raise ValueError("running_mean and running_var must either both be None or neither be None")
