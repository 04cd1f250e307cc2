"""Convolution's form for compilers: the definition's numbers, one graph, and any size of a batch."""

import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch._dynamo.testing import CompileCounterWithBackend

from minimodels import functional as F
from minimodels import nn
from minimodels.functional.conv import choice, compiled, definition
from minimodels.models import ConvNet
from minimodels.shapes import Windows
from minimodels.testing import assert_equivalent, tensors


@st.composite
def convolutions(draw, dims=None):
    """Input, kernel, bias, and windows with uneven padding, beyond the kernel's reach too."""
    dims = dims or draw(st.integers(1, 3))
    kernel, dilation, stride = (tuple(draw(st.integers(1, 3)) for _ in range(dims)) for _ in range(3))
    pads = tuple((draw(st.integers(0, 3)), draw(st.integers(0, 3))) for _ in range(dims))
    groups, inputs, outputs, batch = (draw(st.integers(1, most)) for most in (3, 2, 2, 3))
    size = tuple(
        max(1, d * (k - 1) + 1 - sum(p)) + draw(st.integers(0, 4))
        for k, d, p in zip(kernel, dilation, pads, strict=True)
    )
    x = draw(tensors((batch, groups * inputs, *size)))
    w, b = draw(tensors((groups * outputs, inputs, *kernel))), draw(tensors((groups * outputs,), layouts=False))
    return x, w, b, Windows(kernel, stride, pads, dilation, groups)


@pytest.mark.parametrize(("chunk", "short"), [(1, 1), (compiled.CHUNK, compiled.SHORT)])
@given(case=convolutions())
def test_is_the_definition(chunk, short, case):
    """In parts as small as can be, of the batch and of the kernel, and in one."""
    x, w, b, windows = case
    ours, theirs = (lambda *o, f=f: f(*o, windows).contiguous() for f in (compiled.convolve, definition.convolve))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "CHUNK", chunk)
        patch.setattr(compiled, "SHORT", short)
        assert_equivalent(ours, theirs, x, w, b, rtol=1e-9, atol=1e-9)


def one_graph(f, *inputs, **settings):
    """A compiled function beside itself uncompiled: outputs, all gradients, and the layouts of outputs."""
    torch.compiler.reset()
    run = torch.compile(f, fullgraph=True, backend="aot_eager", **settings)
    inputs = [t.clone(memory_format=torch.preserve_format).requires_grad_() for t in inputs]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the compiler's own deprecations
        mine, theirs = run(*inputs), f(*inputs)
        upstream = torch.randn_like(theirs)
        gradients = [torch.autograd.grad(y, inputs, upstream) for y in (mine, theirs)]
    assert mine.stride() == theirs.stride()
    torch.testing.assert_close(mine, theirs)
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize(
    "settings",
    [{}, {"padding": 1}, {"stride": 2, "padding": 1}, {"dilation": 2, "padding": (2, 0)}, {"groups": 2, "padding": 3}],
    ids=str,
)
def test_compiles_to_one_graph(layout, settings):
    x = torch.randn(2, 4, 7, 6, dtype=torch.float64).contiguous(memory_format=layout)
    w, b = (torch.randn(shape, dtype=torch.float64) for shape in ((6, 4 // settings.get("groups", 1), 3, 3), (6,)))
    one_graph(lambda x, w, b: F.conv2d(x, w, b, **settings), x, w, b)


def test_is_what_compiled_code_chooses(monkeypatch):
    windows = Windows((3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1)
    x, w = torch.ones(8, 128, 14, 14), torch.ones(128, 128, 3, 3)
    assert choice.choose(x, w, windows) == "winograd F(2x2)"
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert choice.choose(x, w, windows) == "compiled"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_sixteen_bits_are_rounded_once(dtype):
    generator = torch.Generator().manual_seed(0)
    x, w, b = (torch.randn(shape, generator=generator).to(dtype) for shape in ((2, 16, 8, 8), (16, 16, 3, 3), (16,)))
    windows = Windows((3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1)
    exact = definition.convolve(x.double(), w.double(), b.double(), windows)
    unit = torch.finfo(dtype).eps
    assert ((compiled.convolve(x, w, b, windows).double() - exact).abs() <= 0.51 * unit * exact.abs() + 1e-4).all()


def test_the_digit_network_trains_in_two_graphs_though_the_last_batch_is_smaller():
    """One graph for the full batch; the second leaves the size open, and serves all others."""
    torch.compiler.reset()
    torch.manual_seed(0)
    model, counter = ConvNet().double(), CompileCounterWithBackend("aot_eager")
    run, loss = torch.compile(model, backend=counter, fullgraph=True), nn.CrossEntropyLoss()
    for batch in (8, 8, 5, 8, 3, 7):
        images, labels = torch.rand(batch, 1, 28, 28, dtype=torch.float64), torch.randint(10, (batch,))
        gradients = []
        for form in (run, model):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                gradients.append(torch.autograd.grad(loss(form(images), labels), list(model.parameters())))
        torch.testing.assert_close(*gradients)
    assert counter.frame_count == 2
