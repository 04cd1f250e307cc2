"""The simple recurrent network's definition against torch's cells, and a state that only adds."""

import pytest
import torch
from hypothesis import given

from minimodels import functional as F
from minimodels.functional.recurrence import Steps, Weights, layer
from minimodels.functional.rnn import RELU
from minimodels.testing import assert_same, recurrent_cell_cases, tensors


@pytest.mark.parametrize("name", ["rnn_tanh_cell", "rnn_relu_cell"])
@given(case=recurrent_cell_cases("GRU"))
def test_the_step_is_torchs_cell(name, case):
    cell = torch.nn.RNNCell(*case.args, **case.kwargs).double()
    x, *hx = case.inputs
    if hx and x.ndim == 2:
        operands = [x, hx[0], cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh]
        assert_same(getattr(F, name)(*operands), getattr(torch, name)(*operands))


@given(x=tensors((8, 3)), h=tensors((2, 3)))
def test_rectified_units_with_the_identity_add_up(x, h):
    """Le et al. 2015: with W_hh the identity, what is positive is summed over the steps."""
    x, h, one = x.abs().contiguous(), h.abs().contiguous(), torch.eye(3, dtype=torch.float64)
    y, (last,) = layer(RELU, x, Steps((2,) * 4), (h,), Weights(one, one))
    assert_same(last, h + x.view(4, 2, 3).sum(0), rtol=1e-12, atol=1e-12)
    assert_same(y, (h + x.view(4, 2, 3).cumsum(0)).view(8, 3), rtol=1e-12, atol=1e-12)
