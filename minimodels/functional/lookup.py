"""Lookup: an embedding is a table, one row of learned numbers for each word, and a word is the number of its row."""

from typing import Any

import torch
from torch import Tensor

from minimodels.functional.precision import accumulator
from minimodels.functional.transforms import apply, steps_aside


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Look up rows of a table: y[n] = w[i[n]].

    On paper that is the product of one-hot rows with w, and so ∂w = onehot(i)ᵀ·∂y: every row of the table receives
    the sum of the gradients of its occurrences. The sum is formed in the order of the occurrences whatever the number
    of threads: the same bits every time. The row of padding takes no part in derivatives of any kind; in forward mode,
    PyTorch's does.

    Args:
        input: i, row numbers of type int32 or int64.
        weight: w, the table.
        padding_idx: a row that receives no gradient; negative numbers count from the end.
        max_norm: shorten, in place, the rows that are looked up to this norm, if they are longer.
        norm_type: p of that norm, (Σ |w|ᵖ)^(1/p).
        scale_grad_by_freq: divide every row's gradient by the number of its occurrences in the input.
        sparse: give ∂w as a sparse tensor that holds the occurrences alone.

    Shape:
        - input: [*]; weight: [V, D]
        - Output: [*, D]

    Raises:
        IndexError: a row number is not below V, or negative (on a CPU; on a GPU the kernel's own assertion fails).
        RuntimeError: the row numbers are no integers, the table has no two dimensions, or a gradient is asked for
            that is both sparse and scaled.
        AssertionError: the table has no row `padding_idx`.

    Cost: one copy; backward a table of zeros and one addition per occurrence (sparse: neither).

    References: Bengio et al. 2003, "A neural probabilistic language model", JMLR 3:1137-1155; Mikolov et al. 2013,
        arXiv:1301.3781.

    See: `minimodels.nn.Embedding`; tests/functional/test_lookup.py.

    Example:
        >>> embedding(torch.tensor([2, 0]), torch.tensor([[0.0, 0.0], [1.0, 10.0], [2.0, 20.0]]))
        tensor([[ 2., 20.],
                [ 0.,  0.]])
    """
    _check(input, weight)
    padding_idx = None if padding_idx is None else row_number(padding_idx, weight.shape[0])
    index = input.reshape(-1).to(torch.int64)  # [N]
    if max_norm is not None:
        _shorten(weight.detach(), index, max_norm, norm_type)
    if torch.compiler.is_compiling() or steps_aside(weight, index):
        rows = _definition(weight, index, padding_idx, scale_grad_by_freq)
    elif not (torch.is_grad_enabled() and weight.requires_grad):
        rows = weight.index_select(0, index)
    else:
        rows = apply(_Lookup, weight, index, padding_idx, scale_grad_by_freq, sparse)
    return rows.view(*input.shape, weight.shape[1])  # [*, D]


def row_number(number: int, count: int) -> int:
    """Count a row from the start, where a negative number counts from the end.

    Args:
        number: the row.
        count: how many there are.

    Raises:
        AssertionError: there is no such row.

    Example:
        >>> row_number(-1, 10)
        9
    """
    if not -count <= number < count:
        raise AssertionError("Padding_idx must be within num_embeddings")
    return number % count


def _definition(weight: Tensor, index: Tensor, padding_idx: int | None, scaled: bool) -> Tensor:
    """Look up rows by plain algebra; what changes the gradient alone adds a zero with that gradient."""
    rows = weight.index_select(0, index)
    if padding_idx is None and not scaled:
        return rows
    constant = rows.detach()
    return constant + _weighed(rows - constant, index, padding_idx, weight.shape[0] if scaled else None)


def _weighed(rows: Tensor, index: Tensor, padding_idx: int | None, counted: int | None) -> Tensor:
    """Scale the gradients of occurrences: none for padding; a row's, of as many as are counted, by its frequency."""
    if padding_idx is not None:
        rows = rows.masked_fill((index == padding_idx).unsqueeze(1), 0)
    if counted is not None:
        ones = torch.ones_like(index, dtype=accumulator(rows.dtype))
        frequency = ones.new_zeros(counted).index_add(0, index, ones).index_select(0, index)  # [N]
        rows = rows * frequency.reciprocal().to(rows.dtype).unsqueeze(1)
    return rows


class _Lookup(torch.autograd.Function):
    """Rows of a table; keeps their numbers for the backward pass, and not the table."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, index: Tensor, padding_idx: int | None, scaled: bool, sparse: bool) -> Tensor:
        ctx.save_for_backward(index)
        ctx.shape, ctx.padding_idx, ctx.scaled, ctx.sparse = weight.shape, padding_idx, scaled, sparse
        return weight.index_select(0, index)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (index,) = ctx.saved_tensors
        if ctx.sparse:
            return _sparse(gradient, index, ctx.shape, ctx.padding_idx, ctx.scaled), None, None, None, None
        rows = _weighed(gradient, index, ctx.padding_idx, ctx.shape[0] if ctx.scaled else None)
        if steps_aside(gradient):
            table = rows.new_zeros(ctx.shape).index_add(0, index, rows)
        else:
            table = apply(_Total, rows, index, ctx.shape)
        return table, None, None, None, None


class _Total(torch.autograd.Function):
    """The sum of each row's occurrences, whose derivative is a lookup."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, index: Tensor, shape: torch.Size) -> Tensor:
        ctx.save_for_backward(index)
        return _total(rows, index, shape)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return gradient.index_select(0, ctx.saved_tensors[0]), None, None


def _total(rows: Tensor, index: Tensor, shape: torch.Size) -> Tensor:
    """Add up each row's occurrences, one after the other: in 16 bits only once the sum is complete."""
    table = rows.new_zeros(shape)
    if accumulator(rows.dtype) != rows.dtype:
        present, place = index.unique(return_inverse=True)
        sums = rows.new_zeros((present.shape[0], shape[1]), dtype=accumulator(rows.dtype))
        return table.index_copy_(0, present, _add(sums, place, rows.to(sums.dtype)).to(rows.dtype))
    return _add(table, index, rows)


def _add(table: Tensor, index: Tensor, rows: Tensor) -> Tensor:
    """Add rows to a table in a fixed order: which function keeps one depends on the device.

    On a CPU scatter_add_ leaves each row of the table to one thread (4,096 rows into 10,000x256 take 1.0 ms on one
    thread of a Xeon, index_add_ 9.3), and index_put_ adds as the threads happen to run; on a GPU it is the other way.
    """
    if table.device.type == "cuda":
        return table.index_put_((index,), rows, accumulate=True)
    return table.scatter_add_(0, index.unsqueeze(1).expand_as(rows), rows)


def _sparse(rows: Tensor, index: Tensor, shape: torch.Size, padding_idx: int | None, scaled: bool) -> Tensor:
    if scaled:
        raise RuntimeError("embedding_backward: scale_grad_by_freq not supported with sparse gradients")
    if padding_idx is not None:
        counts = (index != padding_idx).nonzero().squeeze(1)
        index, rows = index.index_select(0, counts), rows.index_select(0, counts)
    return torch.sparse_coo_tensor(index.unsqueeze(0), rows, shape, check_invariants=False)


def _shorten(weight: Tensor, index: Tensor, max_norm: float, norm_type: float) -> None:
    """Bring rows that are too long to the norm allowed; a row looked up twice is written twice, with the same."""
    rows = weight.index_select(0, index)
    norm = torch.linalg.vector_norm(rows, norm_type, dim=1, keepdim=True, dtype=accumulator(rows.dtype))
    scale = torch.where(norm > max_norm, (norm + 1e-7).reciprocal() * max_norm, 1.0)
    with torch.no_grad():
        weight.index_copy_(0, index, (rows * scale).to(weight.dtype))


def _check(input: Tensor, weight: Tensor) -> None:
    if weight.ndim != 2:
        raise RuntimeError(f"'weight' must be 2-D, but it is {weight.ndim}-D")
    if input.dtype not in (torch.int32, torch.int64):
        raise RuntimeError(
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; "
            f"but got {input.dtype} instead"
        )
