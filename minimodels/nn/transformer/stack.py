"""Layers one above the other."""

import copy
import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module, ModuleList

from minimodels.functional.transforms import plain_autograd


class Stack(Module):
    """Copies of a layer, one above the other, and a norm on top: what encoder and decoder share.

    Args:
        layer: what is copied: all layers start from its weights.
        num_layers: how many copies.
        norm: what the output of the last one goes through, or None.
    """

    def __init__(self, layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__()
        self.layers = ModuleList(copy.deepcopy(layer) for _ in range(num_layers))
        self.num_layers = num_layers
        self.norm = norm

    def _through(self, x: Tensor, *memory: Tensor, **masks: Any) -> Tensor:
        """Go through all layers."""
        for layer in self.layers:
            x = layer(x, *memory, **masks)
        return x if self.norm is None else self.norm(x)

    def _is_causal(self, x: Tensor, mask: Tensor | None, promised: bool | None) -> bool:
        """Find out whether a mask is the causal one, unless that is known: attention is faster without reading it."""
        if promised is not None or mask is None or not _readable(mask):
            return promised is True
        batch_first: bool = self.layers[0].self_attn.batch_first  # type: ignore[union-attr, assignment]
        length = x.shape[1 if batch_first and x.dim() == 3 else 0]
        if mask.shape != (length, length):
            return False
        return bool((mask == subsequent_mask(length, mask.device, mask.dtype)).all().item())


def subsequent_mask(sz: int, device: Any = None, dtype: torch.dtype | None = None) -> Tensor:
    """Forbid every position to look at those behind it.

    Args:
        sz: L.
        device: where the mask is made.
        dtype: numbers are added to scores, 0 or −∞; of booleans, True where a position must not look.

    Shape:
        Output [L, L]

    Example:
        >>> subsequent_mask(2)
        tensor([[0., -inf],
                [0., 0.]])
    """
    return torch.full((sz, sz), -math.inf, device=device, dtype=dtype).triu(1)


def _readable(mask: Tensor) -> bool:
    """Say whether there are numbers on which code may depend: not in transforms, while compiling, on a meta device."""
    return plain_autograd() and not torch.compiler.is_compiling() and mask.device.type != "meta"
