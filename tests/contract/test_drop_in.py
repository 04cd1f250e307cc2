"""Drop-in: whatever a user can see of PyTorch's layer, they see of ours."""

import copy
import inspect
import io
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._pytree import tree_leaves, tree_map

from minimodels.testing import assert_equivalent, assert_same, derivatives
from tests.registry import LAYERS, Row, at_rest, each, few

rows = pytest.mark.parametrize("row", LAYERS, ids=str)
transformed = pytest.mark.parametrize("row", [row for row in LAYERS if row.transforms], ids=str)


LOW_PRECISIONS = (torch.float32, torch.bfloat16, torch.float16)


def outputs_of(result):
    """The tensors that a layer returns, in order."""
    return [leaf for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]


def looped(layer):
    """What vmap means, one sample after the other."""

    def run(*inputs):
        count = len(tree_leaves(inputs)[0])
        results = [layer(*tree_map(lambda v, i=i: v[i], inputs)) for i in range(count)]
        return tree_map(lambda *parts: torch.stack(parts), *results)

    return run


def built(row: Row, case, dtype=torch.float64, seed=0):
    """Build ours and the reference from the same seed."""
    pair = []
    for layer in (row.ours, row.reference):
        torch.manual_seed(seed)
        pair.append(case.build(layer).to(dtype))
    return pair


@rows
@few
@given(data=st.data())
def test_outputs_and_two_orders_of_derivatives(row, data, device):
    case = data.draw(row.cases())
    ours, reference = built(row, case)
    inputs = case.to(torch.float64, device).inputs
    tolerance = {"rtol": row.tolerance, "atol": row.tolerance}
    order = data.draw(st.sampled_from([1, row.order]))  # a backward may go another way when it is differentiated itself
    assert_equivalent(ours.to(device), reference.to(device), *inputs, order=order, **tolerance)


@pytest.mark.parametrize(
    ("row", "dtype"),
    [(row, dtype) for row in LAYERS for dtype in LOW_PRECISIONS[: None if row.low_precision else 1]],
    ids=str,
)
@few
@given(data=st.data())
def test_lower_precision_is_as_exact_as_the_reference(row, dtype, data, device):
    """Both are measured against the reference in float64 on the same rounded numbers.

    Where the reference itself loses a finite number, ours loses it too (float16 overflows) or is right: oneDNN's
    bfloat16 convolution reads memory that nobody wrote at some strides, and gives NaN when it finds NaN there.
    """
    case = data.draw(row.cases()).to(dtype, device)
    ours, reference = (layer.to(device) for layer in built(row, case, dtype))
    reference.load_state_dict(ours.state_dict())
    precise, wide = copy.deepcopy(reference).double(), case.to(torch.float64, device)
    mine, theirs = (derivatives(layer, *case.inputs, order=1) for layer in (ours, reference))
    exact = derivatives(precise, *wide.inputs, order=1)
    for name, truth in exact.items():
        a, b, truth = (t.to_dense() if t.is_sparse else t for t in (mine[name], theirs[name], truth))
        assert (a.dtype, a.shape) == (b.dtype, b.shape), name
        finite = truth.isfinite() & b.isfinite()
        judged = truth.isfinite() & (a.isfinite() | b.isfinite())
        assert torch.equal(a[~judged].nan_to_num(), b[~judged].nan_to_num()), name
        if judged.any():
            errors = [
                (t.double() - truth)[where].abs().max().item() if where.any() else 0.0
                for t, where in ((a, judged), (b, finite))
            ]
            rounding = max(1, truth[finite].abs().max().item()) * torch.finfo(dtype).eps  # of terms about one large
            assert errors[0] <= 2 * errors[1] + row.roundings * rounding, (
                f"{name}: {errors}, one rounding is {rounding}"
            )


@rows
@few
@given(data=st.data())
def test_evaluation_mode(row, data, device):
    case = data.draw(row.cases()).to(torch.float64, device)
    ours, reference = built(row, case)
    assert_equivalent(ours.to(device).eval(), reference.to(device).eval(), *case.inputs, order=1)


