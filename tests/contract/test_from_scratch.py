"""From scratch: while a layer runs, forward and backward, nothing is called but tensor algebra.

Two guards watch the same run. The first sees the functions that our code calls, before PyTorch takes them apart:
`torch.gru` or `F.linear` dissolve into plain products further down. The second sees the kernels that really run,
also those that autograd and the compiler call without asking us.
"""

import inspect
import pathlib
import sys
import tomllib
import warnings

import pytest
import torch
from functorch.compile import make_boxed_compiler
from hypothesis import given
from hypothesis import strategies as st
from torch._dynamo.backends.common import aot_autograd
from torch.overrides import TorchFunctionMode, resolve_name
from torch.utils._python_dispatch import TorchDispatchMode

import minimodels
from minimodels import optim
from minimodels.models import ConvNet
from tests.registry import LAYERS

PACKAGE = pathlib.Path(minimodels.__file__).parent
TORCH = pathlib.Path(torch.__file__).parent

ALGEBRA = {
    name
    for line in (
        "making    arange empty empty_like tensor",
        "copying   clone contiguous copy_ detach new_empty new_full new_tensor new_zeros to",
        "views     as_strided expand flatten movedim reshape squeeze t transpose unbind unflatten unsqueeze view",
        "views     view_as",
        "reading   __getitem__ __setitem__ cat flip gather index_select narrow",
        "elements  abs add clamp div div_ eq exp gt log lt maximum mul mul_ ne neg relu relu_ remainder rsub sub where",
        "operators __add__ __and__ __eq__ __floordiv__ __gt__ __iadd__ __lt__ __matmul__ __mod__ __mul__ __ne__",
        "operators __neg__ __or__ __radd__ __rmul__ __rsub__ __sub__ __truediv__",
        "reducing  amax sum",
        "products  addmm bmm einsum mm",
        "chance    bernoulli_ uniform_",
        "asking    __get__ dim is_complex is_contiguous is_floating_point numel size stride",  # __get__: x.shape
        "training  _set_grad_enabled backward",
    )
    for name in line.split()[1:]
}

KERNELS = (  # what the reference's layers run on; any of these means that somebody else did the work
    "convolution",
    "mkldnn_convolution",
    "thnn_conv2d",
    "slow_conv",
    "cudnn",
    "miopen",
    "im2col",
    "col2im",
    "unfold_backward",
    "max_pool2d",
    "_softmax",
    "_log_softmax",
    "native_dropout",
    "nll_loss",
    "cross_entropy",
    "constant_pad_nd",
    "reflection_pad",
    "replication_pad",
    "_scaled_dot_product",
    "native_layer_norm",
    "native_batch_norm",
    "native_group_norm",
    "embedding",
    "lstm",
    "gru",
    "_ctc_loss",
    "_fused_",
)


class OnlyAlgebra(TorchFunctionMode):
    """Refuse every call made on the package's behalf that is not on the list."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        name = getattr(function, "__name__", str(function))
        caller = on_whose_behalf()
        onednn = (
            "_linear_pointwise" in str(function) and caller.name == "matmul.py"
        )  # the one exception, in its one file
        reference = getattr(function, "__module__", None) == "torch.nn.functional"
        if caller.is_relative_to(PACKAGE) and (reference or name not in ALGEBRA) and not onednn:
            raise AssertionError(f"{caller} calls {resolve_name(function) or name}, which is not plain tensor algebra")
        return function(*args, **(kwargs or {}))


def on_whose_behalf() -> pathlib.Path:
    """Go up from the guard through PyTorch's own frames to the file that wanted the call."""
    frame = sys._getframe(2)
    while frame.f_back and pathlib.Path(frame.f_code.co_filename).is_relative_to(TORCH):
        frame = frame.f_back
    return pathlib.Path(frame.f_code.co_filename)


