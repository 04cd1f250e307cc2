"""The embedding: a table with a row of learned numbers for each word."""

from typing import Any, Self

import torch
from torch import Tensor
from torch.nn import Module, Parameter

from minimodels import functional as F
from minimodels.functional.lookup import row_number


class Embedding(Module):
    """Look up the rows that stand for words: y[n] = w[i[n]].

    Drop-in for torch.nn.Embedding. Its gradient is the same to the last bit in every run.

    Args:
        num_embeddings: V, rows of the table.
        embedding_dim: D, numbers a row.
        padding_idx: a row that starts as zeros and receives no gradient; negative numbers count from the end.
        max_norm: shorten, in place, the rows that are looked up to this norm, if they are longer.
        norm_type: p of that norm, (Σ |w|ᵖ)^(1/p).
        scale_grad_by_freq: divide every row's gradient by the number of its occurrences in the input.
        sparse: give the weight's gradient as a sparse tensor that holds the occurrences alone.
        _weight: the table, instead of a drawn one.
        _freeze: do not learn it.
        device: where the parameters are.
        dtype: of what type they are.

    Shape:
        - input: [*], row numbers
        - Output: [*, D]

    Attributes:
        weight: [V, D], drawn from a normal distribution.

    Raises:
        AssertionError: the table has no row `padding_idx`, or `_weight` another shape.
        IndexError: a row number is not below V, or negative.
        RuntimeError: the row numbers are no integers.

    Cost: one copy; backward a table of zeros and one addition per occurrence (sparse: neither).

    References: Bengio et al. 2003, "A neural probabilistic language model", JMLR 3:1137-1155; Mikolov et al. 2013,
        arXiv:1301.3781.

    See: `minimodels.functional.embedding`; tests/nn/test_lookup.py.

    Example:
        >>> Embedding(50257, 768)(torch.tensor([[464, 3290]])).shape
        torch.Size([1, 2, 768])
    """

    __constants__ = [
        "num_embeddings",
        "embedding_dim",
        "padding_idx",
        "max_norm",
        "norm_type",
        "scale_grad_by_freq",
        "sparse",
    ]

    weight: Tensor

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Tensor | None = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = None if padding_idx is None else row_number(padding_idx, num_embeddings)
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.sparse = sparse
        if _weight is not None and list(_weight.shape) != [num_embeddings, embedding_dim]:
            raise AssertionError("Shape of weight does not match num_embeddings and embedding_dim")
        table = torch.empty(num_embeddings, embedding_dim, device=device, dtype=dtype) if _weight is None else _weight
        self.weight = Parameter(table, requires_grad=not _freeze)
        if _weight is None:
            self.reset_parameters()

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Self:
        """Make a layer around a table that is there already.

        Args:
            embeddings: the table; the layer takes the tensor itself, without a copy.
            freeze: do not learn it.
            padding_idx: a row that receives no gradient; it keeps its numbers.
            max_norm: see the class.
            norm_type: see the class.
            scale_grad_by_freq: see the class.
            sparse: see the class.

        Raises:
            AssertionError: the table has no two dimensions.
        """
        if embeddings.ndim != 2:
            raise AssertionError("Embeddings parameter is expected to be 2-dimensional")
        rows, width = embeddings.shape
        return cls(
            rows,
            width,
            padding_idx=padding_idx,
            max_norm=max_norm,
            norm_type=norm_type,
            scale_grad_by_freq=scale_grad_by_freq,
            sparse=sparse,
            _weight=embeddings,
            _freeze=freeze,
        )

    def reset_parameters(self) -> None:
        """Draw new rows from a normal distribution, zeros for padding, as torch.nn does."""
        with torch.no_grad():
            self.weight.normal_()
            if self.padding_idx is not None:
                self.weight[self.padding_idx].fill_(0)

    def forward(self, input: Tensor) -> Tensor:
        """Look up.

        Args:
            input: row numbers.
        """
        return F.embedding(
            input,
            self.weight,
            self.padding_idx,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.sparse,
        )

    def extra_repr(self) -> str:
        """Show the settings, leaving out those at their defaults."""
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        if self.padding_idx is not None:
            text += f", padding_idx={self.padding_idx}"
        if self.max_norm is not None:
            text += f", max_norm={self.max_norm}"
        if self.norm_type != 2:
            text += f", norm_type={self.norm_type}"
        if self.scale_grad_by_freq:
            text += f", scale_grad_by_freq={self.scale_grad_by_freq}"
        if self.sparse:
            text += ", sparse=True"
        return text
