"""From scratch: while a layer runs, forward and backward, nothing is called but tensor algebra.

Two guards watch the same run. The first sees the functions that our code calls, before PyTorch takes them apart:
`torch.gru` or `F.linear` dissolve into plain products further down. The second sees the kernels that really run,
also those that autograd and the compiler call without asking us.
"""

import copy
import inspect
import pathlib
import re
import sys
import tomllib
import warnings
from functools import partial

import pytest
import torch
from functorch.compile import make_boxed_compiler, make_boxed_func
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._dynamo.backends.common import aot_autograd
from torch.overrides import TorchFunctionMode, resolve_name
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import minimodels
from minimodels import functional, nn, optim
from minimodels.functional import attention
from minimodels.models import (
    ConvNet,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Seq2SeqTransformer,
)
from minimodels.tap import listening
from minimodels.testing import assert_same, derivatives
from tests.registry import LAYERS, each, few

PACKAGE = pathlib.Path(minimodels.__file__).parent
TORCH = pathlib.Path(torch.__file__).parent

ALGEBRA = {
    name
    for line in (  # x.shape is __get__
        "making    arange as_tensor empty empty_like eye full full_like linspace new_empty new_full new_ones",
        "making    new_tensor new_zeros ones ones_like tensor zeros zeros_like",
        "copying   clone contiguous copy_ detach detach_ fill_ requires_grad_ to type_as zero_",
        "views     as_strided diagonal expand expand_as flatten movedim permute reshape squeeze swapaxes t",
        "views     transpose unbind unflatten unsqueeze view view_as view_as_complex view_as_real",
        "reading   __getitem__ __setitem__ cat chunk flip gather index_select narrow repeat repeat_interleave",
        "reading   roll select split stack take_along_dim tril triu",
        "writing   index_add index_add_ index_copy_ masked_fill masked_fill_ scatter scatter_ scatter_add",
        "writing   scatter_add_",
        "elements  abs abs_ add add_ addcmul addcmul_ ceil clamp clamp_ clamp_min cos div div_ eq erf erf_ erfc",
        "elements  exp exp_ expm1 expm1_ floor ge gt hypot_ isfinite isinf isnan le lerp lerp_ log log1p",
        "elements  log1p_ logaddexp logical_and logical_not logical_or lt maximum minimum mul mul_ nan_to_num ne neg",
        "elements  neg_ pow reciprocal relu relu_ remainder round rsqrt rsqrt_ rsub sigmoid sigmoid_ sign",
        "elements  sign_ sin sqrt sqrt_ square sub sub_ tanh tanh_ where xlogy",
        "operators __add__ __and__ __eq__ __floordiv__ __ge__ __gt__ __iadd__ __idiv__ __imul__ __invert__",
        "operators __isub__ __itruediv__ __le__ __lt__ __matmul__ __mod__ __mul__ __ne__ __neg__ __or__",
        "operators __pow__ __radd__ __rmul__ __rpow__ __rsub__ __rtruediv__ __sub__ __truediv__",
        "reducing  all amax amin any argmax argmin argsort bincount count_nonzero cumsum linalg_vector_norm",
        "reducing  logsumexp max mean min nonzero prod sort sum topk unique var var_mean vector_norm",
        "products  addbmm addmm addmm_ addmv baddbmm bmm dot einsum matmul mm mv outer",
        "spectra   fft_irfftn fft_rfftn irfftn rfftn",
        "sparse    sparse_coo_tensor",
        "chance    bernoulli_ normal_ uniform_",
        "asking    __get__ __len__ can_cast dim dtype is_complex is_contiguous is_floating_point item ndim",
        "asking    numel promote_types result_type shape size storage_offset stride tolist",
        "training  _set_grad_enabled backward",
    )
    for name in line.split()[1:]
}

