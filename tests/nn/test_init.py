"""First weights: torch.nn.init's numbers, bit for bit."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels.nn import init

shapes = st.sampled_from([(3, 4), (6, 2, 3), (4, 3, 2, 5)])


@given(
    shape=shapes,
    a=st.floats(0, 5),
    mode=st.sampled_from(["fan_in", "fan_out"]),
    nonlinearity=st.sampled_from(["leaky_relu", "relu", "linear", "tanh", "selu", "sigmoid", "conv2d"]),
    seed=st.integers(0, 99),
)
def test_kaiming_uniform(shape, a, mode, nonlinearity, seed):
    results = []
    for room in (init, torch.nn.init):
        generator = torch.Generator().manual_seed(seed)
        results.append(room.kaiming_uniform_(torch.empty(shape), a, mode, nonlinearity, generator))
    assert torch.equal(*results)


@given(shape=shapes, low=st.floats(-3, 0), width=st.floats(0, 3), seed=st.integers(0, 99))
def test_uniform(shape, low, width, seed):
    results = []
    for room in (init, torch.nn.init):
        torch.manual_seed(seed)
        results.append(room.uniform_(torch.empty(shape, requires_grad=True), low, low + width))
    assert torch.equal(*results)


@pytest.mark.parametrize(
    "name", ["linear", "conv1d", "conv_transpose2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"]
)
def test_gains(name):
    assert init.calculate_gain(name) == torch.nn.init.calculate_gain(name)
    assert init.calculate_gain("leaky_relu", 0.3) == torch.nn.init.calculate_gain("leaky_relu", 0.3)


def test_the_signal_keeps_its_variance():
    torch.manual_seed(0)
    w = init.kaiming_uniform_(torch.empty(1000, 500), nonlinearity="relu")
    x = torch.randn(200, 500).relu() * math.sqrt(2)  # half of the numbers gone, the second moment kept
    assert (x @ w.t()).var().item() == pytest.approx(2.0, rel=0.05)


@pytest.mark.parametrize(
    "call",
    [
        lambda room: room.kaiming_uniform_(torch.empty(3)),
        lambda room: room.kaiming_uniform_(torch.empty(3, 3), mode="fan_sideways"),
        lambda room: room.kaiming_uniform_(torch.empty(3, 3), nonlinearity="cubic"),
        lambda room: room.calculate_gain("leaky_relu", "steep"),
    ],
)
def test_misfits_raise_what_torch_raises(call):
    for room in (init, torch.nn.init):
        with pytest.raises(ValueError, match=r"."):
            call(room)
