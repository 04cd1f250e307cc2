"""The LSTM's definition against torch's cell, and what its gates mean."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels import functional as F
from minimodels import nn
from minimodels.functional.lstm import LSTM, definition
from minimodels.functional.recurrence import Steps, Weights, layer
from minimodels.tap import listening
from minimodels.testing import assert_same, recurrent_cell_cases, tensors


@given(case=recurrent_cell_cases("LSTM"))
def test_the_step_is_torchs_cell(case):
    cell = torch.nn.LSTMCell(*case.args, **case.kwargs).double()
    x, *hx = case.inputs
    if hx and x.ndim == 2:
        weights = [cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh]
        for mine, theirs in zip(F.lstm_cell(x, hx[0], *weights), torch.lstm_cell(x, hx[0], *weights), strict=True):
            assert_same(mine, theirs)


@given(x=tensors((4, 2, 3)), seed=st.integers(0, 99))
def test_the_loop_of_the_definition_is_the_layer(x, seed):
    torch.manual_seed(seed)
    reader = nn.LSTM(3, 5).double()
    zeros = torch.zeros(2, 5, dtype=torch.float64)
    y, (h, c) = definition.sequence(x, (zeros, zeros), Weights(*reader.all_weights[0]))
    output, (h_n, c_n) = reader(x)
    for mine, theirs in ((output, y), (h_n[0], h), (c_n[0], c)):
        assert_same(mine, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("listened", [True, False])
@given(x=tensors((4, 2, 3)), c=tensors((2, 5)))
def test_with_the_input_gate_shut_and_the_forget_gate_open_the_cell_stays(listened, x, c):
    bias = torch.tensor([-1e9, 1e9, 0.0, 0.0], dtype=torch.float64).repeat_interleave(5)
    weights = Weights(torch.randn(20, 3).double(), torch.randn(20, 5).double(), bias, torch.zeros_like(bias))
    rows, steps = x.reshape(8, 3), Steps((2,) * 4)
    if listened:
        with listening(lambda name, value: value):
            _, (_, last) = layer(LSTM, rows, steps, (torch.zeros_like(c), c), weights)
    else:
        _, (_, last) = layer(LSTM, rows, steps, (torch.zeros_like(c), c), weights)
    assert_same(last, c.contiguous(), rtol=1e-12, atol=1e-12)


def test_a_listener_sees_the_gates_and_may_freeze_them():
    reader, x, seen = nn.LSTM(3, 4), torch.randn(5, 2, 3), {}
    with listening(lambda name, value: seen.setdefault(name, []).append(value) or value):
        _, (_, c) = reader(x)
    assert set(seen) == {
        f"lstm.{v}" for v in ("input_gate", "forget_gate", "candidate", "output_gate", "cell", "hidden")
    }
    cell = torch.zeros(2, 4)
    for f, i, g in zip(seen["lstm.forget_gate"], seen["lstm.input_gate"], seen["lstm.candidate"], strict=True):
        cell = f * cell + i * g
    assert torch.allclose(cell, c[0])
    with listening(lambda name, value: torch.zeros_like(value) if name == "lstm.input_gate" else value):
        assert not reader(x)[1][1].any()


def test_what_is_large_saturates_and_does_not_overflow():
    weights = Weights(torch.full((4, 1), 1e30), torch.zeros(4, 1))
    y, (_, c) = layer(LSTM, torch.ones(3, 1), Steps((1,) * 3), (torch.zeros(1, 1), torch.zeros(1, 1)), weights)
    assert torch.equal(c, torch.full((1, 1), 3.0))
    assert y.isfinite().all()


def test_wrong_states_are_named():
    with pytest.raises(TypeError, match="tuple"):
        F.lstm_cell(torch.zeros(2, 3), torch.zeros(2, 4), torch.zeros(16, 3), torch.zeros(16, 4))
    with pytest.raises(RuntimeError, match="hidden1 has inconsistent hidden_size: got 5, expected 4"):
        F.lstm_cell(torch.zeros(2, 3), (torch.zeros(2, 4), torch.zeros(2, 5)), torch.zeros(16, 3), torch.zeros(16, 4))
