"""What a run is counted in: epochs of samples, or steps over tokens."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Units:
    """What the history, the progress and the speed of a run are counted in.

    A data set is gone through epoch by epoch. A long text is not: windows are drawn from it, step after step, and every
    so many steps the model is measured. The loop calls the stretch between two measurements an epoch in both cases.

    Args:
        progress: "epoch" or "step", what stands first in a record of the history.
        items: what a batch is made of, for the speed: "samples", "tokens".
        size: targets → how many items they are.

    Example:
        >>> import torch
        >>> EPOCHS.size(torch.zeros(3, 5)), STEPS.size(torch.zeros(3, 5))
        (3, 15)
    """

    progress: str = "epoch"
    items: str = "samples"
    size: Callable[[Tensor], int] = len

    def reached(self, epochs: int, steps: int) -> int:
        """How far a run is that has made so many of both.

        Args:
            epochs: that are over.
            steps: of the optimiser.
        """
        return epochs if self.progress == "epoch" else steps


EPOCHS = Units()
STEPS = Units("step", "tokens", Tensor.numel)
