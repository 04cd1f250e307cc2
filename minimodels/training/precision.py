"""Numbers of fewer bits where they are safe: autocast, the gradient scaler that float16 needs, and TF32."""

import warnings
from contextlib import AbstractContextManager, nullcontext

import torch

from minimodels.errors import InputError

PRECISIONS = ("float32", "bfloat16", "float16")
"""float32 is exact enough for everything; bfloat16 has its range with 8 bits of mantissa; float16 has 11 bits, but
gradients below 6e-8 vanish in it, so they are scaled up."""


def check_precision(name: str) -> str:
    """The name, if it is one of `PRECISIONS`.

    Args:
        name: what was asked for.

    Raises:
        InputError: it is none of them.

    Example:
        >>> check_precision("bfloat16")
        'bfloat16'
    """
    if name not in PRECISIONS:
        raise InputError(f"precision {name}: choose one of {', '.join(PRECISIONS)}.")
    return name


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """The context of a forward pass: matrix products in the given precision, weights and sums in float32.

    Args:
        device: where the forward pass runs.
        precision: one of `PRECISIONS`; float32 changes nothing, not even an autocast that is already on.

    References:
        P. Micikevicius et al., "Mixed Precision Training", ICLR 2018, arXiv:1710.03740.

    Example:
        >>> with autocast(torch.device("cpu"), "bfloat16"):
        ...     (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
        torch.bfloat16
    """
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, getattr(torch, precision))


def gradient_scaler(device: torch.device, precision: str) -> torch.amp.GradScaler:
    """Scales the loss so that float16 gradients do not vanish, and skips a step whose gradients overflowed.

    In the other precisions it is switched off: its methods then do exactly what they would do without it, so the
    loop needs no second branch.

    Args:
        device: where the backward pass runs.
        precision: one of `PRECISIONS`.

    Example:
        >>> gradient_scaler(torch.device("cpu"), "float32").is_enabled()
        False
    """
    return torch.amp.GradScaler(device.type, enabled=precision == "float16")


def allow_tf32(device: torch.device, enabled: bool) -> None:
    """Let CUDA's tensor cores multiply float32 matrices as TF32: factors rounded to 11 bits, summed in float32.

    It holds for the whole process and for products alone, which is where our layers spend their time. On other devices
    it does nothing.

    PyTorch has two names for this switch. Written by the newer, `fp32_precision`, the older raises an error when it is
    read, as `torch.compile` does (pytorch/pytorch issue 166387); the older sets both, and both can be read afterwards.

    Args:
        device: where to multiply.
        enabled: whether the factors may be rounded.

    See: tests/training/test_precision.py.

    Example:
        >>> allow_tf32(torch.device("cpu"), enabled=True)
        >>> tf32_allowed()
        False
    """
    if device.type == "cuda":
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Please use the new API")
            torch.backends.cuda.matmul.allow_tf32 = enabled


def tf32_allowed() -> bool:
    """Say whether CUDA multiplies float32 matrices as TF32, by whichever name that was set."""
    return bool(torch.backends.cuda.matmul.fp32_precision == "tf32")
