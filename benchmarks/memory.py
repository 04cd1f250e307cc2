"""How much memory a call needs at most, beyond what was there before it.

On a graphics card its allocator counts. On a processor PyTorch's profiler is told of every block that PyTorch's
allocator gives out and takes back, and the sum is followed: the same number in every run, to the byte, which the size
of the process is not. What was there before is not seen to go, and what a library takes from the system by itself,
past PyTorch's allocator, is not in it.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.autograd.profiler import profile

from benchmarks import card


def peak(side: Callable[[], Any], device: torch.device) -> int | None:
    """Bytes that a call needs at most, its results with it; None where nobody counts them.

    Args:
        side: what is called, once.
        device: where it runs.
    """
    if device.type == "cuda":
        return card.peak(side, device)
    if device.type != "cpu":
        return None
    with _quietly(), profile(use_kineto=False, profile_memory=True) as watched:
        side()
    results = watched.kineto_results
    assert results is not None, "the profiler has run"
    events = [event for event in results.events() if event.name() == "[memory]"]
    held = most = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        most = max(most, held)
    return most


@contextmanager
def _quietly() -> Iterator[None]:
    """The profiler's own library announces itself on the process's stderr; nobody asked."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
