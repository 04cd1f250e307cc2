"""The device is found, or its absence is said."""

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from minimodels.errors import InputError
from minimodels.training import devices, find_device
from minimodels.training.devices import to_device


def machine(monkeypatch: pytest.MonkeyPatch, cards: int, mps: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cards > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cards)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("cards", "mps", "best"), [(0, False, "cpu"), (0, True, "mps"), (2, False, "cuda"), (1, True, "cuda")]
)
@pytest.mark.parametrize("name", [None, "auto"])
def test_the_best_device_is_chosen(
    monkeypatch: pytest.MonkeyPatch, cards: int, mps: bool, best: str, name: str | None
) -> None:
    machine(monkeypatch, cards, mps)
    assert find_device(name) == torch.device(best)


def test_any_device_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, 2, False)
    for name in ("cpu", "cuda", "cuda:1", torch.device("cuda:0")):
        assert find_device(name) == torch.device(name)


@pytest.mark.parametrize("name", ["cuda:2", "mps", "gpu", "", "cuda:x", "xpu", "meta", "cpu:1"])
def test_a_device_that_is_not_there_is_named_with_those_that_are(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    machine(monkeypatch, 2, False)
    with pytest.raises(InputError, match=f"device {name}: .*choose auto, cpu, cuda:0, cuda:1, cuda"):
        find_device(name)


def test_towards_cuda_memory_is_pinned_and_the_copy_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[str] = []
    streams = {
        "current_stream": lambda device: SimpleNamespace(wait_stream=waits.append),
        "stream": lambda stream: nullcontext(waits.append("in " + stream)),
    }
    monkeypatch.setattr(devices, "_copying", lambda device: "copying")
    for name, fake in streams.items():
        monkeypatch.setattr(torch.cuda, name, fake)

    class Fake:
        device = torch.device("cpu")

        def __init__(self, *done: Any) -> None:
            self.done = done

        def pin_memory(self) -> "Fake":
            return Fake(*self.done, "pinned")

        def to(self, device: torch.device, non_blocking: bool = False) -> "Fake":
            return Fake(*self.done, str(device), non_blocking)

        def record_stream(self, stream: object) -> None:
            waits.append("recorded")

    (fake,) = to_device([Fake()], torch.device("cuda:0"))  # type: ignore[list-item]
    assert fake.done == ("pinned", "cuda:0", True)
    assert waits == ["in copying", "copying", "recorded"]


def test_tensors_that_are_there_already_are_not_copied(device: torch.device) -> None:
    tensor = torch.zeros(2, device=device)
    (moved,) = to_device([tensor], tensor.device)
    assert moved.data_ptr() == tensor.data_ptr()
