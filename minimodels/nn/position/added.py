"""Positions that are added to the tokens' vectors: waves, or a learned table."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import Module, Parameter

from minimodels import functional as F
from minimodels.nn import init


class SinusoidalPositionalEmbedding(Module):
    """Add waves to the tokens' vectors: y[p] = x[p] + e[p], e[p, 2i] = sin(p·ω_i), e[p, 2i + 1] = cos(p·ω_i).

    There is nothing to learn and no longest text; the frequencies are ω_i = base^(−2i/D).

    Args:
        embedding_dim: D, numbers a token.
        base: the slowest wave is about 2π·base tokens long.

    Shape:
        - input: [*, T, D]; positions: broadcastable to [*, T]
        - Output: [*, T, D]

    Cost: a sine or cosine per number of the encoding, and one addition.

    References: Vaswani et al. 2017, arXiv:1706.03762, section 3.5.

    See: `minimodels.functional.sinusoidal_encoding`; tests/nn/test_position.py.

    Example:
        >>> SinusoidalPositionalEmbedding(4)(torch.zeros(2, 4))
        tensor([[0.0000, 1.0000, 0.0000, 1.0000],
                [0.8415, 0.5403, 0.0100, 0.9999]])
    """

    __constants__ = ["embedding_dim", "base"]

    def __init__(self, embedding_dim: int, base: float = 10000.0) -> None:
        super().__init__()
        self.embedding_dim = embedding_dim
        self.base = base

    def forward(self, input: Tensor, positions: Tensor | None = None, offset: int = 0) -> Tensor:
        """Add to each token what says where it stands.

        Args:
            input: vectors of tokens.
            positions: where they stand; None counts on from the offset.
            offset: where the first of them stands, as in decoding with a cache.
        """
        positions = counted(input.shape[-2], positions, offset, input.device)
        return input + F.sinusoidal_encoding(positions, self.embedding_dim, self.base, input.dtype)

    def extra_repr(self) -> str:
        """Show the settings."""
        return f"{self.embedding_dim}, base={self.base}"


class LearnedPositionalEmbedding(Module):
    """Add a learned vector to each position's token: y[p] = x[p] + w[p].

    Args:
        num_embeddings: P, positions that there are; a text cannot be longer.
        embedding_dim: D, numbers a token.
        device: where the table is.
        dtype: of what type it is.

    Shape:
        - input: [*, T, D]; positions: broadcastable to [*, T], of int64 or int32
        - Output: [*, T, D]

    Attributes:
        weight: [P, D], drawn from a normal distribution.

    Raises:
        IndexError: a position is not in the table (positions that are given as a tensor: on a CPU; on a GPU the
            kernel's own assertion fails).

    Cost: one copy of T rows, and one addition.

    References: Gehring et al. 2017, arXiv:1705.03122, section 3.1; Radford et al. 2018, "Improving language
        understanding by generative pre-training" (GPT).

    See: `minimodels.nn.Embedding`; tests/nn/test_position.py.

    Example:
        >>> LearnedPositionalEmbedding(1024, 768)(torch.zeros(2, 5, 768)).shape
        torch.Size([2, 5, 768])
    """

    __constants__ = ["num_embeddings", "embedding_dim"]

    weight: Tensor

    def __init__(
        self, num_embeddings: int, embedding_dim: int, device: Any = None, dtype: torch.dtype | None = None
    ) -> None:
        super().__init__()
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.weight = Parameter(torch.empty(num_embeddings, embedding_dim, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw a new table from a normal distribution, as an `Embedding` does."""
        init.normal_(self.weight)

    def forward(self, input: Tensor, positions: Tensor | None = None, offset: int = 0) -> Tensor:
        """Add to each token the row of its position.

        Args:
            input: vectors of tokens.
            positions: where they stand; None counts on from the offset.
            offset: where the first of them stands, as in decoding with a cache.
        """
        if positions is None and not 0 <= offset <= self.num_embeddings - input.shape[-2]:
            raise IndexError(self._beyond(f"{offset} to {offset + input.shape[-2] - 1}"))
        positions = counted(input.shape[-2], positions, offset, input.device)
        try:
            return input + F.embedding(positions, self.weight)
        except IndexError:
            raise IndexError(self._beyond(f"{int(positions.min())} to {int(positions.max())}")) from None

    def extra_repr(self) -> str:
        """Show the settings."""
        return f"{self.num_embeddings}, {self.embedding_dim}"

    def _beyond(self, positions: str) -> str:
        return (
            f"positions {positions} are not all in the table, which ends at {self.num_embeddings - 1}; "
            "shorten the text or make a longer table"
        )


def counted(length: int, positions: Tensor | None, offset: int, device: torch.device) -> Tensor:
    """Give the positions themselves, or the count from an offset on where there are none.

    Args:
        length: T, tokens.
        positions: where they stand, if that is known.
        offset: where the first of them stands, if not.
        device: where the count is made.

    Example:
        >>> counted(3, None, 5, torch.device("cpu"))
        tensor([5, 6, 7])
    """
    return torch.arange(offset, offset + length, device=device) if positions is None else positions
