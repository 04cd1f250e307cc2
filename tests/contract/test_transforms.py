"""Transforms over every layer: batches of weights and of gradients, compilers with sizes left open, exports."""

import warnings

import pytest
import torch
from torch.utils._pytree import tree_leaves

from minimodels.models import ConvNet
from minimodels.testing import assert_same
from tests.registry import LAYERS

rows = pytest.mark.parametrize("row", LAYERS, ids=str)
SMOOTH = [row for row in LAYERS if not row.random]  # random masks are no function of the input


def pair(row):
    case = row.example
    ours, reference = (layer(*case.args, **case.kwargs).double() for layer in (row.ours, row.reference))
    reference.load_state_dict(ours.state_dict())
    return ours, reference


def leading(result):
    """The first tensor of what a layer returns."""
    return tree_leaves(result)[0]


def quietly(function, *arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the compiler's and the tracer's own deprecations
        return function(*arguments)


@rows
def test_vmap_over_weights(row):
    results = []
    for layer in pair(row):
        weights = {name: torch.stack([p, 2 * p]) for name, p in layer.named_parameters()}
        if not weights:
            return

        def run(parameters, layer=layer):
            return torch.func.functional_call(layer, parameters, row.example.inputs)

        results.append([output.contiguous() for output in tree_leaves(torch.func.vmap(run)(weights))])
    for mine, theirs in zip(*results, strict=True):
        assert_same(mine, theirs)


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
    first, *others = row.example.inputs
    results = []
    for layer in pair(row):
        x = first.clone().requires_grad_()
        output = leading(layer(x, *others))
        with torch.autograd.forward_ad.dual_level():
            dual = torch.autograd.forward_ad.make_dual(torch.ones_like(output), output.detach().cos())
            (gradient,) = torch.autograd.grad(output, x, dual)
            results.append(torch.autograd.forward_ad.unpack_dual(gradient))
    assert_same(results[0].primal, results[1].primal)
    assert_same(results[0].tangent, results[1].tangent)


@rows
def test_a_compiler_sees_through_transforms(row):
    layer, _ = pair(row)
    inputs = [torch.stack([v, v.flip(0)]) for v in row.example.inputs]
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