class NoKernels(TorchDispatchMode):
    """Refuse the kernels of the reference's layers."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = str(function).removeprefix("aten.")
        assert not any(name.startswith(kernel) for kernel in KERNELS), f"the kernel {function} ran"
        return function(*args, **(kwargs or {}))


def run(layer, inputs):
    inputs = [v.clone().requires_grad_() if v.is_floating_point() else v for v in inputs]
    with OnlyAlgebra(), NoKernels():
        output = layer(*inputs)
        (output[0] if isinstance(output, tuple) else output).sum().backward()


@pytest.mark.parametrize("row", LAYERS, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@given(data=st.data())
def test_layers_stand_on_tensor_algebra(row, dtype, device, data):
    case = data.draw(row.cases()).to(dtype, device)
    run(row.ours(*case.args, **case.kwargs).to(device, dtype), case.inputs)


def test_the_model_stands_on_tensor_algebra(device):
    images = torch.rand(2, 1, 28, 28, device=device)
    run(ConvNet().to(device), (images,))
    with OnlyAlgebra(), NoKernels():
        ConvNet().to(device).predict_proba(images)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
def test_the_optimisers_run_no_fused_kernel(name, device):
    weight = torch.nn.Parameter(torch.ones(3, device=device))
    weight.grad = torch.ones_like(weight)
    with NoKernels():
        getattr(optim, name)([weight], lr=0.1, fused=True).step()
    with pytest.raises(AssertionError, match="_fused_"), NoKernels():
        getattr(torch.optim, name)([weight], lr=0.1, fused=True).step()


@pytest.mark.parametrize("row", [row for row in LAYERS if row.ours.__name__ not in ("ReLU", "Flatten")], ids=str)
def test_the_guards_catch_the_reference(row):
    """A guard that cannot bark guards nothing: PyTorch's own layer must be caught by the list of kernels."""
    case = row.example.to(torch.float32)
    layer = row.reference(*case.args, **case.kwargs)
    if row.ours.__name__ in (
        "Linear",
        "Dropout",
    ):  # these dissolve into products: the list of functions has to see them
        with pytest.raises(AssertionError, match="not plain tensor algebra"):
            _called_from_the_package(layer, case.inputs)
    else:
        with pytest.raises(AssertionError, match="ran"), NoKernels():
            layer(*case.inputs)


def _called_from_the_package(layer, inputs):
    """Run a call as if its source stood in the package."""
    source = compile("F(*inputs)", str(PACKAGE / "imagined.py"), "eval")
    function = {"Linear": torch.nn.functional.linear, "Dropout": torch.nn.functional.dropout}[type(layer).__name__]
    with OnlyAlgebra():
        eval(source, {"F": function, "inputs": (*inputs, *(p for n, p in layer.named_parameters() if n == "weight"))})


@pytest.mark.parametrize("row", LAYERS, ids=str)
def test_compiled_code_runs_no_kernel_either(row, device):
    case = row.example.to(torch.float32, device)
    layer = row.ours(*case.args, **case.kwargs).to(device)
    seen = []

    def keep(graph, example_inputs):
        seen.extend(str(node.target) for node in graph.graph.nodes if node.op == "call_function")
        return graph

    torch.compiler.reset()
    compiler = make_boxed_compiler(keep)
    backend = aot_autograd(fw_compiler=compiler, bw_compiler=compiler)
    inputs = [v.clone().requires_grad_() if v.is_floating_point() else v for v in case.inputs]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the compiler's own deprecations
        torch.compile(layer, fullgraph=True, backend=backend)(*inputs).sum().backward()
    assert seen or row.ours.__name__ == "Flatten"
    for name in seen:
        assert not any(name.removeprefix("aten.").startswith(kernel) for kernel in KERNELS), name


def test_the_text_names_no_banned_interface():
    """Ruff's list of banned interfaces is there and names what the package must not import."""
    settings = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
    banned = settings["flake8-tidy-imports"]["banned-api"]
    assert {"torch.nn.functional", "torch.conv2d", "torch.softmax", "torch.nn.Conv2d", "torch.optim.Adam"} <= set(
        banned
    )


def test_layers_are_not_subclasses_of_the_reference():
    for row in LAYERS:
        bases = [base for base in inspect.getmro(row.ours) if base.__module__.startswith("torch.nn.modules")]
        assert bases == [torch.nn.Module]
