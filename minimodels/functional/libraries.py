"""This machine's libraries of products: which one is fast at what, and what they may be handed.

These are facts about the machine, asked once and never by a clock.
"""

import functools
from pathlib import Path

import torch
from torch import Tensor

from minimodels.functional.transforms import plain_autograd

_PLAIN = (Tensor, torch.nn.Parameter)  # a subclass (meta, fake, wrapped) wants PyTorch's own dispatch


@functools.cache
def onednn_is_faster() -> bool:
    """Say whether this machine's float32 products are faster through oneDNN than through MKL.

    True on AMD processors with AVX-512 whose PyTorch carries both libraries. A fact about the machine, read once from
    /proc/cpuinfo; nothing else was measured, and `torch.mm` serves there.

    Returns:
        whether `product` takes the oneDNN path for float32 on the CPU.

    Example:
        >>> onednn_is_faster() in (True, False)
        True
    """
    carried = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    cpuinfo = Path("/proc/cpuinfo")
    return (
        carried
        and torch.backends.mkl.is_available()
        and torch.backends.cpu.get_cpu_capability() == "AVX512"
        and cpuinfo.exists()
        and "AuthenticAMD" in cpuinfo.read_text(errors="replace")
    )


@functools.cache
def bfloat16_is_fast() -> bool:
    """Say whether this machine's processor has units for products of bfloat16 matrices (Intel's AMX).

    Returns:
        whether such a product is several times as fast as one in float32.

    Example:
        >>> bfloat16_is_fast() in (True, False)
        True
    """
    return bool(torch.cpu._is_amx_tile_supported()) and torch.backends.mkldnn.is_available()


def are_plain(a: Tensor, b: Tensor, bias: Tensor | None) -> bool:
    """Say whether these are ordinary float32 matrices on a CPU that fit together, and nothing watches them.

    Args:
        a: the left factor.
        b: the right factor, one row an output.
        bias: added to each row; None for nothing.

    Shape:
        - a: [M, K]; b: [N, K]; bias: [N]

    Example:
        >>> are_plain(torch.ones(2, 3), torch.ones(4, 3), None), are_plain(torch.ones(2, 3), torch.ones(4, 2), None)
        (True, False)
    """
    operands = (a, b) if bias is None else (a, b, bias)
    return (
        all(type(t) in _PLAIN and t.dtype is torch.float32 and t.device.type == "cpu" for t in operands)
        and a.shape[1] == b.shape[1]
        and (bias is None or bias.shape == b.shape[:1])
        and plain_autograd()
        and not torch.is_autocast_enabled("cpu")
    )
