"""How fast a device multiplies matrices, and which share of that a run gets out of it."""

import functools
import statistics
import time

import torch
from torch import Tensor

from minimodels.functional.matmul import product
from minimodels.training.precision import allow_tf32, check_precision, tf32_allowed

SIDES = (512, 1024, 2048, 4096, 8192)
"""Of the matrices: the first whose product takes `FILLED` seconds, or the last."""

FILLED = 0.01
"""Seconds of a product that fills a device: what starting it costs no longer counts."""

MEASURED, TRIALS, MOST = 0.15, 3, 100
"""Seconds of products whose median is taken; how many they are at least, and at most."""


def matmul_rate(device: torch.device, precision: str = "float32", tf32: bool = False) -> float:
    """Measure how many floating-point operations a second a device makes in the product of two large square matrices.

    It is the product that our layers call, on the fastest library there is for it (`minimodels.functional.matmul`), and
    so what they could reach if they did nothing else. A data sheet promises more, which no real product reaches. It is
    a measurement, of this machine as busy as it was, with this number of threads. A run can exceed it, where an
    algorithm multiplies less than the equation that is counted (`minimodels.inspection.count_flops`).

    It is made once in a process; the random state stays as it was.

    Args:
        device: where to multiply.
        precision: of the numbers: "float32", "bfloat16" or "float16".
        tf32: let CUDA round float32 factors to TF32, see `allow_tf32`.

    Returns:
        Operations a second, two for each multiply-add.

    Raises:
        InputError: no such precision.

    Cost: about a quarter of a second, and three matrices, 0.8 GB at most; so `reset_peak_memory` comes afterwards.

    See: `utilisation`; tests/training/test_rates.py.

    Example:
        >>> rate = matmul_rate(torch.device("cpu"))
        >>> rate > 0, rate == matmul_rate(torch.device("cpu"))
        (True, True)
    """
    return _measured(device, check_precision(precision), tf32, torch.get_num_threads())


def utilisation(flops: float, seconds: float, rate: float) -> float:
    """Tell which share of a device's rate a run got: its operations by those that were possible in the time.

    With the FLOPs of the model by its equations (`minimodels.inspection.count_training_flops`) this is the model FLOPs
    utilisation, MFU. It says how well a machine is used, not how well a model learns: a larger model wastes a machine
    less and may waste its work more. PaLM divides by the rate of the data sheet, which gives a smaller share.

    Args:
        flops: what was computed, by the equations.
        seconds: how long it took.
        rate: operations a second, such as `matmul_rate` gives.

    Returns:
        A share, 1 at full speed; above it where an algorithm multiplies less than the equations say.

    References: Chowdhery et al. 2022 (PaLM), arXiv:2204.02311, section 4.1 and appendix B.

    Example:
        >>> utilisation(flops=3e12, seconds=10.0, rate=1e12)
        0.3
    """
    return flops / (seconds * rate)


@functools.cache
def _measured(device: torch.device, precision: str, tf32: bool, threads: int) -> float:
    """Double the matrices until a product fills the device, then take the median of several."""
    before = tf32_allowed()
    allow_tf32(device, tf32)
    try:
        for side in SIDES:
            factors = _factors(side, device, precision)
            _seconds(*factors)  # the first product sets up the library
            fastest = min(_seconds(*factors) for _ in range(TRIALS))
            if fastest >= FILLED:
                break
        rounds = min(max(TRIALS, int(MEASURED / fastest)), MOST)
        return 2 * side**3 / statistics.median(_seconds(*factors) for _ in range(rounds))
    finally:
        allow_tf32(device, before)


def _factors(side: int, device: torch.device, precision: str) -> tuple[Tensor, Tensor]:
    """Draw two matrices: a card that multiplies zeros draws less current, and runs faster than it would."""
    generator = torch.Generator(device).manual_seed(0)
    a, b = torch.randn(2, side, side, generator=generator, device=device, dtype=getattr(torch, precision))
    return a, b


@torch.no_grad()
def _seconds(a: Tensor, b: Tensor) -> float:
    """Time one product, on CUDA by the device's own clock."""
    if a.device.type == "cuda":
        with torch.cuda.device(a.device):
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            product(a, b)
            end.record()
            end.synchronize()
            return float(start.elapsed_time(end)) / 1000
    begun = time.perf_counter()
    product(a, b)
    if a.device.type != "cpu":
        torch.accelerator.synchronize(a.device)
    return time.perf_counter() - begun
