"""The peak of memory of a call on a processor: exact, the same each time, and without a word on stderr."""

import os
from collections.abc import Callable

import pytest
import torch

from benchmarks import memory

CPU = torch.device("cpu")
KIB = 1 << 10


def number(count: int) -> torch.Tensor:
    return torch.empty(count, dtype=torch.uint8)


def one_after_the_other() -> None:
    for _ in range(3):
        number(10 * KIB)


def side_by_side() -> list[torch.Tensor]:
    return [number(10 * KIB) for _ in range(3)]


def in_a_graph() -> None:
    x = torch.ones(KIB, requires_grad=True)
    x.exp().exp().sum().backward()


@pytest.mark.parametrize(
    ("call", "bytes"), [(one_after_the_other, 10 * KIB), (side_by_side, 30 * KIB), (lambda: None, 0)]
)
def test_the_peak_is_the_most_that_is_held_at_once(call: Callable[[], object], bytes: int) -> None:
    assert memory.peak(call, CPU) == bytes


def test_what_was_there_before_does_not_count() -> None:
    kept = [number(KIB)]
    assert memory.peak(lambda: kept.append(number(KIB)), CPU) == KIB
    assert memory.peak(kept.clear, CPU) == 0


def test_what_was_there_before_is_not_seen_to_go() -> None:
    kept = [number(KIB)]

    def exchange() -> None:
        kept.clear()
        kept.append(number(KIB))

    assert memory.peak(exchange, CPU) == KIB


def test_the_same_call_needs_the_same() -> None:
    first = memory.peak(in_a_graph, CPU)
    assert first is not None
    assert first >= 4 * 4 * KIB
    assert memory.peak(in_a_graph, CPU) == first


def test_nobody_counts_elsewhere() -> None:
    assert memory.peak(lambda: None, torch.device("meta")) is None


def test_it_is_quiet_and_errors_come_through(capfd: pytest.CaptureFixture[str]) -> None:
    memory.peak(in_a_graph, CPU)
    assert capfd.readouterr().err == ""

    def fail() -> None:
        raise ValueError("a reason")

    with pytest.raises(ValueError, match="a reason"):
        memory.peak(fail, CPU)
    os.write(2, b"heard")
    assert capfd.readouterr().err == "heard"
