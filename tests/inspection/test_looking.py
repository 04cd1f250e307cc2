"""Looking leaves no trace, also where it fails or where the model is careless."""

import pytest
import torch

from minimodels import nn
from minimodels.inspection import buffers_kept, count_flops, modes_kept, only_looking


class Careless(nn.Module):
    """Moves a buffer in evaluation too."""

    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls.add_(1)
        return x * torch.rand(())


def test_a_buffer_that_moves_in_evaluation_is_kept():
    model = Careless()
    own = model.calls
    with only_looking(model):
        model(torch.zeros(1))
        assert model.calls == 1
    count_flops(model, torch.zeros(1))
    assert model.calls is own
    assert own == 0
    model(torch.zeros(1))
    assert model.calls == 1


def test_a_derivative_that_was_begun_can_be_finished():
    """The product keeps the buffer for its derivative; writing it back would spoil that."""
    model, x = Careless(), torch.ones(1, requires_grad=True)
    y = x * model.calls
    with buffers_kept(model):
        model(x)
    y.backward()
    assert x.grad == 0


@pytest.mark.parametrize("look", [modes_kept, buffers_kept, only_looking])
def test_everything_is_back_after_an_error_and_one_look_fits_into_another(look):
    model = nn.Sequential(nn.BatchNorm1d(2), Careless(), nn.Dropout())
    model[2].eval()
    buffers, random = list(model.buffers()), torch.get_rng_state()
    with pytest.raises(RuntimeError), look(model), only_looking(model):
        model(model(torch.ones(1, 2)).repeat(1, 2))  # the second time there are too many channels
    assert [part.training for part in model] == [True, True, False]
    assert all(one is other for one, other in zip(model.buffers(), buffers, strict=True))
    assert torch.equal(random, torch.get_rng_state())
    assert torch.is_grad_enabled()
