"""One long text for a model that remembers: parallel streams, cut into consecutive pieces."""

from collections.abc import Iterator

import torch
from torch import Tensor

from minimodels.errors import InputError


class Streams:
    """Cut a long sequence of tokens into parallel streams, and give them piece by piece, in order.

    A sequence of L tokens becomes N streams of ⌊(L − 1)/N⌋ tokens that lie side by side in a batch. The k-th batch
    holds the k-th piece of every stream, so that a model that carries its state from batch to batch reads each stream
    from its beginning to its end. The targets are the tokens one further on.

    Args:
        tokens: the sequence.
        batch_size: N, streams side by side; fewer where the sequence is short.
        length: tokens in a piece.

    Attributes:
        samples: pieces of streams that one pass gives, as many a batch as there are streams.

    Shape:
        tokens [L] of int64. Each batch: inputs [N, length], begins [1] (whether the streams begin here, and what is
        remembered has to be forgotten), targets [N, length]; the last batch is shorter.

    Raises:
        InputError: fewer than two tokens, or `batch_size` or `length` below 1.

    References: Graves 2013, arXiv:1308.0850; Mikolov et al. 2010, "Recurrent neural network based language model"
        (truncated backpropagation through time).

    See: tests/data/test_streams.py

    Example:
        >>> for inputs, begins, targets in Streams(torch.arange(9), batch_size=2, length=3):
        ...     print(inputs.tolist(), bool(begins), targets.tolist())
        [[0, 1, 2], [4, 5, 6]] True [[1, 2, 3], [5, 6, 7]]
        [[3], [7]] False [[4], [8]]
    """

    def __init__(self, tokens: Tensor, batch_size: int = 32, length: int = 128) -> None:
        if min(batch_size, length) < 1:
            raise InputError(f"{batch_size} streams in pieces of {length}: both have to be positive numbers.")
        if len(tokens) < 2:
            raise InputError(f"a text of {len(tokens)} tokens has nothing to predict; give at least two.")
        batch_size = min(batch_size, len(tokens) - 1)
        steps = (len(tokens) - 1) // batch_size
        self.inputs = tokens[: batch_size * steps].view(batch_size, steps)
        self.targets = tokens[1 : batch_size * steps + 1].view(batch_size, steps)
        self.length = length
        self.samples = batch_size * len(self)

    def __len__(self) -> int:
        return -(-self.inputs.shape[1] // self.length)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        for start in range(0, self.inputs.shape[1], self.length):
            piece = slice(start, start + self.length)
            yield self.inputs[:, piece], torch.tensor([start == 0]), self.targets[:, piece]

    def __repr__(self) -> str:
        return f"Streams({self.inputs.shape[0]} of {self.inputs.shape[1]} tokens in {len(self)} pieces)"
