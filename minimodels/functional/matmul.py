"""The matrix product underneath: a·bᵀ + bias, on the fastest library that this machine has for it.

The layers whose cost is a matrix product come here. On AMD processors with AVX-512, PyTorch's float32 product goes
through MKL, which runs its AVX2 path there and is slower than oneDNN. PyTorch carries oneDNN's product under an
internal name, without a derivative; this file looks whether it is there, adds the derivative, and otherwise uses
`torch.mm`. Where MKL is the faster one, a few rows against a large matrix are cut so that it does not rearrange the
matrix. The choice depends on the machine and the sizes alone, never on a timing, so that two runs give the same
bits. `python -m benchmarks linear` measures what it is worth: see benchmarks/results.
"""

import functools
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from minimodels.functional import few_rows
from minimodels.functional.precision import accumulator
from minimodels.functional.transforms import apply, plain_autograd


def product(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """Multiply two matrices: y = a·bᵀ + bias, y[m, n] = Σ_k a[m, k]·b[n, k] + bias[n].

    The derivatives are products of the same form, ∂a = g·b and ∂b = gᵀ·a, so the operation is closed
    under differentiation: any order of derivative stays on the fast path.

    Args:
        a: the left factor; dense rows are fastest.
        b: the right factor, one row an output; dense rows or an exact transpose are fastest.
        bias: added to each row; None for nothing.

    Shape:
        - a: [M, K]; b: [N, K]; bias: [N]
        - Output: [M, N]

    Raises:
        RuntimeError: the inner sizes or the dtypes differ.

    Cost: M·N·K multiply-adds; no memory beyond the result.

    See: tests/functional/test_matmul.py.

    Example:
        >>> product(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0], [5.0, 6.0]]), torch.tensor([0.5, 0.0]))
        tensor([[11.5000, 17.0000]])
    """
    if _onednn_serves(a, b, bias):
        return apply(_Product, a, b, bias) if torch.is_grad_enabled() else _onednn(a, b, bias)
    if _few_meet_many(a, b, bias):
        if b.is_contiguous() and a.shape[0] >= few_rows.FEW[0]:
            return few_rows.in_slices(a, b, bias)
        if b.t().is_contiguous() and few_rows.repay_layers(a, b.t()):
            return few_rows.in_layers(a, b.t(), bias)
    return torch.mm(a, b.t()) if bias is None else torch.addmm(bias, a, b.t())


def product_with_columns(a: Tensor, w: Tensor, bias: Tensor | None = None) -> Tensor:
    """Multiply by a matrix that has one column an output: y = a·w + bias.

    The same as `product` with wᵀ; a single row goes the shortest way, since it is sooner multiplied than asked about.

    Args:
        a: the left factor.
        w: the right factor.
        bias: added to each row; None for nothing.

    Shape:
        - a: [M, K]; w: [K, N]; bias: [N]
        - Output: [M, N]

    Raises:
        RuntimeError: the inner sizes or the dtypes differ.

    Cost: M·N·K multiply-adds.

    See: tests/functional/test_matmul.py.

    Example:
        >>> product_with_columns(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0], [4.0]]))
        tensor([[11.]])
    """
    if torch.compiler.is_compiling() or a.shape[0] != 1:
        return product(a, w.t(), bias)
    return torch.mm(a, w) if bias is None else torch.addmm(bias, a, w)


def product_into(out: Tensor, a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """Multiply two matrices into memory that is there: y = a·bᵀ + bias. Nothing is differentiated.

    Args:
        out: y, written over; of the factors' type or a wider one.
        a: the left factor.
        b: the right factor, one row an output.
        bias: added to each row; None for nothing.

    Shape:
        - a: [M, K]; b: [N, K]; bias: [N]
        - out and Output: [M, N]

    Cost: M·N·K multiply-adds.

    See: tests/functional/test_matmul.py.

    Example:
        >>> product_into(torch.empty(1, 1), torch.tensor([[1.0, 2.0]]), torch.ones(1, 2))
        tensor([[3.]])
    """
    if out.dtype != a.dtype or _onednn_serves(a, b, bias):
        return out.copy_(product(a, b, bias))
    if bias is None and _shared_out(out, a, b):
        threads = torch.get_num_threads()
        y, rows = out.unflatten(0, (threads, -1)), a.unflatten(0, (threads, -1))
        torch.bmm(rows, b.t().expand(threads, *b.t().shape), out=y)
        return out
    return torch.mm(a, b.t(), out=out) if bias is None else torch.addmm(bias, a, b.t(), out=out)


def add_product_(sums: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Add a product to what is there: y += a·bᵀ. Nothing is differentiated.

    Args:
        sums: y, written over; of the factors' type or a wider one.
        a: the left factor.
        b: the right factor, one row an output.

    Shape:
        - a: [M, K]; b: [N, K]
        - sums and Output: [M, N]

    Cost: M·N·K multiply-adds.

    See: tests/functional/test_matmul.py.

    Example:
        >>> add_product_(torch.ones(1, 1), torch.tensor([[1.0, 2.0]]), torch.ones(1, 2))
        tensor([[4.]])
    """
    if sums.dtype != a.dtype or _onednn_serves(a, b, None):
        return sums.add_(product(a, b))
    return sums.addmm_(a, b.t())


def batched_product(a: Tensor, b: Tensor, out: Tensor | None = None, scale: float = 1.0) -> Tensor:
    """Multiply pairs of matrices: y[i] = c·a[i]·b[i]ᵀ.

    Args:
        a: the left factors.
        b: the right factors, one row an output.
        out: where the products go, if there is memory for them already, of the factors' type or float32 for factors of
            16 bits; nothing is differentiated then.
        scale: c, for products that have their memory.

    Shape:
        - a: [B, M, K]; b: [B, N, K]
        - Output: [B, M, N]

    Cost: B·M·N·K multiply-adds.

    See: tests/functional/test_matmul.py.

    Example:
        >>> batched_product(torch.tensor([[[1.0, 2.0]], [[3.0, 4.0]]]), torch.ones(2, 1, 2))
        tensor([[[3.]],
        <BLANKLINE>
                [[7.]]])
    """
    if out is not None and out.dtype != a.dtype:
        return _unrounded(out, a, b, 0.0, scale)
    if out is not None and _onednn_serves_pairs(a, b):
        for y_i, a_i, b_i in zip(out, a, b, strict=True):
            torch.mul(_onednn(a_i, b_i, None), scale, out=y_i)
        return out
    if out is not None and scale != 1:
        return torch.baddbmm(out, a, b.transpose(1, 2), beta=0, alpha=scale, out=out)
    return torch.bmm(a, b.transpose(1, 2), out=out)


def add_batched_product_(sums: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Add products of pairs of matrices to what is there: y[i] += a[i]·b[i]ᵀ. Nothing is differentiated.

    Args:
        sums: y, written over; pairs that do not lie behind each other are taken one after the other, on one thread.
        a: the left factors.
        b: the right factors, one row an output.

    Shape:
        - a: [B, M, K]; b: [B, N, K]
        - sums and Output: [B, M, N]

    Cost: B·M·N·K multiply-adds.

    See: tests/functional/test_matmul.py.

    Example:
        >>> add_batched_product_(torch.ones(1, 1, 1), torch.tensor([[[1.0, 2.0]]]), torch.ones(1, 1, 2))
        tensor([[[4.]]])
    """
    if sums.dtype != a.dtype:
        return _unrounded(sums, a, b, 1.0, 1.0)
    if _onednn_serves_pairs(a, b):
        for y_i, a_i, b_i in zip(sums, a, b, strict=True):
            y_i.add_(_onednn(a_i, b_i, None))
        return sums
    return sums.baddbmm_(a, b.transpose(1, 2))


def _unrounded(sums: Tensor, a: Tensor, b: Tensor, share: float, scale: float) -> Tensor:
    """Write share·y + scale·a·bᵀ over y, float32 for factors of 16 bits: only CUDA has products that leave it so."""
    if a.is_cuda:
        return torch.baddbmm(sums, a, b.mT, out_dtype=sums.dtype, beta=share, alpha=scale, out=sums)
    return torch.baddbmm(sums, a.to(sums.dtype), b.to(sums.dtype).mT, beta=share, alpha=scale, out=sums)


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

    See: tests/functional/test_matmul.py.

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


def product_dtype(operand: Tensor) -> torch.dtype:
    """Say in which type to multiply numbers that are summed in `accumulator` of theirs: their own, if that is fast.

    A product of bfloat16 that is rounded once is summed in float32 by every library underneath. Processors that have
    no unit for it take longer than for float32. float16 has too short a range for what lies between products.

    Args:
        operand: what is multiplied.

    Example:
        >>> product_dtype(torch.ones(1)), product_dtype(torch.ones(1, dtype=torch.float16))
        (torch.float32, torch.float32)
    """
    if operand.dtype is torch.bfloat16 and (not operand.is_cpu or bfloat16_is_fast()):
        return torch.bfloat16
    return accumulator(operand.dtype)


LARGE = 1 << 23
"""Multiply-adds from which oneDNN's product makes up for what calling it costs.

Forward and backward with a bias on one thread of an AMD EPYC, microseconds by `torch.addmm` and by oneDNN: 64x576x64
230 and 374, 256x256x128 (2²³ multiply-adds) 893 and 893, 64x512x512 1435 and 1320, 576x576x64 2090 and 1624.
"""


def _onednn_serves(a: Tensor, b: Tensor, bias: Tensor | None) -> bool:
    """Say whether oneDNN's product takes these operands and is the faster one for them."""
    return (
        not torch.compiler.is_compiling()
        and onednn_is_faster()
        and a.ndim == b.ndim == 2
        and a.numel() * b.shape[0] >= LARGE
        and a.shape[0] > 1  # a single row is a matrix-vector product, at which `mm` is faster
        and _are_plain(a, b, bias)
    )


def _are_plain(a: Tensor, b: Tensor, bias: Tensor | None) -> bool:
    """Say whether these are ordinary float32 matrices on a CPU that fit together, and nothing watches them."""
    operands = (a, b) if bias is None else (a, b, bias)
    return (
        all(type(t) in _PLAIN and t.dtype is torch.float32 and t.device.type == "cpu" for t in operands)
        and a.shape[1] == b.shape[1]
        and (bias is None or bias.shape == b.shape[:1])
        and plain_autograd()
        and not torch.is_autocast_enabled("cpu")
    )


def _onednn_serves_pairs(a: Tensor, b: Tensor) -> bool:
    """Say the same of pairs of matrices, which are alike; first what costs nothing to ask."""
    if torch.compiler.is_compiling():  # asking further would break the graph
        return False
    return onednn_is_faster() and len(a) > 0 and _onednn_serves(a[0], b[0], None)


THIN = (33, 128)
"""Columns of an output, from and to which its rows are shared out among the threads as products of their own.

MKL shares a product out less well than that where the output is thin. GFLOP/s by `torch.mm` and by two products, one on
each thread of an Intel Xeon (rows, inner size, columns), without a difference on one thread:

    576x576x64   297 386     6272x147x64  340 384     7744x288x32    342 340
    2662x288x64  342 394     25088x64x64  299 354     576x576x16     283 264
    256x576x64   287 341     1568x1152x128 325 366    25088x64x256   377 374
"""


def _shared_out(out: Tensor, a: Tensor, b: Tensor) -> bool:
    """Say whether a product in MKL is better cut by its rows, as many times as there are threads; see `THIN`."""
    threads = torch.get_num_threads()
    return (
        not torch.compiler.is_compiling()
        and 1 < threads <= a.shape[0] // 128
        and THIN[0] <= b.shape[0] <= THIN[1]
        and a.shape[0] % threads == 0
        and a.dtype is torch.float32
        and a.is_cpu
        and a.is_contiguous()
        and out.is_contiguous()
    )


def _few_meet_many(a: Tensor, b: Tensor, bias: Tensor | None) -> bool:
    """Say whether few rows, but not one, meet a large matrix in MKL, and no derivative is asked for."""
    return (
        not torch.compiler.is_compiling()
        and a.ndim == b.ndim == 2
        and 1 < a.shape[0] <= few_rows.FEW[1]
        and b.numel() >= few_rows.BEYOND_CACHE
        and not onednn_is_faster()
        and torch.backends.mkl.is_available()
        and _are_plain(a, b, bias)
        and not (torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (a, b, bias)))
    )


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


def _onednn(a: Tensor, b: Tensor, bias: Tensor | None) -> Tensor:
    """Call oneDNN with operands in the two layouts that it is fast in; others meet a slow reference path."""
    a = a.contiguous()
    b = b if b.is_contiguous() or b.t().is_contiguous() else b.contiguous()
    return cast(Tensor, torch.ops.mkldnn._linear_pointwise(a, b, bias, "none", [], ""))


class _Product(torch.autograd.Function):
    """a·bᵀ + bias through oneDNN, with its derivative."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, bias: Tensor | None) -> Tensor:
        by_a, by_b, _ = ctx.needs_input_grad
        ctx.save_for_backward(a if by_b else None, b if by_a else None)  # each factor's derivative needs the other
        return _onednn(a, b, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        a, b = ctx.saved_tensors
        wanted_a, wanted_b, wanted_bias = ctx.needs_input_grad
        return (
            product(gradient, b.t()) if wanted_a else None,
            product(gradient.t(), a.t()) if wanted_b else None,
            gradient.sum(0) if wanted_bias else None,
        )
