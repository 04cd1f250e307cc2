"""What a recipe puts into the training loop."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from minimodels.training import EPOCHS, STEPS, Metric, Trainer, Units
from minimodels.training.logging import Record


@dataclass(frozen=True)
class Plan:
    """What a recipe puts into the loop.

    Args:
        model: what to train.
        optimizer: over its parameters.
        loss: (outputs, targets) → mean loss.
        train: batches to train on; `samples` says how many there are.
        test: batches to test with, after every epoch.
        metrics: name → function of (outputs, targets); the first is the result that a run is known by.
        metadata: kept in the model's file.
        draw: (trainer, folder) → pictures of the run, where matplotlib is installed.
        files: what else the model needs, such as its vocabulary, as JSON files of these names in the run folder.
        results: what was measured beforehand, such as a baseline, for the summary.
        count: targets → number of terms that the loss averages over.
        kind: what the model is called, where it is trained inside of another module.
        steps: of the optimiser in all, for a run that is counted in them: `train` then gives those up to the next test.
        floor: the learning rate at the end, as a part of its peak.
        save: (run folder, model) → the model is written there; None: as one safetensors file.
        best: whether only the model of the lowest test loss so far is saved; otherwise the latest one is.
    """

    model: torch.nn.Module
    optimizer: Optimizer
    loss: Callable[[Any, Tensor], Tensor]
    train: Any
    test: Any
    metrics: Mapping[str, Metric]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    draw: Callable[[Trainer, Path], None] | None = None
    files: Mapping[str, Any] = field(default_factory=dict)
    results: Mapping[str, Any] = field(default_factory=dict)
    count: Callable[[Tensor], Any] = len
    kind: str = ""
    steps: int | None = None
    floor: float = 0.0
    save: Callable[[Path, torch.nn.Module], None] | None = None
    best: bool = False

    @property
    def units(self) -> Units:
        """What the run is counted in."""
        return EPOCHS if self.steps is None else STEPS

    def kept(self, records: Sequence[Record]) -> Record:
        """What was measured of the model that is in the run folder.

        Args:
            records: of the run.
        """
        return min(records, key=lambda record: record["val_loss"]) if self.best else records[-1]
