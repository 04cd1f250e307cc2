"""Model and loss as one module, and what else the loop asks of a model."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn


class Objective(nn.Module):
    """What is minimised: (inputs, ..., targets) → (outputs, mean loss).

    One module, so that whatever wraps it sees both: `torch.compile` makes one graph of them, DistributedDataParallel
    and FSDP see every parameter used inside of one forward pass, also one that the loss takes (the head of a language
    model).

    Args:
        model: (inputs, ...) → outputs.
        loss: (outputs, targets) → mean loss of the batch.

    Example:
        >>> import torch
        >>> from minimodels import nn as layers
        >>> outputs, loss = Objective(layers.Identity(), layers.MSELoss())(torch.zeros(2), torch.ones(2))
        >>> outputs, loss
        (tensor([0., 0.]), tensor(1.))
    """

    def __init__(self, model: nn.Module, loss: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        self.model = model
        self.loss = loss

    def forward(self, *batch: Tensor | None) -> tuple[Any, Tensor | None]:
        """Outputs and loss of a batch.

        Args:
            *batch: inputs, and targets at the end; None in their place leaves the loss out.
        """
        *inputs, targets = batch
        outputs = self.model(*inputs)
        return outputs, None if targets is None else self.loss(outputs, targets)


@runtime_checkable
class Remembering(Protocol):
    """A part of a model that takes something from batch to batch that its `state_dict` leaves out."""

    def memory(self) -> dict[str, Tensor]:
        """What it remembers at this moment; nothing where a pass begins."""

    def remember(self, memory: dict[str, Tensor]) -> None:
        """Go on with what was remembered.

        Args:
            memory: what `memory` gave.
        """


def memories(model: nn.Module) -> dict[str, dict[str, Tensor]]:
    """What the parts of a model remember, by their names.

    Args:
        model: any.
    """
    found = {name: part.memory() for name, part in model.named_modules() if isinstance(part, Remembering)}
    return {name: memory for name, memory in found.items() if memory}


@contextmanager
def forgetting(model: nn.Module) -> Iterator[None]:
    """What is read in here leaves nothing behind: the model remembers what it did before.

    Args:
        model: any.
    """
    kept = memories(model)
    restore_memories(model, {})
    try:
        yield
    finally:
        restore_memories(model, kept)


def restore_memories(model: nn.Module, memories: dict[str, dict[str, Tensor]]) -> None:
    """Let the parts of a model go on with what they remembered.

    Args:
        model: any.
        memories: what `memories` gave.
    """
    for name, part in model.named_modules():
        if isinstance(part, Remembering):
            part.remember(memories.get(name, {}))
