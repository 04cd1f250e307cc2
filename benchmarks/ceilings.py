"""How fast this machine multiplies matrices and copies memory, measured: what no layer can be expected to exceed."""

import math
import time
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.cases import Setting
from benchmarks.clocks import CardClock, clock

PRODUCT = {"cuda": 8192, "cpu": 2048}
"""Rows and columns of the matrices."""

COPIED = {"cuda": 1 << 30, "cpu": 1 << 28}
"""Bytes."""

SECONDS = 0.25
SETTLING = 1.5
"""Seconds at most until a card's clock frequency has settled under load."""


def ceilings(setting: Setting) -> dict[str, Any]:
    """Measure both.

    Args:
        setting: dtype, device and size.

    Returns:
        `flops`, floating-point operations a second of `torch.mm` on square matrices (two a multiply-add), and `bytes`,
        bytes a second that a copy reads and writes; each the best of the samples of a quarter of a second.
    """
    kind = "cuda" if setting.device.type == "cuda" else "cpu"
    n, size = (64, 1 << 16) if setting.tiny else (PRODUCT[kind], COPIED[kind])
    a, b = setting.noise(n, n), setting.noise(n, n)
    source = setting.noise(size // setting.dtype.itemsize)
    target = torch.empty_like(source)
    out = torch.empty_like(a)
    multiply = _best(lambda: torch.mm(a, b, out=out), setting, settle=True)
    copy = _best(lambda: target.copy_(source), setting)
    return {
        "product": f"{n}x{n}x{n}",
        "flops": 2 * n**3 / multiply,
        "copied": source.nbytes,
        "bytes": 2 * source.nbytes / copy,
    }


def _best(call: Callable[[], Any], setting: Setting, *, settle: bool = False) -> float:
    """Seconds a call in the fastest sample."""
    watch = clock(call, setting.device)
    watch.prepare()
    if settle and isinstance(watch, CardClock):
        _settled(watch)
    start = time.perf_counter()
    while not watch.times or (time.perf_counter() - start < SECONDS and not setting.tiny):
        watch.sample()
    return min(watch.times)


def _settled(watch: CardClock) -> None:
    """Work until one tenth of a second is like the one before it."""
    start, before = time.perf_counter(), math.inf
    while time.perf_counter() - start < SETTLING:
        now, _ = watch.worked(max(2, round(0.1 / watch.worked(2)[0])))
        if abs(now - before) < 0.01 * now:
            return
        before = now
