"""Whether the two sides of a case compute the same, which is asked before anything is timed."""

import itertools
import math

import torch
from torch import Tensor

from benchmarks import card
from benchmarks.cases import Case, Outputs, Setting

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""How far ours may be from what is right, relative to its largest element."""

TF32_TOLERANCE = 5e-3

ALLOWANCE = 2.0
"""Beyond the tolerance ours passes as well if it is no more than so many times as far from the truth as torch's."""


def tolerance(setting: Setting) -> float:
    """What is tolerated in a setting."""
    return TF32_TOLERANCE if setting.tf32 else TOLERANCE[setting.dtype]


class MismatchError(Exception):
    """The two sides of a case do not compute the same, so that their times cannot be compared."""


def check(case: Case, setting: Setting, ours: Outputs, reference: Outputs) -> dict[str, float]:
    """Compare what both sides of a case computed.

    In float32 and float64 ours is held against the reference. Coarser numbers round both sides, each in its own way:
    there either is held against the reference in float32, from the same inputs and weights.

    Args:
        case: the case.
        setting: dtype, device and size.
        ours: the results of a pair that was made after `torch.manual_seed(0)`, by our side.
        reference: likewise by the reference's.

    Returns:
        `error`, ours, and where a truth was computed `reference_error`, both relative to the largest element.

    Raises:
        MismatchError: ours is too far off.
    """
    if not _alike(ours, reference):
        raise MismatchError(f"ours and {case.peer}'s differ in shape or dtype; it was not timed")
    if setting.dtype.itemsize >= 4 and not setting.tf32:
        errors = {"error": distance(ours, reference)}
    else:
        truth = _truth(case, setting)
        errors = {"error": distance(ours, truth), "reference_error": distance(reference, truth)}
    if not errors["error"] <= max(tolerance(setting), ALLOWANCE * _finite(errors.get("reference_error", 0.0))):
        theirs = f"{case.peer}'s"
        against = f" ({theirs} own error is {errors['reference_error']:.1e})" if "reference_error" in errors else ""
        raise MismatchError(f"ours and {theirs} differ by {errors['error']:.1e}{against}; it was not timed")
    return errors


def _truth(case: Case, setting: Setting) -> list[Tensor]:
    """What the reference computes in float32."""
    torch.manual_seed(0)
    pair = case.make(setting.truth())
    with card.exact_products():
        return list(pair.results(pair.reference))


def _finite(error: float) -> float:
    return error if math.isfinite(error) else 0.0


def _alike(ours: Outputs, reference: Outputs) -> bool:
    return [(a.shape, a.dtype) for a in ours] == [(b.shape, b.dtype) for b in reference]


def distance(found: Outputs, right: Outputs) -> float:
    """The largest difference between two rows of tensors, relative to the largest element of what is right."""
    return max(itertools.starmap(_distance, zip(found, right, strict=True)))


def _distance(a: Tensor, b: Tensor) -> float:
    largest = float(b.double().abs().max())
    difference = float((a.double() - b.double()).abs().max())
    if math.isnan(difference):  # max() would lose it among numbers
        return math.inf
    return difference / largest if largest else difference
