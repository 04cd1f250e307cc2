"""The question before a road past a module's call: whoever has hung something on that call is named here."""

import pytest
import torch
from torch.nn.modules import module as calls

from minimodels.nn import Identity, Linear
from minimodels.nn.untouched import called_plainly, untouched


def test_the_very_class():
    assert untouched(Linear(1, 1), Linear)
    assert not untouched(Linear(1, 1), Identity)
    assert not untouched(type("Adapter", (Linear,), {})(1, 1), Linear)


@pytest.mark.parametrize(
    "hang",
    [
        lambda m: m.register_forward_hook(lambda *_: None),
        lambda m: m.register_forward_pre_hook(lambda *_: None),
        lambda m: m.register_full_backward_hook(lambda *_: None),
        lambda m: m.register_full_backward_pre_hook(lambda *_: None),
        lambda m: setattr(m, "forward", lambda x: x),
        lambda m: m.compile(),
        lambda m: torch.nn.utils.parametrizations.weight_norm(m),
    ],
    ids=["forward", "before", "backward", "before backward", "own forward", "compiled", "parametrised"],
)
def test_what_hangs_on_a_call(hang):
    layer = Linear(1, 1)
    handle = hang(layer)
    assert not untouched(layer, Linear)
    if handle is not None and handle is not layer:
        handle.remove()
        assert untouched(layer, Linear)


@pytest.mark.parametrize(
    "register",
    [
        calls.register_module_forward_hook,
        calls.register_module_forward_pre_hook,
        calls.register_module_full_backward_hook,
        calls.register_module_full_backward_pre_hook,
    ],
)
def test_what_hangs_on_every_call(register):
    assert called_plainly()
    handle = register(lambda *_: None)
    try:
        assert not called_plainly()
    finally:
        handle.remove()
    assert called_plainly()