@rows
@few
@given(data=st.data())
def test_output_may_be_written_over(row, data):
    """`y += x` and ReLU(inplace=True) behind a layer: what the reference allows works, and spoils no derivative."""
    case = data.draw(row.cases()).to(torch.float64)
    ours, reference = built(row, case)
    try:
        theirs = written_over(reference, case.inputs)
    except RuntimeError:  # it needs its output for the derivative
        return
    for a, b in zip(written_over(ours, case.inputs), theirs, strict=True):
        assert_same(a, b, rtol=row.tolerance, atol=row.tolerance)


def written_over(layer, inputs):
    """The inputs once all outputs have been doubled in place, and the derivatives by inputs and parameters."""
    leaves = each(lambda v: v.clone().requires_grad_(v.is_floating_point()), inputs)
    given = each(lambda v: v.clone(), leaves)
    torch.manual_seed(0)
    outputs = [y for y in outputs_of(layer(*given)) if y.is_floating_point() and y.requires_grad]
    for y in outputs:
        y.mul_(2)
    total = sum((y * torch.linspace(1, 2, y.numel(), dtype=y.dtype).view_as(y)).sum() for y in outputs)
    sources = [leaf for leaf in (*outputs_of(leaves), *layer.parameters()) if leaf.requires_grad]
    found = torch.autograd.grad(total, sources, allow_unused=True, materialize_grads=True) if outputs else ()
    return [*(v.detach() for v in outputs_of(given)), *found]


@rows
def test_signatures(row):
    for method in ("__init__", "forward"):
        mine, theirs = (
            [
                (p.name, p.kind, getattr(p.default, "__name__", p.default))  # relu, ours or theirs
                for p in inspect.signature(getattr(layer, method)).parameters.values()
            ]
            for layer in (row.ours, row.reference)
        )
        assert mine == theirs


@rows
@few
@given(data=st.data())
def test_repr(row, data):
    ours, reference = built(row, data.draw(row.cases()))
    assert repr(ours) == repr(reference)
    assert set(getattr(row.ours, "__constants__", [])) <= set(vars(ours)), "a constant that is not there"


@rows
@few
@given(data=st.data())
def test_same_seed_same_weights_and_state(row, data):
    case = data.draw(row.cases())
    ours, reference = built(row, case, torch.float32)
    mine, theirs = ours.state_dict(), reference.state_dict()
    assert list(mine) == list(theirs)
    for name in theirs:
        assert torch.equal(mine[name], theirs[name]), name
    reference.load_state_dict(mine)
    ours.load_state_dict(theirs)


@rows
def test_reset_parameters_draws_the_same(row):
    ours, reference = built(row, row.example)
    for layer in (ours, reference):
        torch.manual_seed(7)
        if hasattr(layer, "reset_parameters"):
            layer.reset_parameters()
    for name, parameter in reference.named_parameters():
        assert torch.equal(parameter, ours.get_parameter(name)), name
    assert hasattr(ours, "reset_parameters") == hasattr(reference, "reset_parameters")


@rows
def test_pickle_and_deepcopy(row):
    ours, _ = built(row, row.example)
    buffer = io.BytesIO()
    torch.save(ours.state_dict(), buffer)
    for twin in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        assert repr(twin) == repr(ours)
        assert_equivalent(twin, ours, *row.example.inputs, order=1)


@pytest.mark.parametrize("row", [r for r in LAYERS if "device" in inspect.signature(r.ours).parameters], ids=str)
def test_factory_arguments(row):
    case = row.example
    layer = case.build(row.ours, device="meta", dtype=torch.bfloat16)
    for parameter in layer.parameters():
        assert parameter.device.type == "meta"
        assert parameter.dtype is torch.bfloat16


