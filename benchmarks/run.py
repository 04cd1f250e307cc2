"""Measuring one case after the other: comparing, then timing its two sides in turn."""

import gc
import math
import time
import traceback
from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks import card
from benchmarks.cases import Case, Pair, Setting
from benchmarks.checking import MismatchError, check
from benchmarks.clocks import HostClock, Rotation, clock, ratios, spread

CACHES = 4
"""How many times the card's cache all sets of numbers together fill, so that each is gone before its turn comes."""

SHARE_OF_ROOM = 0.4
"""Of the memory that is left, for further sets: a call needs some as well."""


@dataclass(frozen=True)
class Effort:
    """How long a case is measured.

    Attributes:
        repeats: the least number of rounds; in a round each side is timed once, and the sides change order.
        min_time: the least number of seconds for all rounds together.
        limit: after so many seconds no further round begins, but two are always had.
        sets: at most so many sets of inputs and weights take turns on a graphics card.
    """

    repeats: int = 20
    min_time: float = 1.0
    limit: float = math.inf
    sets: int = 64


USUAL = Effort()
QUICK = Effort(repeats=5, min_time=0.15, limit=0.35, sets=24)
TINY = Effort(repeats=2, min_time=0.0, sets=2)


def effort(options: Namespace) -> Effort:
    """What the flags ask for."""
    chosen = TINY if options.tiny else QUICK if options.quick else USUAL
    return Effort(
        chosen.repeats if options.repeats is None else options.repeats,
        chosen.min_time if options.min_time is None else options.min_time,
        chosen.limit,
        chosen.sets,
    )


def attempt(
    case: Case, setting: Setting, effort: Effort, measuring: Callable[..., dict[str, Any]] | None = None
) -> dict[str, Any]:
    """Measure one case; what goes wrong becomes its entry, with the reason, so that the next case can follow.

    Args:
        case: the case.
        setting: dtype, device and size.
        effort: how long.
        measuring: takes the three and gives the entry; None for `measure`.
    """
    if why := case.omitted(setting):
        return {"name": case.name, "mode": case.mode, "omitted": why}
    case, setting = case.enlarged(setting)
    try:
        return (measuring or measure)(case, setting, effort)
    except Exception as error:  # whatever it is: it is shown, recorded, and ends in the exit status
        reason = {"name": case.name, "mode": case.mode, "failed": _reason(error)}
    gc.collect()  # the traceback held the case's tensors
    card.clear()
    return reason


def _reason(error: Exception) -> str:
    """The error's first line and where it came from, without the folders of this machine."""
    if isinstance(error, MismatchError):
        return str(error)
    here = Path(__file__).parents[1]
    frames = [(Path(frame.filename), frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    ours = [f"{file.relative_to(here)}:{number}" for file, number in frames if file.is_relative_to(here)]
    first = (str(error).strip() or "no reason given").splitlines()[0]
    return f"{type(error).__name__}: {first[:200]} ({ours[-1] if ours else 'elsewhere'})"


def measure(case: Case, setting: Setting, effort: Effort) -> dict[str, Any]:
    """Compare and time one case.

    Args:
        case: the case.
        setting: dtype, device and size.
        effort: how long.

    Returns:
        The case's entry in the record, times in seconds a call.

    Raises:
        MismatchError: the two sides do not compute the same.
    """
    if setting.compiled:
        torch._dynamo.reset()  # else the compiler takes other sizes for a reason to leave sizes open
    before = _used(setting)
    torch.manual_seed(0)
    pair = case.make(setting)
    size = _used(setting) - before
    errors, moved = _checked(case, setting, pair)
    pairs = [pair, *(case.make(setting) for _ in range(_sets(size, setting, effort) - 1))]
    ours = clock(_in_turn([p.ours for p in pairs]), setting.device)
    reference = clock(_in_turn([p.reference for p in pairs]), setting.device)
    rounds = _race(ours, reference, effort)
    return {
        "name": case.name,
        "mode": case.mode,
        **errors,
        "rounds": rounds,
        "calls": {"ours": ours.calls, "reference": reference.calls},
        "sets": len(pairs),
        **({"flops": pair.flops} if pair.flops else {}),
        **({"bytes": moved} if moved else {}),
        "ours": spread(ours.times) | ours.entry(),
        "reference": spread(reference.times) | reference.entry(),
        **ratios(ours.times, reference.times),
    }


def _in_turn(calls: list[Callable[[], Any]]) -> Callable[[], Any]:
    return calls[0] if len(calls) == 1 else Rotation(calls)


def _race(ours: HostClock, reference: HostClock, effort: Effort) -> int:
    """Time both sides in rounds, in each round in another order than in the one before, and count the rounds."""
    ours.prepare()
    reference.prepare()
    rounds, start = 0, time.perf_counter()
    while rounds < effort.repeats or time.perf_counter() - start < effort.min_time:
        if rounds >= 2 and time.perf_counter() - start > effort.limit:
            break
        for side in (ours, reference) if rounds % 2 else (reference, ours):
            side.sample()
        rounds += 1
    return rounds


def _used(setting: Setting) -> int:
    return card.used(setting.device) if setting.device.type == "cuda" else 0


def _sets(size: int, setting: Setting, effort: Effort) -> int:
    """How many sets of inputs and weights take turns, at so many bytes each; one where a card's cache is no concern."""
    if setting.device.type != "cuda" or size == 0:
        return 1
    wanted = math.ceil(CACHES * card.cache(setting.device) / size)
    fitting = int(SHARE_OF_ROOM * card.room(setting.device) / size)
    return max(1, min(wanted, fitting, effort.sets))


def _checked(case: Case, setting: Setting, pair: Pair) -> tuple[dict[str, float], int | None]:
    """The errors of a pair, and the least number of bytes that a call moves: operands read once, results written."""
    ours, reference = pair.results(pair.ours), pair.results(pair.reference)
    errors = check(case, setting, ours, reference)
    if pair.moved is not None or not pair.operands:
        return errors, pair.moved
    return errors, sum(t.numel() * t.element_size() for t in (*pair.operands, *reference))
