"""The matrix product underneath: a·bᵀ + bias, on the fastest library that this machine has for it.

The layers whose cost is a matrix product come here. On AMD processors with AVX-512, PyTorch's float32 product goes
through MKL, which runs its AVX2 path there and is slower than oneDNN: see onednn.py, whose product gets its derivative
here. Otherwise `torch.mm` serves. Where MKL is the faster one, a few rows against a large matrix are cut so that it
does not rearrange the matrix: see few_rows.py. The choice depends on the machine (libraries.py) and the sizes alone,
never on a timing, so that two runs give the same bits. `python -m benchmarks linear` measures what it is worth: see
benchmarks/results.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from minimodels.functional import few_rows, onednn
from minimodels.functional.libraries import are_plain, bfloat16_is_fast, onednn_is_faster
from minimodels.functional.precision import accumulator
from minimodels.functional.transforms import apply

__all__ = [
    "add_batched_product_",
    "add_product_",
    "batched_product",
    "bfloat16_is_fast",
    "onednn_is_faster",
    "product",
    "product_dtype",
    "product_into",
    "product_with_columns",
]


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
    if onednn.serves(a, b, bias):
        return apply(_Product, a, b, bias) if torch.is_grad_enabled() else onednn.multiply(a, b, bias)
    if _few_meet_many(a, b, bias):
        if b.is_contiguous() and a.shape[0] >= few_rows.FEW[0]:
            return few_rows.in_slices(a, b, bias)
        if _in_layers(a, b.t()):
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


def form_with_columns(rows: int, w: Tensor, bias: Tensor) -> Callable[..., Tensor]:
    """Choose what `product_with_columns` does with so many rows, once for many products that nobody watches.

    Args:
        rows: how many rows a product has.
        w: a right factor; others that lie alike are served as well.
        bias: what is added to each row.

    Shape:
        - w: [K, N]; bias: [N]

    Returns:
        a function of a, w and bias.

    See: tests/functional/test_matmul.py.

    Example:
        >>> form_with_columns(1, torch.ones(2, 1), torch.ones(1))(torch.ones(1, 2), torch.ones(2, 1), torch.ones(1))
        tensor([[3.]])
    """
    a = w.new_empty(rows, w.shape[0])
    if rows > 1 and onednn.serves(a, w.t(), bias):
        return product_with_columns
    return few_rows.in_layers if _few_meet_many(a, w.t(), bias) and _in_layers(a, w) else _whole_with_columns


def _whole_with_columns(a: Tensor, w: Tensor, bias: Tensor) -> Tensor:
    return torch.addmm(bias, a, w)


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
    if out.dtype != a.dtype or onednn.serves(a, b, bias):
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
    if sums.dtype != a.dtype or onednn.serves(a, b, None):
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
    if out is not None and onednn.serves_pairs(a, b):
        for y_i, a_i, b_i in zip(out, a, b, strict=True):
            torch.mul(onednn.multiply(a_i, b_i, None), scale, out=y_i)
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
    if onednn.serves_pairs(a, b):
        for y_i, a_i, b_i in zip(sums, a, b, strict=True):
            y_i.add_(onednn.multiply(a_i, b_i, None))
        return sums
    return sums.baddbmm_(a, b.transpose(1, 2))


def _unrounded(sums: Tensor, a: Tensor, b: Tensor, share: float, scale: float) -> Tensor:
    """Write share·y + scale·a·bᵀ over y, float32 for factors of 16 bits: only CUDA has products that leave it so."""
    if a.is_cuda:
        return torch.baddbmm(sums, a, b.mT, out_dtype=sums.dtype, beta=share, alpha=scale, out=sums)
    return torch.baddbmm(sums, a.to(sums.dtype), b.to(sums.dtype).mT, beta=share, alpha=scale, out=sums)


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
        and are_plain(a, b, bias)
        and not (torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in (a, b, bias)))
    )


def _in_layers(a: Tensor, w: Tensor) -> bool:
    """Say whether few rows meet a matrix with one column an output in layers of its dense rows."""
    return w.is_contiguous() and few_rows.repay_layers(a, w)


class _Product(torch.autograd.Function):
    """a·bᵀ + bias through oneDNN, with its derivative."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, bias: Tensor | None) -> Tensor:
        by_a, by_b, _ = ctx.needs_input_grad
        ctx.save_for_backward(a if by_b else None, b if by_a else None)  # each factor's derivative needs the other
        return onednn.multiply(a, b, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        a, b = ctx.saved_tensors
        wanted_a, wanted_b, wanted_bias = ctx.needs_input_grad
        return (
            product(gradient, b.t()) if wanted_a else None,
            product(gradient.t(), a.t()) if wanted_b else None,
            gradient.sum(0) if wanted_bias else None,
        )
