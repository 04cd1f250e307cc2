"""In which precision an operation runs: what it adds up in, and what `torch.autocast` makes of it.

Autocast keeps two lists: matrix products run in the low precision that the context names, losses and
the like run in float32. Our operations ask here to be treated as their namesakes are.
"""

from typing import TypeVar

import torch
from torch import Tensor

Operand = TypeVar("Operand", Tensor, Tensor | None)


def accumulator(dtype: torch.dtype) -> torch.dtype:
    """Give the type in which sums of numbers of a type are formed: float32 for the 16-bit ones.

    Args:
        dtype: the numbers' type.

    Example:
        >>> accumulator(torch.bfloat16), accumulator(torch.float64)
        (torch.float32, torch.float64)
    """
    return torch.float32 if dtype in (torch.float16, torch.bfloat16) else dtype


def rounded(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Cast to another type, and leave alone what is of it already.

    So does `to`, which then hands on the tensor that it was given. Where a `torch.autograd.Function` hands out such a
    tensor, PyTorch 2.11 compiles a derivative as if zeros came from above.

    Args:
        x: the numbers.
        dtype: their type afterwards.

    Example:
        >>> rounded(torch.ones(1) / 3, torch.bfloat16)
        tensor([0.3340], dtype=torch.bfloat16)
    """
    return x if x.dtype is dtype else x.to(dtype)


def common_dtype(a: Tensor, b: Tensor) -> torch.dtype:
    """Give the type that two tensors meet in; a number alone (no dimensions) does not widen a tensor.

    Args:
        a: one tensor.
        b: the other.

    Example:
        >>> common_dtype(torch.ones(2), torch.ones(2, dtype=torch.int64))
        torch.float32
    """
    if (a.ndim == 0) == (b.ndim == 0):
        return torch.promote_types(a.dtype, b.dtype)  # a compiler knows this function, but not the next
    return torch.result_type(a, b)


def autocast_to_low_precision(reference: Tensor, operand: Operand) -> Operand:
    """Cast an operand of a matrix product to autocast's low precision, if autocast is on.

    Args:
        reference: the tensor whose device decides which autocast counts.
        operand: what to cast; None stays None, float64 and non-floating tensors stay as they are.

    Example:
        >>> with torch.autocast("cpu", dtype=torch.bfloat16):
        ...     autocast_to_low_precision(torch.ones(1), torch.ones(1)).dtype
        torch.bfloat16
    """
    return _cast(reference, operand, None)


def autocast_to_float32(reference: Tensor, operand: Operand) -> Operand:
    """Cast an operand to float32 if autocast is on, as losses do.

    Args:
        reference: the tensor whose device decides which autocast counts.
        operand: what to cast; None stays None, float64 and non-floating tensors stay as they are.

    Example:
        >>> with torch.autocast("cpu", dtype=torch.bfloat16):
        ...     autocast_to_float32(torch.ones(1), torch.ones(1, dtype=torch.bfloat16)).dtype
        torch.float32
    """
    return _cast(reference, operand, torch.float32)


def _cast(reference: Tensor, operand: Operand, dtype: torch.dtype | None) -> Operand:
    device = reference.device.type
    if operand is None or not torch.amp.is_autocast_available(device) or not torch.is_autocast_enabled(device):
        return operand
    eligible = operand.is_floating_point() and operand.dtype != torch.float64
    return operand.to(dtype or torch.get_autocast_dtype(device)) if eligible else operand
