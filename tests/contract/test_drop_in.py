"""Drop-in: whatever a user can see of PyTorch's layer, they see of ours."""

import copy
import inspect
import io
import pickle
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._pytree import tree_leaves

from minimodels.testing import assert_equivalent, assert_same, derivatives
from tests.registry import LAYERS, Row

rows = pytest.mark.parametrize("row", LAYERS, ids=str)


def outputs_of(result):
    """The tensors that a layer returns, in order."""
    return [leaf for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]


def built(row: Row, case, dtype=torch.float64, seed=0):
    """Build ours and the reference from the same seed."""
    pair = []
    for layer in (row.ours, row.reference):
        torch.manual_seed(seed)
        pair.append(layer(*case.args, **case.kwargs).to(dtype))
    return pair


@rows
@given(data=st.data())
def test_outputs_and_two_orders_of_derivatives(row, data, device):
    case = data.draw(row.cases())
    ours, reference = built(row, case)
    inputs = case.to(torch.float64, device).inputs
    assert_equivalent(ours.to(device), reference.to(device), *inputs, order=row.order, rtol=1e-9, atol=1e-9)


@rows
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@given(data=st.data())
def test_lower_precision_is_as_exact_as_the_reference(row, dtype, data, device):
    """Both are measured against the reference in float64 on the same rounded numbers."""
    case = data.draw(row.cases()).to(dtype, device)
    ours, reference = (layer.to(device) for layer in built(row, case, dtype))
    reference.load_state_dict(ours.state_dict())
    mine, theirs = (derivatives(layer, *case.inputs, order=1) for layer in (ours, reference))
    wide = case.to(torch.float64, device)
    exact = derivatives(copy.deepcopy(reference).double(), *wide.inputs, order=1)
    for name, truth in exact.items():
        a, b = mine[name], theirs[name]
        assert (a.dtype, a.shape) == (b.dtype, b.shape), name
        finite = truth.isfinite() & b.isfinite()
        assert torch.equal(a[~finite].nan_to_num(), b[~finite].nan_to_num()), name
        if finite.any():
            errors = [(t.double() - truth)[finite].abs().max().item() for t in (a, b)]
            rounding = max(1, truth[finite].abs().max().item()) * torch.finfo(dtype).eps  # of terms about one large
            assert errors[0] <= 2 * errors[1] + 4 * rounding, f"{name}: {errors}, one rounding is {rounding}"


@rows
@given(data=st.data())
def test_evaluation_mode(row, data, device):
    case = data.draw(row.cases()).to(torch.float64, device)
    ours, reference = built(row, case)
    assert_equivalent(ours.to(device).eval(), reference.to(device).eval(), *case.inputs, order=1)


@rows
def test_signatures(row):
    for method in ("__init__", "forward"):
        mine = inspect.signature(getattr(row.ours, method)).parameters
        theirs = inspect.signature(getattr(row.reference, method)).parameters
        assert [(p.name, p.kind, p.default) for p in mine.values()] == [
            (p.name, p.kind, p.default) for p in theirs.values()
        ]


@rows
@given(data=st.data())
def test_repr(row, data):
    ours, reference = built(row, data.draw(row.cases()))
    assert repr(ours) == repr(reference)
    assert set(getattr(row.ours, "__constants__", [])) <= set(vars(ours)), "a constant that is not there"


@rows
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
    layer = row.ours(*case.args, **case.kwargs, device="meta", dtype=torch.bfloat16)
    for parameter in layer.parameters():
        assert parameter.device.type == "meta"
        assert parameter.dtype is torch.bfloat16


@rows
def test_meta_device_gives_shapes(row):
    case = row.example
    ours, reference = built(row, case)
    inputs = [value.to("meta") for value in case.inputs]
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
        inputs = [v.clone().requires_grad_(v.is_floating_point()) for v in case.inputs]
        with torch.autocast(device.type, dtype=torch.bfloat16):
            outputs = outputs_of(layer.to(device)(*inputs))
        sum(output.float().sum() for output in outputs).backward()
        leaves = [*(v for v in inputs if v.requires_grad), *layer.parameters()]
        dtypes.append([*(output.dtype for output in outputs), *(leaf.grad.dtype for leaf in leaves)])
    assert dtypes[0] == dtypes[1]


@rows
def test_autocast_numbers(row, device):
    case = row.example.to(torch.float32, device)
    ours, reference = built(row, case, torch.float32)
    with torch.autocast(device.type, dtype=torch.bfloat16):
        assert_equivalent(ours.to(device), reference.to(device), *case.inputs, order=0, rtol=3e-2, atol=3e-2)


@rows
@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_compiles_to_one_graph(row, backend, device):
    if backend == "inductor" and settings.get_current_profile_name() != "deep":
        pytest.skip("inductor compiles C++ for seconds a layer: --hypothesis-profile=deep runs it")
    case = row.example.to(torch.float32, device)
    ours, _ = built(row, case, torch.float32)
    ours = ours.to(device)
    torch.compiler.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the compiler's own deprecations
        compiled = torch.compile(ours, fullgraph=True, backend=backend)
        mine = derivatives(compiled, *case.inputs, order=1)
    for name, theirs in derivatives(ours, *case.inputs, order=1).items():
        compiled_name = name if "input" in name else name.replace("by ", "by _orig_mod.")
        if row.random and backend == "inductor":  # it draws random numbers of its own
            assert mine[compiled_name].shape == theirs.shape
        else:
            assert_same(mine[compiled_name], theirs, name, 1e-5, 1e-5)


@rows
def test_functional_gradient(row):
    case = row.example
    results = []
    for layer in built(row, case):

        def loss(parameters, first, layer=layer):
            torch.manual_seed(3)
            outputs = torch.func.functional_call(layer, parameters, (first, *case.inputs[1:]))
            return sum(output.square().sum() for output in outputs_of(outputs))

        results.append(torch.func.grad(loss, argnums=(0, 1))(dict(layer.named_parameters()), case.inputs[0]))
    for name, value in results[1][0].items():
        assert_same(results[0][0][name], value, name)
    assert_same(results[0][1], results[1][1], "input")


@rows
def test_vmap(row):
    case = row.example
    ours, reference = built(row, case)
    stacked = [torch.stack([v, v.flip(0)]) for v in case.inputs]
    results = []
    for layer in (ours, reference):
        torch.manual_seed(5)
        results.append(outputs_of(torch.func.vmap(layer, randomness="different")(*stacked)))
    for mine, theirs in zip(*results, strict=True):
        assert_same(mine, theirs, "output")


@rows
def test_forward_mode(row):
    case = row.example
    results = []
    for layer in built(row, case):

        def run(first, layer=layer):
            torch.manual_seed(3)
            return outputs_of(layer(first, *case.inputs[1:]))

        results.append(outputs_of(torch.func.jvp(run, (case.inputs[0],), (case.inputs[0].cos(),))))
    for mine, theirs in zip(*results, strict=True):
        assert_same(mine, theirs, "output")


@rows
def test_wrong_calls_raise_the_same_type(row):
    for case in row.bad:
        errors = []
        for layer in (row.ours, row.reference):
            with pytest.raises(Exception) as caught:  # noqa: PT011  (which type it is, is what is compared)
                layer(*case.args, **case.kwargs).to(torch.float64)(*case.inputs)
            errors.append(caught.value)
        assert type(errors[0]) is type(errors[1]), f"{case}: {errors}"
        assert str(errors[0]), case
