"""What is counted while a model trains: sums on the device, divided once at the end."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from minimodels.training.distributed import World

Metric = Callable[[Any, Tensor], tuple[Tensor, Tensor | int]]
"""(outputs, targets) → (sum, count). A sum and a count, not a mean: they can be added over batches of any size,
and over processes, and the quotient is then the mean over all samples."""


def accuracy(outputs: Tensor, targets: Tensor) -> tuple[Tensor, int]:
    """How many predictions are right: Σ [argmax_c outputs = targets].

    Args:
        outputs: logits or probabilities, the classes along dimension 1.
        targets: class numbers, or probabilities of the classes (the largest one counts).

    Shape:
        outputs [N, C, ...]; targets [N, ...] of integers, or [N, C, ...].

    Returns:
        (how many are right, as a tensor; how many there are).

    Example:
        >>> accuracy(torch.tensor([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]]), torch.tensor([1, 0, 0]))
        (tensor(2), 3)
    """
    if targets.shape == outputs.shape:
        targets = targets.argmax(1)
    return (outputs.argmax(1) == targets).sum(), targets.numel()


class Totals:
    """Running sums and counts by name; they stay on the device until somebody asks for the means.

    Reading a number from an accelerator makes the program wait until everything queued before it is done. So
    nothing is read during a step; `means` fetches all sums and counts in one transfer.

    Attributes:
        samples: how many samples went in.

    Example:
        >>> totals = Totals()
        >>> totals.add("loss", torch.tensor(6.0), 3)
        >>> totals.add("loss", torch.tensor(2.0), 1)
        >>> totals.means()
        {'loss': 2.0}
    """

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, Tensor | int] = {}
        self.samples = 0

    def add(self, name: str, total: Tensor, count: Tensor | int) -> None:
        """Add the sum over some items, and their number.

        Args:
            name: of the quantity.
            total: its sum, a tensor of one element; its graph is left behind.
            count: how many items were summed.
        """
        self.sums[name] = self.sums.get(name, 0) + total.detach().to(_wide(total.device))
        count = count.to(total.device) if isinstance(count, Tensor) else count
        self.counts[name] = self.counts.get(name, 0) + count

    def means(self, world: World | None = None) -> dict[str, float]:
        """The quotient of every sum and its count, as Python numbers; NaN where nothing was counted.

        Args:
            world: processes whose totals are added up first; all of them have to ask.
        """
        if not self.sums:
            return {}
        device = next(iter(self.sums.values())).device
        counts = [torch.as_tensor(count, dtype=_wide(device), device=device) for count in self.counts.values()]
        numbers = torch.stack([*self.sums.values(), *counts])
        sums, divisors = (numbers if world is None else world.sum(numbers)).view(2, -1).tolist()
        return {
            name: total / count if count else math.nan
            for name, total, count in zip(self.sums, sums, divisors, strict=True)
        }

    def state_dict(self) -> dict[str, Any]:
        """Everything that was added up, for a run that is to be resumed within an epoch."""
        return {"sums": dict(self.sums), "counts": dict(self.counts), "samples": self.samples}

    def add_all(self, state: dict[str, Any]) -> None:
        """Add what was added up elsewhere.

        Args:
            state: what `state_dict` gave, on the device of these sums.
        """
        for name, total in state["sums"].items():
            self.add(name, total, state["counts"][name])
        self.samples += state["samples"]


def _wide(device: torch.device) -> torch.dtype:
    """The type of the sums; MPS has no float64."""
    return torch.float32 if device.type == "mps" else torch.float64
