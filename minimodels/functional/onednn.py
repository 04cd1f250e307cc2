"""oneDNN's products, which PyTorch carries under internal names and without derivatives. No other file knows these.

`multiply` is the product of float32 matrices, `Repeated` that of 16-bit numbers with a factor that comes again.
"""

from typing import cast

import torch
from torch import Tensor

from minimodels.functional.libraries import are_plain, bfloat16_is_fast, onednn_is_faster

LARGE = 1 << 23
"""Multiply-adds from which oneDNN's product makes up for what calling it costs.

Forward and backward with a bias on one thread of an AMD EPYC, microseconds by `torch.addmm` and by oneDNN: 64x576x64
230 and 374, 256x256x128 (2²³ multiply-adds) 893 and 893, 64x512x512 1435 and 1320, 576x576x64 2090 and 1624.
"""


def serves(a: Tensor, b: Tensor, bias: Tensor | None) -> bool:
    """Say whether oneDNN's product takes these operands and is the faster one for them.

    Args:
        a: the left factor.
        b: the right factor, one row an output.
        bias: added to each row; None for nothing.

    Shape:
        - a: [M, K]; b: [N, K]; bias: [N]

    See: tests/functional/test_matmul.py.

    Example:
        >>> serves(torch.ones(2, 3), torch.ones(2, 3), None)  # too small to be worth a call
        False
    """
    return (
        not torch.compiler.is_compiling()
        and onednn_is_faster()
        and a.ndim == b.ndim == 2
        and a.numel() * b.shape[0] >= LARGE
        and a.shape[0] > 1  # a single row is a matrix-vector product, at which `mm` is faster
        and are_plain(a, b, bias)
    )


def serves_pairs(a: Tensor, b: Tensor) -> bool:
    """Say the same of pairs of matrices, which are alike; first what costs nothing to ask.

    Args:
        a: the left factors.
        b: the right factors, one row an output.

    Shape:
        - a: [B, M, K]; b: [B, N, K]
    """
    if torch.compiler.is_compiling():  # asking further would break the graph
        return False
    return onednn_is_faster() and len(a) > 0 and serves(a[0], b[0], None)


def multiply(a: Tensor, b: Tensor, bias: Tensor | None) -> Tensor:
    """Form a·bᵀ + bias, with operands in the two layouts that oneDNN is fast in; others meet a slow reference path.

    Args:
        a: the left factor.
        b: the right factor, one row an output.
        bias: added to each row; None for nothing.

    Shape:
        - a: [M, K]; b: [N, K]; bias: [N]
        - Output: [M, N]
    """
    a = a.contiguous()
    b = b if b.is_contiguous() or b.t().is_contiguous() else b.contiguous()
    return cast(Tensor, torch.ops.mkldnn._linear_pointwise(a, b, bias, "none", [], ""))


class Repeated:
    """A right factor of many products a·bᵀ of few rows each, as in a recurrent layer. Nothing is differentiated.

    oneDNN multiplies 16-bit numbers in an order of its own, and puts the right factor into it at each product. Where
    `torch.mm` goes there, and what it has to read is large beside what it multiplies, this is done once, here.

    64 rows, on two threads of an Intel Xeon with AMX, microseconds by `torch.mm` and with the order made ahead:
    128x512 36 and 37, 256x1024 62 and 55, 512x2048 215 and 148, 2048x512 209 and 134; 16 rows, 512x2048 164 and 70.

    Args:
        b: the right factor, one row an output.
        rows: how many rows a product has, about.

    Shape:
        - b: [N, K]

    See: tests/functional/test_onednn.py.

    Example:
        >>> Repeated(torch.tensor([[1.0, 2.0]]), rows=2).times(torch.ones(2, 2))
        tensor([[3.],
                [3.]])
    """

    def __init__(self, b: Tensor, rows: int) -> None:
        self.ahead = b.dtype is torch.bfloat16 and b.is_cpu and _carries_packing() and bfloat16_is_fast()
        if self.ahead:
            self.factor = torch.ops.mkldnn._reorder_linear_weight(b.detach().contiguous(), rows)
        else:
            self.factor = b.t().contiguous()  # dense rows are the faster right factor

    def times(self, a: Tensor) -> Tensor:
        """Multiply: a·bᵀ.

        Args:
            a: the left factor, [M, K], of the right factor's type.
        """
        if self.ahead:
            return cast(Tensor, torch.ops.mkldnn._linear_pointwise(a, self.factor, None, "none", [], ""))
        return torch.mm(a, self.factor)


def _carries_packing() -> bool:
    """Say whether this PyTorch has oneDNN's product with a factor in its own order."""
    return hasattr(torch.ops.mkldnn, "_reorder_linear_weight") and hasattr(torch.ops.mkldnn, "_linear_pointwise")
