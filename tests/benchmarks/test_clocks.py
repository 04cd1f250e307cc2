"""A card's clock, on a card that is made up: its queue, its marks, its memory and its sets of numbers."""

import time
from types import SimpleNamespace

import pytest
import torch

from benchmarks import card, clocks, run
from benchmarks.cases import Case, Pair, Setting
from benchmarks.run import Effort, measure

CUDA = torch.device("cuda")
MIB = 1 << 20


class FakeCard:
    """Works off what is launched, one after the other, as fast as it is told; `now` is its clock, `host` ours."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.host = self.free = 0.0
        self.bytes, self.top, self.launched = 0, 0, list[str]()
        for name in ("used", "peak", "cache", "room", "mark", "hold", "clear"):
            monkeypatch.setattr(card, name, getattr(self, name))
        monkeypatch.setattr(clocks.CardClock, "_wait", lambda clock: self.wait())
        monkeypatch.setattr(time, "perf_counter", lambda: self.host)

    def launch(self, name: str, host: float, work: float) -> None:
        """A call that takes so many seconds on the host, and so many on the card once the card comes to it."""
        self.launched.append(name)
        self.host += host
        self.free = max(self.free, self.host) + work

    def wait(self) -> None:
        self.host = max(self.host, self.free)

    def hold(self, seconds: float) -> None:
        self.free = max(self.free, self.host) + seconds

    def mark(self, device: torch.device) -> SimpleNamespace:
        at = max(self.free, self.host)
        return SimpleNamespace(at=at, query=lambda: self.host >= at, elapsed_time=lambda end: 1e3 * (end.at - at))

    def used(self, device: torch.device) -> int:
        return self.bytes

    def peak(self, side, device: torch.device) -> int:
        side()
        return 3 * MIB

    def cache(self, device: torch.device) -> int:
        return 50 * MIB

    def room(self, device: torch.device) -> int:
        return 1000 * MIB

    def clear(self) -> None:
        self.bytes = 0


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeCard:
    return FakeCard(monkeypatch)


def test_launching_does_not_count_while_the_host_is_ahead(fake: FakeCard) -> None:
    clock = clocks.CardClock(lambda: fake.launch("a", host=20e-6, work=5e-6), CUDA)
    clock.prepare()
    clock.sample()
    assert clock.calls == clocks.MOST_CALLS
    assert clock.times == [pytest.approx(5e-6)]
    assert clock.waits == [pytest.approx(20e-6, rel=0.1)]
    assert clock.ahead == [True]


def test_what_no_queue_holds_is_told(fake: FakeCard) -> None:
    clock = clocks.CardClock(lambda: fake.launch("a", host=30e-3, work=1e-3), CUDA)
    clock.prepare()
    clock.sample()
    assert clock.calls == 2
    assert clock.ahead == [False]
    assert clock.times[0] > 10e-3


def test_a_sample_is_no_longer_than_the_queue(fake: FakeCard) -> None:
    clock = clocks.CardClock(lambda: fake.launch("a", host=100e-6, work=10e-6), CUDA)
    clock.prepare()
    clock.sample()
    assert clock.calls == pytest.approx(clocks.QUEUE_SECONDS / 100e-6, abs=1)
    assert clock.ahead == [True]
    assert clock.times == [pytest.approx(10e-6)]


def test_a_card_warms_up_until_its_times_settle(fake: FakeCard) -> None:
    works = [*(1e-3 / n for n in range(1, 30))]  # slow first: its frequency rises
    clock = clocks.CardClock(lambda: fake.launch("a", 1e-6, works.pop(0) if works else 30e-6), CUDA)
    clock.prepare()
    assert not works
    clock.sample()
    assert clock.times == [pytest.approx(30e-6)]


def made_up(fake: FakeCard, size: int) -> Case:
    def make(setting: Setting) -> Pair:
        fake.bytes += size
        number = fake.bytes // size
        sides = [lambda s=s: fake.launch(f"{s}{number}", 1e-6, 1e-4) for s in ("ours", "reference")]
        return Pair(*sides, lambda side: [torch.ones(1)])

    return Case("made up", "case", "forward", make, larger=4)


@pytest.mark.parametrize(
    ("size", "most", "sets"),
    [(20 * MIB, 64, 10), (MIB, 64, 64), (MIB, 24, 24), (150 * MIB, 64, 2), (500 * MIB, 64, 1)],
)
def test_sets_of_numbers_fill_the_cache_four_times(fake: FakeCard, size: int, most: int, sets: int) -> None:
    setting = Setting(torch.float32, CUDA)
    entry = measure(made_up(fake, size), setting, Effort(3, 0.0, sets=most))
    assert entry["sets"] == sets
    ours = [name for name in fake.launched if name.startswith("ours")]
    assert ours[:sets] == [f"ours{number}" for number in range(1, sets + 1)]
    assert len(set(ours)) == sets
    assert entry["ours"]["median"] == pytest.approx(1e-4)
    assert entry["ours"]["peak"] == 3 * MIB
    assert entry["ours"]["ahead"] == 1.0
    assert set(entry["reference"]["waited"]) == {"q1", "median", "q3"}


def test_a_card_gets_a_larger_batch_and_the_name_says_so(fake: FakeCard) -> None:
    case = made_up(fake, MIB)
    larger, setting = case.enlarged(Setting(torch.float32, CUDA))
    assert (larger.name, setting.larger) == ("case, 4 times the batch", 4)
    for same in (Setting(torch.float32, torch.device("cpu")), Setting(torch.float32, CUDA, tiny=True)):
        assert case.enlarged(same) == (case, same)


def test_memory_is_given_back_after_a_case_that_needs_too_much(fake: FakeCard) -> None:
    def make(setting: Setting) -> Pair:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 EiB.\nSee the documentation.")

    fake.bytes = 7
    entry = run.attempt(Case("made up", "huge", "forward", make), Setting(torch.float32, CUDA), Effort(1, 0.0))
    assert entry["failed"].startswith(
        "OutOfMemoryError: CUDA out of memory. Tried to allocate 2 EiB. (tests/benchmarks/"
    )
    assert fake.bytes == 0


def test_rounds_end_at_the_limit(fake: FakeCard) -> None:
    setting = Setting(torch.float32, CUDA)
    entry = measure(made_up(fake, MIB), setting, Effort(1000, 100.0, limit=0.5))
    assert 2 <= entry["rounds"] < 1000


def test_a_real_card(device: torch.device) -> None:
    if device.type != "cuda":
        pytest.skip("needs a graphics card: give --device cuda")
    x = torch.randn(1 << 24, device=device)
    clock = clocks.CardClock(lambda: x + 1, device)
    clock.prepare()
    clock.sample()
    assert clock.ahead == [True]
    assert clock.entry()["peak"] == x.nbytes
    assert 0 < clock.times[0] < 1.5 * clock.waits[0]
    assert card.facts(device)["cache"] == card.cache(device) > 0
    assert card.room(device) > 0
