"""What a Transformer keeps of the tokens it has read: their keys and values, in memory that is reserved once."""

from typing import Any

import torch
from torch import Tensor


class KeyValueCache:
    """Keys and values of every layer, written one behind the other.

    A token's keys and values depend on it and what came before alone, so what was computed once serves all later
    tokens: a step then costs as much as one token, not as the whole text.

    Args:
        num_layers: layers that attend.
        batch_size: N.
        num_heads: H, heads of keys and values.
        capacity: tokens that there is room for.
        head_dim: d, numbers a head.
        device: where they are kept.
        dtype: as what.

    Shape:
        One tensor a layer, [2, N, H, capacity, d]: keys, then values.

    Attributes:
        layers: these tensors.

    Raises:
        ValueError: more is written than there is room for, or something of another shape.

    Cost: 2 · layers · N · H · capacity · d numbers.

    See: tests/nn/test_cache.py

    Example:
        >>> cache = KeyValueCache(num_layers=1, batch_size=1, num_heads=2, capacity=8, head_dim=4)
        >>> keys, values = cache.update(torch.ones(1, 2, 3, 4), torch.ones(1, 2, 3, 4), layer=0)
        >>> keys, values = cache.update(torch.zeros(1, 2, 1, 4), torch.zeros(1, 2, 1, 4), layer=0)
        >>> keys.shape, cache.length
        (torch.Size([1, 2, 4, 4]), 4)
    """

    def __init__(
        self,
        num_layers: int,
        batch_size: int,
        num_heads: int,
        capacity: int,
        head_dim: int,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        shape = 2, batch_size, num_heads, capacity, head_dim
        self.layers = [torch.zeros(shape, device=device, dtype=dtype) for _ in range(num_layers)]
        self.lengths = [0] * num_layers

    @property
    def length(self) -> int:
        """Tokens that the last layer holds: those that a whole forward pass has gone over."""
        return self.lengths[-1]

    @property
    def capacity(self) -> int:
        """Tokens that there is room for."""
        return self.layers[0].shape[-2]

    def update(self, key: Tensor, value: Tensor, layer: int) -> tuple[Tensor, Tensor]:
        """Write the keys and values of the next tokens, and give those of all tokens so far.

        Args:
            key: of the new tokens.
            value: likewise.
            layer: whose they are.

        Shape:
            key, value [N, H, T, d]; Output: twice [N, H, length, d], views.

        Raises:
            ValueError: there is no room for them, or they are of another shape.
        """
        memory, start = self.layers[layer], self.lengths[layer]
        _, N, H, capacity, d = memory.shape
        T = key.shape[-2]
        end = start + T
        if key.shape != (N, H, T, d) or value.shape != key.shape:
            raise ValueError(
                f"the cache takes keys and values [{N}, {H}, T, {d}], not {[*key.shape]} and {[*value.shape]}"
            )
        if end > capacity:
            raise ValueError(f"the cache has room for {capacity} tokens, not for {end}; make it with more capacity")
        memory[0, :, :, start:end] = key
        memory[1, :, :, start:end] = value
        self.lengths[layer] = end
        return memory[0, :, :, :end], memory[1, :, :, :end]

    def write(self, both: Tensor, layer: int) -> tuple[Tensor, Tensor]:
        """Do what `update` does with keys and values that lie in one tensor, in one copy.

        Args:
            both: keys, then values of the next tokens.
            layer: whose they are.

        Shape:
            both [2, N, H, T, d]; Output: twice [N, H, length, d], views.

        Raises:
            ValueError: as for `update`.
        """
        memory, start = self.layers[layer], self.lengths[layer]
        end = start + both.shape[3]
        if end > memory.shape[3] or (place := memory.narrow(3, start, end - start)).shape != both.shape:
            key, value = both
            return self.update(key, value, layer)  # which says what is wrong
        place.copy_(both)
        self.lengths[layer] = end
        keys, values = memory.narrow(3, 0, end)
        return keys, values

    def repeat(self, times: int) -> "KeyValueCache":
        """Make a cache in which every row stands `times` times, one below the other, with as much room.

        Args:
            times: how often.
        """
        _, N, H, _, d = self.layers[0].shape
        copy = KeyValueCache(
            len(self.layers), N * times, H, self.capacity, d, self.layers[0].device, self.layers[0].dtype
        )
        copy.lengths = self.lengths.copy()
        for new, memory, length in zip(copy.layers, self.layers, self.lengths, strict=True):
            new[..., :length, :] = memory[..., :length, :].repeat_interleave(times, 1)
        return copy

    def reorder(self, rows: Tensor, start: int = 0) -> None:
        """Let row i go on with what row `rows[i]` has read: beams that are dropped, and others that are doubled.

        Only rows that change are copied, and of them only what differs.

        Args:
            rows: [N] of int64.
            start: tokens before this one are known to be the same, such as those of a common prompt.
        """
        changed = (rows != torch.arange(len(rows), device=rows.device)).nonzero().squeeze(1)
        if not len(changed):
            return
        source = rows[changed]
        for memory, length in zip(self.layers, self.lengths, strict=True):
            memory[:, changed, :, start:length] = memory[:, source, :, start:length]

    def crop(self, length: int) -> None:
        """Forget all tokens from this one on.

        Args:
            length: tokens that are kept.
        """
        self.lengths = [min(length, before) for before in self.lengths]
