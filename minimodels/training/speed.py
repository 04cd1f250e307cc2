"""How fast a run is, and what part of its device it uses."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from minimodels.training.memory import peak_memory, reset_peak_memory
from minimodels.training.precision import tf32_allowed
from minimodels.training.rates import matmul_rate, utilisation
from minimodels.training.units import Units

MIB = 2**20


class Speed:
    """Times the stretches of a run, and counts what was computed in them.

    Args:
        device: where it computes.
        precision: of the matrix products.
        units: what the run is counted in.

    Attributes:
        operations: of a step's forward and backward pass for each number that goes into the model; 0 if not counted.

    Example:
        >>> from minimodels.training import EPOCHS
        >>> speed = Speed(torch.device("cpu"), "float32", EPOCHS)
        >>> speed.begin()
        >>> list(speed.lap(64))
        ['samples', 'seconds', 'samples_per_second', 'peak_memory_mib']
    """

    def __init__(self, device: torch.device, precision: str, units: Units) -> None:
        self.device = device
        self.precision = precision
        self.units = units
        self.operations = 0.0
        self.numbers = 0
        self.before = 0.0
        self.start = self.end = time.perf_counter()

    def begin(self) -> None:
        """A stretch begins, or goes on in another process."""
        self.start = time.perf_counter() - self.before
        self.before = 0.0
        reset_peak_memory(self.device)

    def lap(self, items: int) -> dict[str, float]:
        """What the stretch took.

        Args:
            items: samples or tokens in it.

        Returns:
            Items, seconds, items a second, the peak of memory and, where operations were counted, the operations of the
            model a second and their share of what the device reaches in one large matrix product.
        """
        self.end = time.perf_counter()
        seconds = self.end - self.start
        name = self.units.items
        timing = {name: items, "seconds": seconds, f"{name}_per_second": items / seconds}
        memory = peak_memory(self.device)
        if memory is not None:
            timing["peak_memory_mib"] = round(memory / MIB, 1)
        if self.operations:
            flops = self.operations * self.numbers
            timing["flops_per_second"] = flops / seconds
            timing["utilisation"] = utilisation(flops, seconds, self.ceiling())
        self.numbers = 0
        return timing

    def ceiling(self) -> float:
        """Operations a second that the device reaches in one large matrix product of this precision."""
        return matmul_rate(self.device, self.precision, tf32_allowed())

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What happens in here belongs to the run's beginnings, not to its speed."""
        start = time.perf_counter()
        yield
        self.start += time.perf_counter() - start
        reset_peak_memory(self.device)

    def since(self) -> float:
        """Seconds since the stretch ended."""
        return time.perf_counter() - self.end

    def state_dict(self) -> dict[str, Any]:
        """What a stretch that is broken off has taken so far, and what its steps come to, if none is left."""
        return {
            "before": time.perf_counter() - self.start,
            "numbers": self.numbers,
            "operations": self.operations,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with such a stretch.

        Args:
            state: what `state_dict` gave.
        """
        self.before, self.numbers = state["before"], state["numbers"]
        self.operations = state.get("operations", 0.0)  # states of earlier versions lack them