@rows
def test_meta_device_gives_shapes(row):
    case = row.example
    ours, reference = built(row, case)
    inputs = each(lambda value: value.to("meta"), case.inputs)
    found = [outputs_of(layer.to("meta")(*inputs)) for layer in (ours, reference)]
    for mine, theirs in zip(*found, strict=True):
        assert mine.shape == theirs.shape
        assert mine.device.type == "meta"
        assert mine.dtype == theirs.dtype


@rows
@pytest.mark.parametrize("given_dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
def test_autocast_dtypes(row, given_dtype, device):
    case = row.example.to(given_dtype, device)
    dtypes = []
    for layer in built(row, case, given_dtype):
        inputs = each(lambda v: v.clone().requires_grad_(v.is_floating_point()), case.inputs)
        with torch.autocast(device.type, dtype=torch.bfloat16):
            outputs = outputs_of(layer.to(device)(*inputs))
        sum(output.float().sum() for output in outputs).backward()
        leaves = [*(v for v in outputs_of(inputs) if v.requires_grad), *layer.parameters()]
        dtypes.append([*(output.dtype for output in outputs), *(leaf.grad.dtype for leaf in leaves)])
    assert dtypes[0] == dtypes[1]


@rows
def test_autocast_numbers(row, device):
    case = row.example.to(torch.float32, device)
    ours, reference = built(row, case, torch.float32)
    with torch.autocast(device.type, dtype=torch.bfloat16):
        assert_equivalent(ours.to(device), reference.to(device), *case.inputs, order=0, rtol=3e-2, atol=3e-2)


@transformed
def test_functional_gradient(row):
    case = row.example
    results = []
    for layer in built(row, case):

        def loss(parameters, first, layer=layer):
            torch.manual_seed(3)
            outputs = torch.func.functional_call(at_rest(row, layer), parameters, (first, *case.inputs[1:]))
            return sum(output.square().sum() for output in outputs_of(outputs))

        arguments = (0, 1) if case.inputs[0].is_floating_point() else (0,)
        results.append(torch.func.grad(loss, argnums=arguments)(dict(layer.named_parameters()), case.inputs[0]))
    for name, value in results[1][0].items():
        assert_same(results[0][0][name], value, name)
    for mine, theirs in zip(results[0][1:], results[1][1:], strict=True):
        assert_same(mine, theirs, "input")


@transformed
def test_vmap(row):
    case = row.example
    ours, reference = built(row, case)
    stacked = each(lambda v: torch.stack([v, v.flip(0)]), case.inputs)
    results = []
    for layer in (at_rest(row, ours), at_rest(row, reference)):
        torch.manual_seed(5)
        run = torch.func.vmap(layer, randomness="different") if layer is ours or row.batches else looped(layer)
        results.append(outputs_of(run(*stacked)))
    for mine, theirs in zip(*results, strict=True):
        assert_same(mine, theirs, "output")


@transformed
def test_forward_mode(row):
    case = row.example
    results = []
    for layer in built(row, case):

        def run(parameters, moving, layer=layer):
            torch.manual_seed(3)
            inputs = (*moving, *case.inputs[len(moving) :])
            return outputs_of(torch.func.functional_call(at_rest(row, layer), parameters, inputs))

        moving = case.inputs[:1] if case.inputs[0].is_floating_point() else ()
        primals = (dict(layer.named_parameters()), moving)
        results.append(outputs_of(torch.func.jvp(run, primals, tree_map(torch.cos, primals))))
    for mine, theirs in zip(*results, strict=True):
        assert_same(mine, theirs, "output")


@rows
def test_wrong_calls_raise_the_same_type(row):
    for case in row.bad:
        errors = []
        for layer in (row.ours, row.reference):
            with pytest.raises(Exception) as caught:  # noqa: PT011  (which type it is, is what is compared)
                case.build(layer).to(torch.float64)(*case.inputs)
            errors.append(caught.value)
        assert type(errors[0]) is type(errors[1]), f"{case}: {errors}"
        assert str(errors[0]), case