KERNELS = (  # what the reference's layers run on; any of these means that somebody else did the work
    *("convolution", "mkldnn_convolution", "thnn_conv2d", "slow_conv", "_slow_conv", "cudnn", "miopen"),
    *("im2col", "col2im", "unfold_backward"),
    *("max_pool", "avg_pool", "adaptive_", "_adaptive", "max_unpool"),
    *("_softmax", "_log_softmax", "softmax", "log_softmax"),
    *("native_dropout", "embedding", "_embedding"),
    *("constant_pad_nd", "reflection_pad", "replication_pad"),
    *("_scaled_dot_product", "_flash_attention", "_efficient_attention", "_cudnn_attention"),
    *("_transformer_encoder", "_native_multi_head", "_triton_multi_head", "_masked_softmax"),
    *("native_layer_norm", "native_batch_norm", "_native_batch_norm", "batch_norm", "native_group_norm"),
    *("_fused_rms_norm", "rms_norm"),
    *("gelu", "elu", "celu", "selu", "silu", "mish", "leaky_relu", "_prelu", "hardtanh", "hardsigmoid", "hardswish"),
    *("glu", "softplus", "log_sigmoid", "threshold.default", "threshold_.default"),
    *("nll_loss", "cross_entropy", "_ctc_loss", "binary_cross_entropy", "mse_loss", "smooth_l1_loss", "huber_loss"),
    *("kl_div", "linear_cross_entropy"),
    *("lstm", "gru", "_thnn_fused_lstm", "_thnn_fused_gru", "rnn_", "mkldnn_rnn"),
    "_fused_",
)


CHOOSING = {"__bool__", "__int__", "aminmax", "device", "multinomial", "rand", "searchsorted"}
"""What generation does besides: it draws tokens, and looks at values to decide, which no layer may."""

WRITING = [
    {"repetition_penalty": 1.2, "min_new_tokens": 2},
    {"do_sample": True, "temperature": 0.7, "top_k": 5, "top_p": 0.9, "min_p": 0.1, "seed": 0},
    {"num_beams": 2},
    {"num_beams": 2, "do_sample": True},
]


class OnlyAlgebra(TorchFunctionMode):
    """Refuse every call made on the package's behalf that is not on the list."""

    def __init__(self, besides=()):
        super().__init__()
        self.allowed = ALGEBRA.union(besides)

    def __torch_function__(self, function, types, args=(), kwargs=None):
        name = getattr(function, "__name__", str(function))
        caller = on_whose_behalf()
        onednn = caller.name == "matmul.py" and any(
            name in str(function) for name in ("_linear_pointwise", "_reorder_linear_weight")
        )  # the one exception, in its one file
        reference = getattr(function, "__module__", None) == "torch.nn.functional"
        if caller.is_relative_to(PACKAGE) and (reference or name not in self.allowed) and not onednn:
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
    leaves = each(lambda v: v.clone().requires_grad_() if v.is_floating_point() else v, inputs)
    inputs = each(torch.clone, leaves)  # a layer may write over them
    with OnlyAlgebra(), NoKernels():
        tree_leaves(layer(*inputs))[0].sum().backward()


@pytest.mark.parametrize(
    ("row", "dtype"),
    [(row, dtype) for row in LAYERS for dtype in (torch.float32, torch.bfloat16)[: 2 if row.low_precision else 1]],
    ids=str,
)
@few
@given(data=st.data())
def test_layers_stand_on_tensor_algebra(row, dtype, device, data):
    case = data.draw(row.cases()).to(dtype, device)
    run(case.build(row.ours).to(device, dtype), case.inputs)


def attended(**kwargs):
    """Attention of inputs [N, T, 3·H·d], as a layer holds them."""

    def attend(x):
        q, k, v = x.unflatten(-1, (3, 2, -1)).permute(2, 0, 3, 1, 4)
        return functional.scaled_dot_product_attention(q, k, v, **kwargs)

    return attend


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kwargs", [{}, {"is_causal": True}, {"attn_mask": torch.ones(20, 20) > 0}, {"dropout_p": 0.1}])
@pytest.mark.parametrize("form", ["definition", "batched", "tiles"])
def test_attention_stands_on_tensor_algebra(form, kwargs, dtype, device, monkeypatch):
    monkeypatch.setattr(attention.choice, "KEPT", 0 if form == "tiles" else attention.choice.KEPT)
    kwargs = {name: each(lambda t: t.to(device), value) for name, value in kwargs.items()}
    inputs = (torch.rand(2, 20, 24, device=device, dtype=dtype),)
    if form == "definition":
        with listening(lambda name, value: value):
            run(attended(**kwargs), inputs)
    else:
        run(attended(**kwargs), inputs)


