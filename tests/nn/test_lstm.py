"""LSTM the layer: projection, and its state dict."""

import pytest
import torch

from minimodels import nn


def test_a_projection_narrows_the_output_but_not_the_cell():
    output, (h, c) = nn.LSTM(3, 8, 2, proj_size=2, bidirectional=True)(torch.randn(5, 4, 3))
    assert output.shape == (5, 4, 4)
    assert h.shape == (4, 4, 2)
    assert c.shape == (4, 4, 8)


def test_the_cell_taken_step_by_step_is_the_layer():
    layer, cell = nn.LSTM(3, 4), nn.LSTMCell(3, 4)
    cell.load_state_dict({name.removesuffix("_l0"): p for name, p in layer.named_parameters()})
    x, state, outputs = torch.randn(5, 2, 3), None, []
    for x_t in x:
        state = cell(x_t, state)
        outputs.append(state[0])
    torch.testing.assert_close(torch.stack(outputs), layer(x)[0])


def test_normalised_layers_name_their_gains():
    names = set(nn.LSTM(3, 4, layer_norm=True).state_dict()) - set(nn.LSTM(3, 4).state_dict())
    assert names == {"gain_ih_l0", "gain_hh_l0", "gain_cell_l0", "shift_cell_l0"}


def test_a_third_state_is_refused():
    with pytest.raises(RuntimeError, match="2 hidden states"):
        nn.LSTM(3, 4)(torch.zeros(5, 2, 3), (torch.zeros(1, 2, 4),) * 3)
