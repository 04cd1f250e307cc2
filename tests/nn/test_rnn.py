"""RNN the layer: its two non-linearities."""

import pytest
import torch

from minimodels import nn


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_the_cell_taken_step_by_step_is_the_layer(nonlinearity):
    layer, cell = (kind(3, 4, nonlinearity=nonlinearity) for kind in (nn.RNN, nn.RNNCell))
    cell.load_state_dict({name.removesuffix("_l0"): p for name, p in layer.named_parameters()})
    x, h, outputs = torch.randn(5, 2, 3), None, []
    for x_t in x:
        h = cell(x_t, h)
        outputs.append(h)
    torch.testing.assert_close(torch.stack(outputs), layer(x)[0])


def test_what_it_has_not_is_refused():
    with pytest.raises(ValueError, match="only supported for LSTM"):
        nn.RNN(3, 4, proj_size=2)
    with pytest.raises(ValueError, match="gated cell"):
        nn.RNN(3, 4, update_dropout=0.5)
