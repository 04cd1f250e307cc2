"""Timing one side of a case: by `torch.utils.benchmark`, and on a graphics card by the card's own clock as well."""

import itertools
import math
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.utils.benchmark import Timer, timer

from benchmarks import card, memory

SAMPLE_SECONDS = 2e-3
"""A sample repeats its call until it is at least this long."""

MOST_CALLS = 100
"""In a sample on a card."""

QUEUE_SECONDS = 4e-3
"""What it takes the host to fill a card's queue, which holds about a thousand launches of some microseconds each."""

SETTLING_SECONDS = 0.15
STEADY = 0.03
"""A card is warm when a sample is within this of the one before, or after so many seconds."""


MOST_SECONDS = 4.0
"""No line of a study takes longer, once everyone has been timed three times: so that all lines take minutes."""


class Rotation:
    """Calls one after the other, in a circle: the same work on ever other numbers, which no cache remembers.

    Args:
        calls: what is called in turn.
    """

    def __init__(self, calls: Sequence[Callable[[], Any]]) -> None:
        self.length = len(calls)
        self._calls = itertools.cycle(calls)

    def __call__(self) -> Any:  # noqa: D102 (what it does is said above)
        return next(self._calls)()


class HostClock:
    """Seconds that the host waits for a call, with the device's work in it, by `torch.utils.benchmark.Timer`.

    A sample begins with calls that do not count, by which the timer finds out how many make a block long enough for
    the clock, and which bring back into the caches what the other side has driven out.

    Args:
        side: what is timed.
        device: where it runs.
    """

    def __init__(self, side: Callable[[], Any], device: torch.device) -> None:
        self.side, self.device = side, device
        self.calls, self.times = 1, list[float]()
        self._timer = Timer("side()", globals={"side": side}, num_threads=torch.get_num_threads())

    def prepare(self) -> None:
        """Warm up."""
        self._timer.timeit(1)

    def sample(self) -> None:
        """Time some calls."""
        found = self._timer.blocked_autorange(min_run_time=SAMPLE_SECONDS)
        self.calls = found.number_per_run * len(found.raw_times)
        self.times.append(found.median)

    def entry(self) -> dict[str, Any]:
        """What the record says beside the times: the peak of memory, where it is counted."""
        most = memory.peak(self.side, self.device)
        return {} if most is None else {"peak": most}


class CardClock(HostClock):
    """Seconds that a card works on a call, between two marks in its queue; what the host waits is kept beside them.

    The card is held until the host has launched everything, as far as the queue reaches: what a launch costs the host
    then does not count. `ahead` tells of each sample whether that held: the card had not begun with the last call
    when the host was through with it. Where it did not, as under a thousand launches a call, the time holds gaps.
    """

    def __init__(self, side: Callable[[], Any], device: torch.device) -> None:
        super().__init__(side, device)
        self.waits, self.ahead = list[float](), list[bool]()
        self._launch = 0.0

    def prepare(self) -> None:
        """Call every set of numbers once, then go on until the times settle."""
        for _ in range(max(2, getattr(self.side, "length", 1))):
            self.side()
        self._launch = self.waited(2)
        enough = math.ceil(SAMPLE_SECONDS / self.worked(4)[0])
        self.calls = max(2, min(enough, MOST_CALLS, int(QUEUE_SECONDS / self._launch)))
        start, before = time.perf_counter(), math.inf
        while time.perf_counter() - start < SETTLING_SECONDS:
            now, _ = self.worked(self.calls)
            if abs(now - before) <= STEADY * now:
                break
            before = now

    def sample(self) -> None:
        """Time some calls by both clocks."""
        self.waits.append(self.waited(self.calls))
        seconds, ahead = self.worked(self.calls)
        self.times.append(seconds)
        self.ahead.append(ahead)

    def entry(self) -> dict[str, Any]:
        """The peak of memory, what the host waited, and how often it was ahead of the card."""
        return super().entry() | {"waited": spread(self.waits), "ahead": sum(self.ahead) / len(self.ahead)}

    def waited(self, calls: int) -> float:
        """Seconds a call that the host waits, over some calls."""
        self._wait()
        start = time.perf_counter()
        for _ in range(calls):
            self.side()
        self._wait()
        return (time.perf_counter() - start) / calls

    def worked(self, calls: int) -> tuple[float, bool]:
        """Seconds a call on the card, and whether the host stayed ahead."""
        self._wait()
        card.hold(min(1.5 * QUEUE_SECONDS, 1.2 * calls * self._launch + 5e-5))
        begun, start = time.perf_counter(), card.mark(self.device)
        for _ in range(calls - 1):
            self.side()
        last = card.mark(self.device)
        self.side()
        end = card.mark(self.device)
        ahead = not last.query()
        self._launch = min(self._launch, (time.perf_counter() - begun) / calls)
        self._wait()
        return start.elapsed_time(end) / 1e3 / calls, ahead

    def _wait(self) -> None:
        torch.accelerator.synchronize(self.device)


def clock(side: Callable[[], Any], device: torch.device) -> HostClock:
    """The clock for a device."""
    return CardClock(side, device) if device.type == "cuda" else HostClock(side, device)


def spread(values: list[float]) -> dict[str, float]:
    """The median of some numbers and the quartiles around it."""
    first, median, third = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return {"q1": first, "median": median, "q3": third}


def ratios(ours: list[float], theirs: list[float]) -> dict[str, Any]:
    """Their time by ours, and that of single rounds, as an entry has them."""
    return {
        "ratio": statistics.median(theirs) / statistics.median(ours),
        "ratio_of_rounds": spread([b / a for a, b in zip(ours, theirs, strict=True)]),
    }


def in_turns(works: dict[Any, Callable[[], Any]], repeats: int, most: float = MOST_SECONDS) -> dict[Any, list[float]]:
    """Time everyone once a round, each round from another one on, after a call each that does not count.

    Args:
        works: what is timed, by name.
        repeats: rounds.
        most: after so many seconds no further round begins, but three are always had.
    """
    times: dict[Any, list[float]] = {name: [] for name in works}
    for work in works.values():
        work()
    start, least = timer(), min(repeats, 3)
    for number in range(repeats):
        if number >= least and timer() - start > most:
            break
        order = list(works)
        first = number % len(order)
        for name in order[first:] + order[:first]:
            begin = timer()  # waits for an accelerator
            works[name]()
            times[name].append(timer() - begin)
    return times
