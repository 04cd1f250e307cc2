"""What `torch.autocast` does to an operation, for operations that are not PyTorch's own.

Autocast keeps two lists: matrix products run in the low precision that the context names, losses and
the like run in float32. Our operations ask here to be treated as their namesakes are.
"""

from typing import TypeVar

import torch
from torch import Tensor

Operand = TypeVar("Operand", Tensor, Tensor | None)


def lowered(reference: Tensor, operand: Operand) -> Operand:
    """Cast an operand of a matrix product to autocast's low precision, if autocast is on.

    Args:
        reference: the tensor whose device decides which autocast counts.
        operand: what to cast; None stays None, float64 and non-floating tensors stay as they are.

    Example:
        >>> with torch.autocast("cpu", dtype=torch.bfloat16):
        ...     lowered(torch.ones(1), torch.ones(1)).dtype
        torch.bfloat16
    """
    return _cast(reference, operand, None)


def raised(reference: Tensor, operand: Operand) -> Operand:
    """Cast an operand to float32 if autocast is on, as losses do.

    Args:
        reference: the tensor whose device decides which autocast counts.
        operand: what to cast; None stays None, float64 and non-floating tensors stay as they are.

    Example:
        >>> with torch.autocast("cpu", dtype=torch.bfloat16):
        ...     raised(torch.ones(1), torch.ones(1, dtype=torch.bfloat16)).dtype
        torch.float32
    """
    return _cast(reference, operand, torch.float32)


def _cast(reference: Tensor, operand: Operand, dtype: torch.dtype | None) -> Operand:
    device = reference.device.type
    if operand is None or not torch.amp.is_autocast_available(device) or not torch.is_autocast_enabled(device):
        return operand
    eligible = operand.is_floating_point() and operand.dtype != torch.float64
    return operand.to(dtype or torch.get_autocast_dtype(device)) if eligible else operand
