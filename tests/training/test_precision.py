"""The switch for TF32: read by either of its two names, never an error."""

from collections.abc import Iterator

import pytest
import torch

from minimodels.training.precision import allow_tf32, tf32_allowed

CARD = torch.device("cuda")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = tf32_allowed()
    yield
    allow_tf32(CARD, before)


@pytest.mark.parametrize("by_the_newer_name", [None, "tf32", "ieee"])
def test_both_names_can_be_read_whatever_was_set_before(by_the_newer_name: str | None) -> None:
    if by_the_newer_name is not None:
        torch.backends.cuda.matmul.fp32_precision = by_the_newer_name
    for enabled in (True, False, True):
        allow_tf32(CARD, enabled)
        assert tf32_allowed() is enabled
        assert torch.backends.cuda.matmul.allow_tf32 is enabled
        assert torch.backends.cuda.matmul.fp32_precision == ("tf32" if enabled else "ieee")
        assert torch.get_float32_matmul_precision() == ("high" if enabled else "highest")


def test_other_devices_have_no_such_switch() -> None:
    allow_tf32(CARD, False)
    for name in ("cpu", "mps"):
        allow_tf32(torch.device(name), True)
    assert not tf32_allowed()


def test_a_compiler_reads_it() -> None:
    allow_tf32(CARD, True)
    assert torch.compile(lambda x: x @ x, backend="aot_eager")(torch.ones(2, 2)).sum() == 8


def test_products_are_rounded_on_a_card_alone(device: torch.device) -> None:
    """1 + 2⁻¹² has thirteen bits: float32 keeps them, TF32 does not."""
    a, b = torch.full((64, 64), 1 + 2.0**-12, device=device), torch.eye(64, device=device)
    exact = {}
    for enabled in (True, False):
        allow_tf32(device, enabled)
        exact[enabled] = torch.equal(a @ b, a)
    rounds = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)
    assert exact == {False: True, True: not rounds}
