"""The most memory that was in use at once."""

import sys
from contextlib import suppress
from pathlib import Path

import torch

PEAK_AGAIN = Path("/proc/self/clear_refs")
"""Where Linux takes the order to forget a process's peak, by writing 5."""


def peak_memory(device: torch.device) -> int | None:
    """Tell the most bytes that were in use at once since the last `reset_peak_memory`.

    On CUDA these are the tensors' own: what PyTorch's allocator had given out, not what it keeps in reserve or what the
    driver needs. On a CPU it is the resident size of the whole process, as the system counts it: Python and its
    libraries are in it (some hundred megabytes), and pages of files as well.

    Args:
        device: whose memory is meant.

    Returns:
        Bytes; None where nobody counts them (Windows, MPS).

    See: tests/training/test_memory.py.

    Example:
        >>> peak_memory(torch.device("meta")) is None
        True
    """
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    if device.type != "cpu" or sys.platform == "win32":
        return None
    import resource  # which Windows does not have

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def reset_peak_memory(device: torch.device) -> None:
    """Forget the peak so far: what is in use now is the peak from now on.

    On a CPU Linux alone can do so. Elsewhere, and where a container forbids it, the peak of a CPU stays that of the
    process since it began.

    Args:
        device: whose memory is meant.

    Example:
        >>> reset_peak_memory(torch.device("cpu"))
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif device.type == "cpu" and PEAK_AGAIN.exists():
        with suppress(OSError):
            PEAK_AGAIN.write_text("5")