def rewritten(f):
    """What inductor would compile, after it has put PyTorch's kernels in place of the patterns that it knows."""
    from torch._inductor.compile_fx import compile_fx  # seconds, for whoever runs this

    seen = []

    def keep(graph, example_inputs, **_):
        seen.extend(str(node.target) for node in graph.graph.nodes if node.op == "call_function")
        return make_boxed_func(graph.forward)

    torch.compiler.reset()
    kernels = torch.nn.attention.SDPBackend
    any_kernel = torch.nn.attention.sdpa_kernel([kernels.FLASH_ATTENTION, kernels.EFFICIENT_ATTENTION, kernels.MATH])
    with any_kernel, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the compiler's own deprecations
        compiled = torch.compile(f, fullgraph=True, backend=partial(compile_fx, inner_compile=keep))
        compiled(*(torch.rand(2, 3, 16, 8, requires_grad=True) for _ in range(3))).sum().backward()
    return [name for name in seen if any(name.removeprefix("aten.").startswith(kernel) for kernel in KERNELS)]


@pytest.mark.parametrize("kwargs", [{}, {"is_causal": True}, {"attn_mask": torch.zeros(16, 16)}, {"dropout_p": 0.1}])
def test_a_compiler_puts_no_kernel_in_the_place_of_attention(kwargs):
    assert not rewritten(partial(functional.scaled_dot_product_attention, **kwargs))


def test_a_compiler_would_do_so_with_the_plain_formula():
    def attend(q, k, v):
        return torch.softmax(q @ k.transpose(-2, -1) / 8**0.5, -1) @ v

    assert any("_scaled_dot_product" in name for name in rewritten(attend))


def test_the_model_stands_on_tensor_algebra(device):
    images = torch.rand(2, 1, 28, 28, device=device)
    run(ConvNet().to(device), (images,))
    with OnlyAlgebra(), NoKernels():
        ConvNet().to(device).predict_proba(images)


@pytest.mark.parametrize(
    "layer",
    [
        nn.SinusoidalPositionalEmbedding(8),
        nn.LearnedPositionalEmbedding(9, 8),
        nn.RotaryEmbedding(8),
        nn.RotaryEmbedding(4, scaling={"rope_type": "linear", "factor": 2.0}, interleaved=True),
        nn.GroupedQueryAttention(8, 4, 2, rotary=nn.RotaryEmbedding(2), sliding_window=3),
        nn.SwiGLU(8, 12),
    ],
    ids=str,
)
def test_layers_that_torch_has_not_stand_on_tensor_algebra(layer, device):
    run(layer.to(device), (torch.randn(2, 5, 8, device=device),))


def test_the_translator_stands_on_tensor_algebra(device):
    model = Seq2SeqTransformer(9, 8, 2, 1, 1, 12).to(device)
    source, target = torch.randint(9, (2, 5), device=device), torch.randint(9, (2, 4), device=device)
    run(model, (source, target))
    with OnlyAlgebra(CHOOSING), NoKernels():
        model.eval().generate(source, 1, 2, 3)


