"""What becomes of the memory that a step of training frees."""

import ctypes
import os
import sys

KEPT = 1 << 30
LARGEST = 1 << 28
"""Bytes at the end of the heap that are kept, and of a single block from which on each has pages of its own.

Milliseconds of a training step over 64 samples and page faults in it, 2 threads of a Xeon with AVX-512, medians of
three processes as it was and of three that kept: ConvNet 27.9 and 1,650, 25.0 and 158; LSTMClassifier over 100 steps
138 and 7,980, 131 and 65.
"""

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""What `mallopt` calls them, in glibc's malloc.h."""

OWN_CHOICES = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


def keep_freed_memory() -> bool:
    """Let the process keep the memory that it frees, for what it allocates next.

    A step frees what it has computed, glibc gives the end of its heap back to the system, and the next step is given
    the same pages again: a fault and 4 KiB of zeros each, a tenth of a step of a small model. It holds for the
    whole process from now on, which then looks as large as it has been at its largest, up to 1 GiB more than it needs.
    No result depends on it. The recipes ask for it; nothing does so by being imported.

    Returns:
        Whether the C library has taken the order: only glibc knows it, and one who has told it otherwise in the
        environment (MALLOC_TRIM_THRESHOLD_, MALLOC_MMAP_THRESHOLD_, GLIBC_TUNABLES) is not overruled.

    See: tests/training/test_allocation.py.

    Example:
        >>> keep_freed_memory() in (True, False)
        True
    """
    if sys.platform != "linux" or any(name in os.environ for name in OWN_CHOICES):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
    if mallopt is None:
        return False
    return bool(mallopt(TRIM_THRESHOLD, KEPT)) and bool(mallopt(MMAP_THRESHOLD, LARGEST))
