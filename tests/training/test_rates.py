"""Rates: the arithmetic of a measurement, on a clock that is set by hand; no test asserts a time."""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from minimodels.errors import InputError
from minimodels.functional.matmul import product
from minimodels.training import matmul_rate, rates, utilisation
from minimodels.training.precision import tf32_allowed

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def unmeasured() -> Iterator[None]:
    rates._measured.cache_clear()
    yield
    rates._measured.cache_clear()


@pytest.mark.parametrize(("rate", "side"), [(1e3, 512), (1e11, 1024), (1e12, 2048), (1e18, 8192)])
def test_a_device_of_known_rate_is_measured_at_a_size_that_fills_it(
    monkeypatch: pytest.MonkeyPatch, rate: float, side: int
) -> None:
    """The clock shows what a product of this size takes; now and then something comes between."""
    taken: list[int] = []

    def clock(a: Tensor, b: Tensor) -> float:
        assert a.shape == b.shape == (a.shape[0],) * 2
        taken.append(a.shape[0])
        return 2 * a.shape[0] ** 3 / rate * (100 if len(taken) % 3 == 1 else 1)

    monkeypatch.setattr(rates, "_seconds", clock)
    monkeypatch.setattr(torch, "randn", lambda *shape, **_: torch.empty(shape, device="meta"))
    assert matmul_rate(CPU) == pytest.approx(rate)
    assert taken[-1] == side
    count = len(taken)
    assert matmul_rate(CPU) == pytest.approx(rate)
    assert len(taken) == count, "a process measures once"


def test_each_precision_is_measured_by_the_product_of_the_layers(
    monkeypatch: pytest.MonkeyPatch, device: torch.device
) -> None:
    seen = set()

    def seeing(a: Tensor, b: Tensor) -> Tensor:
        assert not torch.is_grad_enabled()
        assert 0.9 < a.std().item() < 1.1
        seen.add((a.dtype, a.device.type, tf32_allowed()))
        return product(a, b)

    monkeypatch.setattr(rates, "product", seeing)
    monkeypatch.setattr(rates, "SIDES", (64, 128))
    random = torch.get_rng_state()
    names = ("float32", "bfloat16", "float16")
    assert all(matmul_rate(device, name) > 0 for name in names)
    assert seen == {(getattr(torch, name), device.type, False) for name in names}
    assert torch.equal(random, torch.get_rng_state())


def test_tf32_is_on_for_the_measurement_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    switched = []
    monkeypatch.setattr(rates, "allow_tf32", lambda device, enabled: switched.append(enabled))
    monkeypatch.setattr(rates, "_seconds", lambda a, b: 1.0)
    before = tf32_allowed()
    matmul_rate(CPU, tf32=True)
    assert switched == [True, before]
    rates._measured.cache_clear()
    monkeypatch.setattr(rates, "_seconds", lambda a, b: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        matmul_rate(CPU, tf32=True)
    assert switched[2:] == [True, before]


def test_a_precision_that_there_is_not() -> None:
    with pytest.raises(InputError, match="precision float8: choose one of float32"):
        matmul_rate(CPU, "float8")


@given(seconds=st.floats(1e-3, 1e6), rate=st.floats(1, 1e18), share=st.floats(0, 2))
def test_the_share_of_what_was_possible(seconds: float, rate: float, share: float) -> None:
    assert utilisation(share * seconds * rate, seconds, rate) == pytest.approx(share)