SMALL = {
    GPT2LMHeadModel: GPT2Config(
        vocab_size=20, n_positions=9, n_embd=8, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0
    ),
    LlamaForCausalLM: LlamaConfig(
        vocab_size=20,
        max_position_embeddings=9,
        hidden_size=8,
        intermediate_size=12,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        rope_scaling={"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0},
    ),
}


@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_language_models_stand_on_tensor_algebra(device, kind, dtype):
    ids, mask = torch.randint(20, (2, 7), device=device), torch.tensor([[0, 0, 1, 1, 1, 1, 1], [1] * 7], device=device)
    with OnlyAlgebra(), NoKernels():
        model = kind(SMALL[kind]).to(device, dtype)
        for keep in (0, 1):
            model(ids, attention_mask=mask, labels=ids, logits_to_keep=keep).loss.backward()
        with torch.no_grad():
            cache = model.eval().new_cache(2, 9)
            for piece in (ids, ids[:, :1], ids[:, :1]):
                model(piece, past_key_values=cache)


@pytest.mark.parametrize("arguments", WRITING, ids=str)
def test_writing_stands_on_tensor_algebra(arguments, device):
    config = GPT2Config(vocab_size=20, n_positions=9, n_embd=8, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0)
    model = GPT2LMHeadModel(config).to(device)
    with OnlyAlgebra(CHOOSING), NoKernels():
        model.generate([[1, 2], [3]], max_new_tokens=4, **arguments)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
def test_the_optimisers_run_no_fused_kernel(name, device):
    weight = torch.nn.Parameter(torch.ones(3, device=device))
    weight.grad = torch.ones_like(weight)
    with NoKernels():
        getattr(optim, name)([weight], lr=0.1, fused=True).step()
    with pytest.raises(AssertionError, match="_fused_"), NoKernels():
        getattr(torch.optim, name)([weight], lr=0.1, fused=True).step()


@pytest.mark.parametrize("row", [r for r in LAYERS if not (r.view or r.algebra)], ids=str)
def test_the_list_of_functions_catches_the_reference(row):
    """A guard that cannot bark guards nothing: PyTorch's own layer, called as if from our package, must be caught."""
    case = row.example.to(torch.float32)
    layer = case.build(row.reference)
    source = compile("layer(*inputs)", str(PACKAGE / "imagined.py"), "eval")
    with pytest.raises(AssertionError, match="not plain tensor algebra"), OnlyAlgebra():
        eval(source, {"layer": layer, "inputs": case.inputs})


@pytest.mark.parametrize("row", [row for row in LAYERS if not row.dissolves], ids=str)
def test_the_list_of_kernels_catches_the_reference(row):
    case = row.example.to(torch.float32)
    layer = case.build(row.reference)
    with pytest.raises(AssertionError, match="ran"), NoKernels():
        layer(*case.inputs)


@pytest.mark.parametrize("row", LAYERS, ids=str)
def test_compiles_to_one_graph_that_gives_the_same_and_runs_no_kernel(row, device):
    case = row.example.to(torch.float32, device)
    layer = case.build(row.ours).to(device)
    seen = []

    def keep(graph, example_inputs):
        seen.extend(str(node.target) for node in graph.graph.nodes if node.op == "call_function")
        return graph

    compiler = make_boxed_compiler(keep)
    assert_compiled_is_equal(layer, case.inputs, aot_autograd(fw_compiler=compiler, bw_compiler=compiler))
    assert seen or row.view
    for name in seen:
        assert not any(name.removeprefix("aten.").startswith(kernel) for kernel in KERNELS), name


@pytest.mark.parametrize("row", LAYERS, ids=str)
def test_compiles_with_inductor(row, device):
    if settings.get_current_profile_name() != "deep":
        pytest.skip("it compiles C++ for seconds a layer: --hypothesis-profile=deep runs it")
    case = row.example.to(torch.float32, device)
    layer = case.build(row.ours).to(device)
    assert_compiled_is_equal(
        layer, case.inputs, "inductor", own_chance=row.random
    )  # it draws random numbers of its own


def assert_compiled_is_equal(layer, inputs, backend, own_chance=False):
    """Outputs, gradients and buffers of one graph are those of the layer as it is; by chance, only their shapes."""
    torch.compiler.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the compiler's own deprecations
        compiled = torch.compile(copy.deepcopy(layer), fullgraph=True, backend=backend)
        found = derivatives(compiled, *inputs, order=1)
    for name, wanted in derivatives(layer, *inputs, order=1).items():
        compiled_name = name if "input" in name else re.sub("(by|buffer) ", r"\1 _orig_mod.", name)
        if own_chance:
            assert found[compiled_name].shape == wanted.shape
        else:
            assert_same(found[compiled_name], wanted, name, 1e-5, 1e-5)


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
