"""Whether an operation may take its shortest road: nobody differentiates, transforms, compiles or listens to it.

A network that writes one token after the other calls hundreds of operations on a few numbers each, and between them
reads a weight that pushes everything else out of the cache: its program as well. What an operation costs then is the
code that is run through, Python's and PyTorch's, and not the arithmetic. So functions have a road for a few numbers
that asks once, here, and then does no more than it must.
"""

import functools

import torch
from torch import Tensor

from minimodels.functional.transforms import plain_autograd
from minimodels.tap import listened

FEW = 1 << 15
"""Numbers up to which an operation is left to one thread by PyTorch, and is sooner done than its call."""

_PLAIN = (Tensor, torch.nn.Parameter)  # a subclass (meta, fake, wrapped) wants PyTorch's own dispatch
_is_batched = torch._C._functorch.is_legacy_batchedtensor


def unwatched(*operands: Tensor | None) -> bool:
    """Say whether these are ordinary tensors on a CPU, and their numbers are all that an operation has to give.

    Args:
        operands: what goes in; None does not count.

    Returns:
        False where a gradient is asked for, under a compiler, a transform, autocast or a listener, and for tensors of
        other devices and classes.

    Cost: 2 µs, no more than the smallest operation of PyTorch.

    See: tests/functional/test_unwatched.py.

    Example:
        >>> x = torch.ones(1, requires_grad=True)
        >>> unwatched(torch.ones(1)), unwatched(x), unwatched(x.detach(), None)
        (True, False, True)
    """
    if torch.compiler.is_compiling() or listened() or not plain_autograd() or torch.is_autocast_enabled("cpu"):
        return False
    recording = torch.is_grad_enabled()
    for t in operands:
        if t is not None and (
            type(t) not in _PLAIN or not t.is_cpu or (recording and t.requires_grad) or _is_batched(t)
        ):
            return False
    return True


def constant(value: float, like: Tensor) -> Tensor:
    """Give a number as a tensor without dimensions, of another one's type and on its device.

    PyTorch makes such a tensor, in float64, and a second one of the right type, of every number that stands beside a
    tensor: that takes longer than to multiply 3,000 numbers. Those of a CPU are made once.

    Args:
        value: the number.
        like: the tensor that it will stand beside.

    Shape:
        Output []

    Example:
        >>> constant(0.5, torch.ones(3, dtype=torch.float64))
        tensor(0.5000, dtype=torch.float64)
    """
    if type(like) in _PLAIN and like.is_cpu:
        return _kept(value, like.dtype)
    return like.new_full((), value)


@functools.lru_cache(maxsize=256)
def _kept(value: float, dtype: torch.dtype) -> Tensor:
    """Make the tensor as an ordinary one, whoever asks first: it outlives every mode that is on now."""
    with torch._C._DisableTorchDispatch(), torch.inference_mode(False):
        return torch.tensor(value, dtype=dtype, device="cpu")
