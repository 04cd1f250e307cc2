"""Cross-entropy in compiled code: the same numbers, one graph, and a derivative that writes nothing beside itself."""

import functools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch._functorch.aot_autograd import aot_module_simplified

from minimodels import functional as F
from minimodels.functional.losses import classification
from minimodels.functional.losses.compiled import surprise_of_indices

T = torch.nn.functional
pytestmark = pytest.mark.filterwarnings("ignore")  # the compiler's own deprecations


def noise(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def both_ways(f, x, *rest, **settings):
    y = f(x, *rest, **settings)
    return y, *torch.autograd.grad(y.square().sum(), x)


SHAPES = {"rows": (7, 5), "places": (2, 5, 3, 2), "single": (5,)}


@pytest.fixture(autouse=True)
def anew():
    torch.compiler.reset()


def truths(shape, ignored=True):
    places = shape[:1] + shape[2:] if len(shape) > 1 else ()
    y = torch.randint(0, 5, places, generator=torch.Generator().manual_seed(1))
    return torch.where(noise(*places, seed=2) > 1, -100, y) if ignored and places else y


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_is_pytorchs(shape, weighted, reduction, dtype):
    x, y = noise(*shape, dtype=dtype).requires_grad_(), truths(shape)
    settings = {"weight": noise(5, seed=3, dtype=dtype).abs() if weighted else None, "reduction": reduction}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.compiler, "is_compiling", lambda: True)  # what a compiler sees
        found = both_ways(F.cross_entropy, x, y, **settings)
    expected = both_ways(T.cross_entropy, x, y, **settings)
    for mine, theirs in zip(found, expected, strict=True):
        assert mine.dtype == dtype
        torch.testing.assert_close(mine, theirs, **({"rtol": 0.02, "atol": 0.02} if dtype is torch.bfloat16 else {}))


@given(
    classes=st.integers(1, 6), rows=st.integers(1, 6), further=st.none() | st.integers(1, 3),
    weighted=st.booleans(), reduction=st.sampled_from(["none", "mean", "sum"]), seed=st.integers(0, 99),
)  # fmt: skip
def test_every_derivative_is_that_of_the_definition(classes, rows, further, weighted, reduction, seed):
    shape = (rows, classes) if further is None else (rows, classes, further)
    places = (rows,) if further is None else (rows, further)
    x = noise(*shape, seed=seed).requires_grad_()
    y = torch.randint(0, classes, places, generator=torch.Generator().manual_seed(seed))
    y.view(-1)[1::3] = -7  # the first counts: of nothing there is no mean
    w = noise(classes, seed=seed + 1).abs().requires_grad_() if weighted else None
    leaves, found = [x] if w is None else [x, w], []
    for f in (surprise_of_indices, by_definition):
        loss = f(x, y, w, 1, -7, reduction)
        first = torch.autograd.grad(loss.sin().sum(), leaves, create_graph=True)
        found.append([loss, *first, *torch.autograd.grad(sum(g.cos().sum() for g in first), leaves)])
    torch.testing.assert_close(*found)


def by_definition(x, y, w, classes, ignore_index, reduction):
    return classification.against_indices(
        F.log_softmax(x, classes), y, w, classes, ignore_index, reduction, smoothing=0.0
    )


@pytest.mark.parametrize("dynamic", [False, True])
def test_one_graph_whose_derivative_scatters_nothing(dynamic):
    graphs = []

    def keep(graph, _):
        graphs.append(graph)
        return graph.forward

    compiler = functools.partial(aot_module_simplified, fw_compiler=keep, bw_compiler=keep)
    run = torch.compile(F.cross_entropy, backend=compiler, fullgraph=True, dynamic=dynamic)
    for rows in (7, 9):
        x, y = noise(rows, 5).requires_grad_(), truths((rows, 5))
        torch.testing.assert_close(both_ways(run, x, y), both_ways(F.cross_entropy, x, y))
    assert len(graphs) == (2 if dynamic else 4)
    assert not any("scatter" in str(node.target) for graph in graphs for node in graph.graph.nodes)


def test_the_generated_code():
    x, y = noise(7, 40, dtype=torch.float32).requires_grad_(), truths((7, 40))
    run = torch.compile(lambda x, y: F.cross_entropy(2 * x, y), fullgraph=True)
    torch.testing.assert_close(both_ways(run, x, y), both_ways(lambda x, y: T.cross_entropy(2 * x, y), x, y))


def test_transforms_within_compiled_code():
    x, y = noise(7, 5), truths((7, 5), ignored=False)
    for transform in (torch.func.grad, torch.func.hessian):
        f = transform(lambda x: F.cross_entropy(x, y))
        torch.testing.assert_close(torch.compile(f, backend="aot_eager")(x), f(x))
    f = torch.func.vmap(F.cross_entropy)
    pairs = torch.stack([x, 2 * x]), torch.stack([y, y])
    torch.testing.assert_close(torch.compile(f, backend="aot_eager")(*pairs), f(*pairs))


@pytest.mark.parametrize("given", [{"label_smoothing": 0.1}, {}], ids=["smoothed", "a distribution"])
def test_other_truths_compile_as_their_definition(given):
    x = noise(7, 5).requires_grad_()
    y = truths((7, 5)) if given else noise(7, 5, seed=1).softmax(1)
    run = torch.compile(functools.partial(F.cross_entropy, **given), backend="aot_eager", fullgraph=True)
    expected = both_ways(functools.partial(T.cross_entropy, **given), x, y)
    torch.testing.assert_close(both_ways(run, x, y), expected)
