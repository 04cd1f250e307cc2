"""The GRU's definition against torch's cell, and what its gates mean."""

import torch
from hypothesis import given

from minimodels import functional as F
from minimodels.functional.gru import GRU
from minimodels.functional.recurrence import Steps, Weights, layer
from minimodels.testing import assert_same, recurrent_cell_cases, tensors


@given(case=recurrent_cell_cases("GRU"))
def test_the_step_is_torchs_cell(case):
    cell = torch.nn.GRUCell(*case.args, **case.kwargs).double()
    x, *hx = case.inputs
    if hx and x.ndim == 2:
        operands = [x, hx[0], cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh]
        assert_same(F.gru_cell(*operands), torch.gru_cell(*operands))


@given(x=tensors((8, 3)), h=tensors((2, 5)))
def test_with_the_update_gate_open_the_state_stays(x, h):
    bias = torch.tensor([0.0, 1e9, 0.0], dtype=torch.float64).repeat_interleave(5)
    weights = Weights(torch.randn(15, 3).double(), torch.randn(15, 5).double(), bias, torch.zeros_like(bias))
    y, (last,) = layer(GRU, x, Steps((2,) * 4), (h,), weights)
    assert_same(last, h.contiguous(), rtol=1e-12, atol=1e-12)
    assert_same(y, h.repeat(4, 1), rtol=1e-12, atol=1e-12)


@given(x=tensors((8, 3)), h=tensors((2, 5)))
def test_with_both_gates_shut_the_past_is_forgotten(x, h):
    bias = torch.tensor([-1e9, -1e9, 0.0], dtype=torch.float64).repeat_interleave(5)
    weights = Weights(torch.randn(15, 3).double(), torch.randn(15, 5).double(), bias, torch.zeros_like(bias))
    y, _ = layer(GRU, x, Steps((2,) * 4), (h,), weights)
    assert_same(y, torch.tanh(x @ weights.w_ih[10:].t()), rtol=1e-9, atol=1e-9)
