"""Transforms over every layer: batches of weights and of gradients, compilers with sizes left open, exports."""

import warnings

import pytest
import torch
from torch.utils._pytree import tree_leaves, tree_map

from minimodels.models import ConvNet
from minimodels.testing import assert_same
from tests.registry import LAYERS, at_rest

rows = pytest.mark.parametrize("row", [row for row in LAYERS if row.transforms], ids=str)
SMOOTH = [row for row in LAYERS if row.smooth and row.transforms]


def pair(row):
    case = row.example
    ours, reference = (case.build(layer).double() for layer in (row.ours, row.reference))
    reference.load_state_dict(ours.state_dict())
    return at_rest(row, ours), at_rest(row, reference)


def leading(result):
    """The first tensor of what a layer returns."""
    return tree_leaves(result)[0]


def quietly(function, *arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the compiler's and the tracer's own deprecations
        return function(*arguments)


@pytest.mark.filterwarnings("ignore:An output with one or more elements was resized:UserWarning")  # in the reference
@rows
def test_vmap_over_weights(row):
    results = []
    for layer in pair(row):
        weights = {name: torch.stack([p, 2 * p]) for name, p in layer.named_parameters()}
        if not weights:
            return

        def run(parameters, layer=layer):
            return torch.func.functional_call(layer, parameters, row.example.inputs)

        if isinstance(layer, row.ours) or row.batches:
            batched = tree_leaves(torch.func.vmap(run)(weights))
        else:
            singles = [tree_leaves(run({name: w[i] for name, w in weights.items()})) for i in range(2)]
            batched = [torch.stack(parts) for parts in zip(*singles, strict=True)]
        results.append([output.contiguous() for output in batched])
    for mine, theirs in zip(*results, strict=True):
        assert_same(mine, theirs)


@pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning")  # within the reference
@pytest.mark.parametrize("row", SMOOTH, ids=str)
def test_batched_jacobians_and_hessians(row):
    first, *others = row.example.inputs
    results = []
    for layer in pair(row):
        outputs = torch.autograd.functional.jacobian(lambda x, f=layer: leading(f(x, *others)), first, vectorize=True)
        results.append([outputs])
        if row.order > 1:
            second = torch.func.hessian(lambda x, f=layer: leading(f(x, *others)).square().sum())(first)
            results[-1].append(second)
    for mine, theirs in zip(*results, strict=True):
        assert_same(mine, theirs)


@pytest.mark.parametrize("row", [row for row in SMOOTH if row.order > 1], ids=str)
def test_forward_over_reverse(row):
    """A gradient is linear in what comes from above, so its tangent is the gradient of the tangent."""
    first, *others = row.example.inputs
    ours, reference = pair(row)
    x = first.clone().requires_grad_()
    output = leading(ours(x, *others))
    upstream, direction = torch.ones_like(output), output.detach().cos()
    with torch.autograd.forward_ad.dual_level():
        (gradient,) = torch.autograd.grad(output, x, torch.autograd.forward_ad.make_dual(upstream, direction))
        found = torch.autograd.forward_ad.unpack_dual(gradient)
        for mine, above in ((found.primal, upstream), (found.tangent, direction)):
            (theirs,) = torch.autograd.grad(leading(reference(x, *others)), x, above)
            assert_same(mine, theirs)


@rows
def test_a_compiler_sees_through_transforms(row):
    layer, _ = pair(row)
    inputs = tree_map(lambda v: torch.stack([v, v.flip(0)]), row.example.inputs)
    if row.random:
        layer.eval()
    torch.compiler.reset()
    batched = torch.func.vmap(layer)
    compiled = quietly(torch.compile(batched, backend="aot_eager"), *inputs)
    for mine, theirs in zip(tree_leaves(compiled), tree_leaves(batched(*inputs)), strict=True):
        assert_same(mine, theirs)


def test_one_graph_serves_every_batch_size():
    graphs = []

    def count(graph, inputs):
        graphs.append(graph)
        return graph

    torch.compiler.reset()
    model = torch.compile(ConvNet(), backend=count, fullgraph=True, dynamic=True)
    for batch in (4, 5, 7, 9):
        images = torch.rand(batch, 1, 28, 28)
        torch._dynamo.mark_dynamic(images, 0)
        quietly(model, images).sum().backward()
    assert len(graphs) == 1


@pytest.mark.parametrize("strict", [True, False])
def test_the_digit_network_is_exported_with_an_open_batch(strict):
    model, images = ConvNet().eval(), torch.rand(4, 1, 28, 28)
    shapes = {"images": {0: torch.export.Dim("batch")}}
    program = quietly(lambda: torch.export.export(model, (images,), dynamic_shapes=shapes, strict=strict))
    images = torch.rand(7, 1, 28, 28)
    torch.testing.assert_close(program.module()(images), model(images))


@rows
def test_the_old_tracer(row):
    layer, _ = pair(row)
    layer.eval()
    traced = quietly(lambda: torch.jit.trace(layer, row.example.inputs))
    outputs = [tree_leaves(f(*row.example.inputs)) for f in (traced, layer)]
    torch.testing.assert_close(*outputs)


def test_checkpointing_recomputes_the_same():
    model, images = ConvNet().double(), torch.rand(2, 1, 28, 28, dtype=torch.float64, requires_grad=True)
    outputs = torch.utils.checkpoint.checkpoint(model, images, use_reentrant=False)
    assert_same(torch.autograd.grad(outputs.sum(), images)[0], torch.autograd.grad(model(images).sum(), images)[0])
