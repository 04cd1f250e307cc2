"""SwiGLU the layer."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels import nn
from minimodels.testing import assert_equivalent, tensors


class Written(torch.nn.Module):
    """The equation in PyTorch's layers."""

    def __init__(self, width, hidden, bias):
        super().__init__()
        self.gate_proj = torch.nn.Linear(width, hidden, bias)
        self.up_proj = torch.nn.Linear(width, hidden, bias)
        self.down_proj = torch.nn.Linear(hidden, width, bias)

    def forward(self, x):
        return self.down_proj(torch.nn.functional.silu(self.gate_proj(x)) * self.up_proj(x))


@given(data=st.data(), hidden=st.integers(1, 5), bias=st.booleans())
def test_it_is_the_equation(data, hidden, bias):
    x = data.draw(tensors((2, 3, 4)))
    assert_equivalent(nn.SwiGLU(4, hidden, bias).double(), Written(4, hidden, bias).double(), x)


def test_where_and_what_its_parameters_are():
    layer = nn.SwiGLU(4, 6, bias=True, device="meta", dtype=torch.bfloat16)
    assert {(p.device.type, p.dtype) for p in layer.parameters()} == {("meta", torch.bfloat16)}
    assert layer(torch.empty(2, 4, device="meta", dtype=torch.bfloat16)).shape == (2, 4)
    assert [*nn.SwiGLU(4, 6).state_dict()] == ["gate_proj.weight", "up_proj.weight", "down_proj.weight"]


def test_it_compiles():
    torch.compiler.reset()
    layer, x = nn.SwiGLU(4, 6), torch.randn(2, 4)
    torch.testing.assert_close(torch.compile(layer, fullgraph=True, backend="aot_eager")(x), layer(x))
