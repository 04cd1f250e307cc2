"""The question before the shortest road: whoever would want more than the numbers is named here."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from minimodels.functional.unwatched import constant, unwatched
from minimodels.tap import listening


def test_plain_tensors_are_unwatched():
    x = torch.ones(2)
    assert unwatched()
    assert unwatched(None, x, x.double(), torch.nn.Parameter(x, requires_grad=False))
    with torch.inference_mode():
        assert unwatched(torch.ones(2))


def test_a_gradient_is_asked_for():
    x = torch.nn.Parameter(torch.ones(2))
    assert not unwatched(x)
    assert not unwatched(torch.ones(2), None, x)
    with torch.no_grad():
        assert unwatched(x)


def test_listeners_autocast_and_other_devices():
    x = torch.ones(2)
    with listening(lambda name, value: value):
        assert not unwatched(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not unwatched(x)
    assert not unwatched(x.to("meta"))
    assert not unwatched(x.as_subclass(type("Own", (torch.Tensor,), {})))
    assert unwatched(x)


@pytest.mark.parametrize("transform", [torch.func.vmap, torch.func.grad])
def test_transforms(transform):
    found = []
    transform(lambda x: found.append(unwatched(x)) or x.sum())(torch.ones(2))
    assert found == [False]


def test_forward_mode_tracing_and_batches_of_gradients():
    x, found = torch.ones(2), []
    with torch.autograd.forward_ad.dual_level():
        assert not unwatched(x)
    torch.jit.trace(lambda x: found.append(unwatched(x)) or x + 1, x, check_trace=False)
    batched = torch._C._vmapmode_increment_nesting()
    try:
        found.append(unwatched(torch._add_batch_dim(torch.ones(3, 2), 0, batched)))
    finally:
        torch._C._vmapmode_decrement_nesting()
    assert found == [False, False]


def test_compilers():
    found = []

    @torch.compile(backend="eager", fullgraph=True)
    def asked(x):
        return x + 1 if unwatched(x) else x - 1

    found.append(asked(torch.ones(1)).item())
    assert found == [0]


def test_a_constant_has_the_type_and_the_device_and_is_made_once():
    x = torch.ones(2, dtype=torch.float64)
    assert constant(0.1, x) is constant(0.1, x)
    assert constant(0.1, x).item() == 0.1
    assert constant(0.1, x.float()).dtype is torch.float32
    assert constant(0.1, x.to("meta")).device.type == "meta"
    with FakeTensorMode() as mode:
        constant(0.7, mode.from_tensor(x))
    assert type(constant(0.7, x)) is torch.Tensor


def test_a_constant_that_is_first_asked_for_within_a_mode_is_ordinary():
    x = torch.ones(2)
    with FakeTensorMode(allow_non_fake_inputs=True):
        constant(0.71, x)
    with torch.inference_mode():
        constant(0.72, x)
    with torch.device("meta"):
        constant(0.73, x)
    for value in (0.71, 0.72, 0.73):
        kept = constant(value, x)
        assert type(kept) is torch.Tensor
        assert not kept.is_inference()
        assert kept.is_cpu
