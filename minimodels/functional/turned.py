"""Weights kept a second time, turned over, while many products of a few rows are formed with them.

A product a·bᵀ of a few rows is bound by reading b, and reads it fastest where the numbers of one output lie side by
side. A layer that keeps its weight the other way round, as GPT-2's do, is read at two thirds of that rate. To turn a
weight costs about as much as ten such products save, so it is worth it where many follow: while a text is written.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


class TurnedWeights:
    """Turned copies of weights, made when they are first asked for and as long-lived as this object.

    A weight that has been written to since is turned anew.

    Args:
        room: numbers that are kept at most; what a larger model has beyond them stays as it is.

    Cost: as much memory as the weights that are turned.

    See: `minimodels.functional.matmul.product`; tests/functional/test_turned.py.

    Example:
        >>> import torch
        >>> from minimodels.functional import linear
        >>> weights, weight = TurnedWeights(room=1 << 20), torch.randn(1024, 1024)
        >>> with weights.in_use():
        ...     y = linear(torch.ones(2, 1024), weight.t())
        >>> torch.allclose(y, torch.ones(2, 1024) @ weight, atol=1e-4)
        True
    """

    def __init__(self, room: int) -> None:
        self._kept: dict[tuple[int, torch.Size], tuple[Tensor, int, Tensor]] = {}
        self._room = room

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Let products of this thread use them, and add to them, for the length of a `with` block."""
        before = getattr(_local, "weights", None)
        _local.weights = self
        try:
            yield
        finally:
            _local.weights = before

    def of(self, b: Tensor) -> Tensor:
        """Give a matrix with its rows side by side, or as it is where there is no room for it.

        Args:
            b: the matrix.

        Shape:
            [N, K], as the output
        """
        if b.is_inference():  # which keeps no count of what is written to it
            return b
        place, version = (b.data_ptr(), b.shape), b._version
        _, written, copy = self._kept.get(place, (b, -1, b))
        if written == version:
            return copy
        if written < 0:
            if b.numel() > self._room:
                return b
            self._room -= b.numel()
        copy = b.detach().contiguous()
        self._kept[place] = b.detach(), version, copy  # as long as the source is alive, nothing else has its address
        return copy


_local = threading.local()


def turned(b: Tensor) -> Tensor:
    """Give a matrix with its rows side by side, if somebody keeps such copies for this thread and has room.

    Args:
        b: the matrix.

    Shape:
        [N, K], as the output

    Example:
        >>> import torch
        >>> turned(torch.ones(2, 3).t()).stride()
        (1, 3)
    """
    weights: TurnedWeights | None = getattr(_local, "weights", None)
    return b if weights is None else weights.of(b)
