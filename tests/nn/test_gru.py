"""GRU the layer."""

import pytest
import torch

from minimodels import nn


def test_the_cell_taken_step_by_step_is_the_layer():
    layer, cell = nn.GRU(3, 4), nn.GRUCell(3, 4)
    cell.load_state_dict({name.removesuffix("_l0"): p for name, p in layer.named_parameters()})
    x, h, outputs = torch.randn(5, 2, 3), None, []
    for x_t in x:
        h = cell(x_t, h)
        outputs.append(h)
    torch.testing.assert_close(torch.stack(outputs), layer(x)[0])


def test_there_is_no_projection():
    with pytest.raises(ValueError, match="only supported for LSTM"):
        nn.GRU(3, 4, proj_size=2)
