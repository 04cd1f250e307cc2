"""The graphics card: what CUDA tells of it, how it is kept busy, and how its numbers are rounded."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

CYCLES = 2e9
"""Cycles a second that no card exceeds by much: `hold` then waits for no less than it was asked for."""


def facts(device: torch.device) -> dict[str, Any]:
    """What the timings belong to beside the card's name."""
    properties = torch.cuda.get_device_properties(device)
    return {
        "multiprocessors": properties.multi_processor_count,
        "memory": properties.total_memory,
        "cache": properties.L2_cache_size,
        "capability": f"{properties.major}.{properties.minor}",
        "cuda": torch.version.cuda,
    }


def cache(device: torch.device) -> int:
    """Bytes of the L2 cache."""
    return int(torch.cuda.get_device_properties(device).L2_cache_size)


def room(device: torch.device) -> int:
    """Bytes that can still be had."""
    free, _ = torch.cuda.mem_get_info(device)
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(free + kept)


def used(device: torch.device) -> int:
    """Bytes of all tensors."""
    return int(torch.cuda.memory_allocated(device))


def peak(side: Callable[[], Any], device: torch.device) -> int:
    """Bytes that a call needs at most, beyond what was there before it."""
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    side()
    torch.cuda.synchronize(device)
    return int(torch.cuda.max_memory_allocated(device)) - before


def clear() -> None:
    """Give cached memory back, after a case that needed too much of it."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def mark(device: torch.device) -> torch.cuda.Event:
    """A point in the queue of launches, whose time can be read once the card has passed it."""
    event = torch.cuda.Event(enable_timing=True)
    event.record(torch.cuda.current_stream(device))
    return event


def hold(seconds: float) -> None:
    """Let the card wait, so that the host gets ahead of it and the launches that follow stand in a queue."""
    torch.cuda._sleep(int(seconds * CYCLES))


def round_products(tf32: bool) -> None:
    """Choose how float32 products are rounded: PyTorch's default is TF32 for some operations and not for others.

    The older of PyTorch's two interfaces: its compiler reads this one, and refuses a mixture.
    """
    torch.backends.cuda.matmul.allow_tf32 = tf32
    if torch.backends.cudnn.is_available():
        torch.backends.cudnn.allow_tf32 = tf32


@contextmanager
def exact_products() -> Iterator[None]:
    """Products in float32 as it is, then again as before."""
    before = torch.backends.cuda.matmul.allow_tf32
    round_products(False)
    try:
        yield
    finally:
        round_products(before)
