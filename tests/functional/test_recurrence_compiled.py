"""Recurrent layers in compiled code: few steps are part of the graph, many are a break in it."""

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend

from minimodels import nn
from minimodels.functional.recurrence import stacking

AFEW, MANY = stacking.LONG - 1, stacking.LONG + 3


def gradients(run, layer, x):
    y = run(x)[0]
    return y, torch.autograd.grad(y.square().sum(), [x, *layer.parameters()])


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.filterwarnings("ignore")  # the compiler's own deprecations
def test_many_steps_run_beside_the_graph_with_the_same_numbers(kind):
    torch.compiler.reset()
    counter = CompileCounterWithBackend("aot_eager")
    layer = kind(3, 4, 2, bidirectional=True).double()
    run = torch.compile(layer, backend=counter)
    x = torch.randn(MANY, 2, 3, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(gradients(run, layer, x), gradients(layer, layer, x))
    assert counter.op_count < MANY  # nothing was unrolled


@pytest.mark.filterwarnings("ignore")
def test_few_steps_are_one_graph_and_an_exported_program_has_them_all():
    torch.compiler.reset()
    layer = nn.GRU(3, 4).double()
    run = torch.compile(layer, backend="aot_eager", fullgraph=True)
    x = torch.randn(AFEW, 2, 3, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(gradients(run, layer, x), gradients(layer, layer, x))
    with pytest.raises(torch._dynamo.exc.Unsupported):
        run(torch.randn(MANY, 2, 3, dtype=torch.float64))
    long = torch.randn(MANY, 2, 3, dtype=torch.float64)
    program = torch.export.export(layer, (long,))
    torch.testing.assert_close(program.module()(long)[0], layer(long)[0])
