"""Numbers that follow from a layer's settings alone, and that no cast may round."""

from collections.abc import Callable
from typing import Any, ClassVar, Self

import torch
from torch import Tensor
from torch.nn import Module

from minimodels.functional.precision import accumulator


class Constant(Module):
    """What rotary positions and ALiBi share: a row of numbers that follows from the settings alone.

    The row is a buffer, and not part of the state dict. It is computed afresh wherever the module goes: no cast to
    16 bits rounds it, which would shift far positions by whole tokens, and a module built on the meta device has it as
    soon as it is given memory.

    Attributes:
        buffer: the name of that row.
    """

    buffer: ClassVar[str]

    def _keep(self, device: Any, dtype: torch.dtype | None) -> None:
        self._dtype = accumulator(dtype or torch.float32)
        self.register_buffer(self.buffer, self._computed(device), persistent=False)

    def _computed(self, device: Any) -> Tensor:
        raise NotImplementedError

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        setattr(self, self.buffer, self._computed(self.get_buffer(self.buffer).device))
        return self
