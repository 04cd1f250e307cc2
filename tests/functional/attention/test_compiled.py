"""Attention in compiled code: the tiles as an operator, with the numbers and the memory that they have without it."""

import functools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch._functorch.aot_autograd import aot_module_simplified

from minimodels import functional as F
from minimodels import nn
from minimodels.functional.attention import Band, choice, compiled, cutting
from minimodels.functional.precision import accumulator
from minimodels.tap import listening

T = torch.nn.functional
TILES = torch.ops.minimodels.attention_in_tiles.default
CALLS = {
    "plain": F.scaled_dot_product_attention,
    "causal": functools.partial(F.scaled_dot_product_attention, is_causal=True),
    "window": functools.partial(F.causal_attention, window=2),
    "shared": functools.partial(F.scaled_dot_product_attention, enable_gqa=True),
}
pytestmark = pytest.mark.filterwarnings("ignore")  # the compiler's own deprecations


def noise(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def operands(queries=4, keys=5, shared=1, dtype=torch.float64):
    shapes = (2, 3, queries, 2), (2, 3 // shared, keys, 2), (2, 3 // shared, keys, 2)
    return [noise(*shape, seed=i, dtype=dtype).requires_grad_() for i, shape in enumerate(shapes)]


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Few numbers count as many."""
    torch.compiler.reset()
    monkeypatch.setattr(choice, "KEPT", 8)


class Graphs:
    """A compiler that compiles nothing, and remembers the graphs forward and backward."""

    def __init__(self):
        self.graphs = []

    def __call__(self, graph, inputs):
        return aot_module_simplified(graph, inputs, fw_compiler=self.keep, bw_compiler=self.keep)

    def keep(self, graph, _):
        self.graphs.append(graph)
        return graph.forward

    def counts(self, operator=TILES):
        return [sum(node.target is operator for node in graph.graph.nodes) for graph in self.graphs]


def both_ways(f, inputs):
    y = f(*inputs)
    return y, *torch.autograd.grad(y.sin().sum(), inputs)


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("name", CALLS)
def test_many_weights_are_made_in_tiles_and_the_graph_has_no_break(name, dynamic):
    seen, f = Graphs(), CALLS[name]
    inputs = operands(shared=3 if name == "shared" else 1)
    run = torch.compile(f, backend=seen, fullgraph=True, dynamic=dynamic)
    torch.testing.assert_close(both_ways(run, inputs), both_ways(f, inputs))
    assert seen.counts() == [1, 0]
    assert seen.counts(torch.ops.minimodels.attention_in_tiles_backward.default) == [0, 1]


def test_the_generated_code_gives_what_pytorch_gives():
    inputs = operands(8, 8, dtype=torch.float32)
    run = torch.compile(lambda q, k, v: CALLS["causal"](2 * q, k.sin(), v).cos(), fullgraph=True)
    theirs = functools.partial(T.scaled_dot_product_attention, is_causal=True)
    torch.testing.assert_close(
        both_ways(run, inputs), both_ways(lambda q, k, v: theirs(2 * q, k.sin(), v).cos(), inputs)
    )


@given(
    band=st.none() | st.builds(Band, st.integers(-2, 5), st.none() | st.integers(1, 6)),
    masked=st.sampled_from(["", "seen", "added"]), sizes=st.tuples(*3 * [st.integers(1, 7)]),
    shared=st.sampled_from([1, 3]), dtype=st.sampled_from([torch.float64, torch.float32, torch.bfloat16]),
)  # fmt: skip
def test_the_operators_do_what_they_promise(band, masked, sizes, shared, dtype):
    """Types, sizes and strides as announced, nothing written to, nothing handed out twice, the right derivative."""
    queries, keys, width = sizes
    q = noise(2, queries, 3, 4, dtype=dtype).transpose(1, 2)
    k, v = noise(2, 3 // shared, keys, 4, seed=1, dtype=dtype), noise(2, 3 // shared, keys, width, seed=2, dtype=dtype)
    mask = {
        "": None,
        "seen": noise(2, 1, 1, keys) > -1,
        "added": noise(queries, keys)[None, None].to(accumulator(dtype)),
    }
    numbers = compiled._numbers(band)
    assert compiled._band(numbers) == band
    checks = ("test_schema", "test_faketensor", "test_autograd_registration")
    given_ = q, k, v, mask[masked], numbers, 0.5
    torch.library.opcheck(compiled._forward, given_, test_utils=checks)
    found = compiled._forward(*given_)
    torch.library.opcheck(compiled._backward, (*given_, *found, found[0].cos()), test_utils=checks[:2])


@pytest.mark.parametrize("band", [None, Band(), Band(2, 3)])
def test_gradcheck_and_gradgradcheck(band):
    shapes = (1, 4, 3, 2), (1, 2, 5, 2), (1, 2, 5, 3)
    inputs = [noise(*shape, seed=i).requires_grad_() for i, shape in enumerate(shapes)]
    for check in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
        assert check(lambda *o: compiled.attention(*o, None, band, 0.7), inputs)


def test_second_derivatives_and_batches_of_gradients_around_compiled_code():
    inputs, found = operands(), []
    for f in (torch.compile(CALLS["causal"], backend="eager", fullgraph=True), CALLS["causal"]):
        first = torch.autograd.grad(f(*inputs).sin().sum(), inputs, create_graph=True)
        found.append(torch.autograd.grad(sum(g.cos().sum() for g in first), inputs))
        found[-1] += (torch.autograd.functional.jacobian(lambda x, f=f: f(x, *inputs[1:]), inputs[0], vectorize=True),)
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("transform", [torch.func.vmap, torch.func.grad, torch.func.hessian], ids=lambda t: t.__name__)
def test_transforms_within_compiled_code(transform):
    q, k, v = (t.detach() for t in operands())
    f = CALLS["plain"] if transform is torch.func.vmap else lambda *o: CALLS["plain"](*o).sin().sum()
    inputs = [torch.stack([t, 2 * t]) for t in (q, k, v)] if transform is torch.func.vmap else (q, k, v)
    run = torch.compile(transform(f), backend="aot_eager")
    torch.testing.assert_close(run(*inputs), transform(f)(*inputs))


@pytest.mark.parametrize("marked", [False, True])
def test_one_graph_serves_every_length(marked, monkeypatch):
    """Many and few: to ask which they are would fix them."""
    monkeypatch.setattr(choice, "KEPT", 2 * 3 * 8 * 8)
    seen = Graphs()
    run = torch.compile(CALLS["causal"], backend=seen, fullgraph=True)
    for length in (4, 7, 9, 30):
        inputs = operands(length, length)
        for t in inputs:
            if marked:
                torch._dynamo.mark_dynamic(t, 2)
        torch.testing.assert_close(both_ways(run, inputs), both_ways(CALLS["causal"], inputs))
    assert len(seen.graphs) == (2 if marked else 4)


def test_autocast_within_compiled_code_and_around_it():
    inputs = operands(dtype=torch.float32)
    run = torch.compile(CALLS["causal"], backend="aot_eager", fullgraph=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, expected = (both_ways(f, inputs) for f in (run, CALLS["causal"]))
    assert found[0].dtype is torch.bfloat16
    torch.testing.assert_close(found, expected)


def test_who_gets_the_definition_in_compiled_code(monkeypatch):
    def chosen(x, mask=None, dropout_p=0.0, band=None):
        found = []
        torch.compiler.reset()
        torch.compile(lambda: found.append(choice.choose(x, x, x, mask, dropout_p, band)), backend="eager")()
        return found[0]

    x = noise(2, 3, 4, 2)
    assert chosen(x) == "compiled"
    assert chosen(x, dropout_p=0.1) == "definition"
    assert chosen(x.to("meta")) == "definition"
    assert chosen(x, noise(4, 4).requires_grad_()) == "definition"
    assert chosen(x[:0]) == chosen(x[:, :, :0]) == "definition"
    with listening(lambda name, value: value):
        assert chosen(x) == "definition"
    monkeypatch.setattr(choice, "KEPT", 2 * 3 * 4 * 4)
    assert chosen(x) == "compiled"  # nothing is differentiated
    assert chosen(x.requires_grad_()) == "definition"
    assert chosen(x, band=Band()) == "definition"
    monkeypatch.setattr(choice, "COMPILED", 2 * 3 * 4 * 4 - 1)
    assert chosen(x, band=Band()) == "compiled"
    assert chosen(x) == "definition"


@pytest.mark.parametrize("need_weights", [False, True])
def test_layers(need_weights):
    layer, x = nn.MultiheadAttention(4, 2, batch_first=True).double(), noise(2, 5, 4).requires_grad_()
    run = torch.compile(layer, backend="aot_eager", fullgraph=True)
    found = [f(x, x, x, need_weights=need_weights) for f in (run, layer)]
    torch.testing.assert_close(*found)
    torch.testing.assert_close(*(torch.autograd.grad(y.sin().sum(), [x, *layer.parameters()]) for y, _ in found))


@pytest.mark.parametrize("strict", [True, False])
def test_an_exported_program_has_the_definition_and_open_lengths(strict):
    class Layer(torch.nn.Module):
        def forward(self, x):
            return CALLS["causal"](x, x, x)

    shapes = {"x": {2: torch.export.Dim("length", max=64)}}
    program = torch.export.export(Layer(), (noise(2, 3, 6, 2),), dynamic_shapes=shapes, strict=strict)
    assert not any(node.target is TILES for node in program.graph.nodes)
    x = noise(2, 3, 9, 2)
    torch.testing.assert_close(program.module()(x), Layer()(x))


def largest_piece(length):
    """How many bytes of scores are asked for at most, by what the compiled code and its derivative call."""
    sizes = []
    with pytest.MonkeyPatch.context() as patch:
        plain = cutting.Cut.room

        def room(cut, name, *shape, dtype=None):
            sizes.append(functools.reduce(int.__mul__, shape, 1))
            return plain(cut, name, *shape, dtype=dtype)

        patch.setattr(cutting.Cut, "room", room)
        inputs, seen = operands(length, length), Graphs()
        both_ways(torch.compile(CALLS["plain"], backend=seen, dynamic=False), inputs)
    made = [node.meta["val"] for graph in seen.graphs for node in graph.graph.nodes if "val" in node.meta]
    return max(sizes + [t.numel() for t in made if isinstance(t, torch.Tensor)])


def test_memory_grows_with_the_length_and_not_with_its_square(monkeypatch):
    for name, size in {"ROWS": 4, "LEAST": 1, "KEYS": 4, "QUERIES": 16, "BLOCK": 1, "TILE": 1}.items():
        monkeypatch.setattr(cutting, name, size)
    assert largest_piece(256) <= 4.1 * largest_piece(64) < 256**2
