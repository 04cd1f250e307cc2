"""FLOPs: what is counted is what one derives with a pencil, for every family, and nothing is changed by counting."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels import functional as F
from minimodels import nn
from minimodels.functional.conv import choice
from minimodels.inspection import count_flops, count_training_flops, trace
from minimodels.models import (
    ConvNet,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    ResNet,
    TextClassifier,
)
from minimodels.shapes import Windows
from minimodels.testing.cases import (
    attention_cases,
    conv_cases,
    conv_transpose_cases,
    linear_cases,
    multihead_attention_cases,
    recurrent_cases,
    recurrent_cell_cases,
)

DIMENSIONS = (1, 2, 3)


# By the formulas of a textbook


@given(linear_cases())
def test_linear(case):
    (x,), (inputs, outputs) = case.inputs, case.args
    rows = math.prod(x.shape[:-1])
    assert count_flops(case.build(nn.Linear).double(), x) == 2 * rows * inputs * outputs


@given(rows=st.integers(0, 4), inputs=st.integers(1, 4))
def test_a_single_output_is_a_product_with_a_vector(rows, inputs):
    assert count_flops(F.linear, torch.zeros(rows, inputs), torch.zeros(inputs)) == 2 * rows * inputs
    assert count_flops(torch.dot, torch.zeros(inputs), torch.zeros(inputs)) == 2 * inputs
    assert count_flops(torch.addmv, torch.zeros(rows), torch.zeros(rows, inputs), torch.zeros(inputs)) == (
        2 * rows * inputs
    )


@given(n=st.integers(1, 3), m=st.integers(1, 3), k=st.integers(1, 3))
def test_products_in_place(n, m, k):
    a, b, sums = torch.zeros(n, k), torch.zeros(k, m), torch.zeros(n, m)
    assert count_flops(sums.addmm_, a, b) == 2 * n * m * k
    assert count_flops(sums[None].baddbmm_, a[None], b[None]) == 2 * n * m * k


@pytest.mark.skipif(not hasattr(torch.ops.mkldnn, "_linear_pointwise"), reason="a PyTorch without oneDNN")
def test_the_product_of_onednn():
    a, b = torch.zeros(5, 3), torch.zeros(7, 3)
    assert count_flops(torch.ops.mkldnn._linear_pointwise, a, b, None, "none", [], "") == 2 * 5 * 3 * 7


@pytest.mark.parametrize("dims", DIMENSIONS)
@given(data=st.data())
def test_convolution(dims, data):
    """N·O·(C/groups)·kernel·places multiply-adds, those with the zeros around the image among them."""
    case = data.draw(conv_cases(dims))
    layer, (x,) = case.build(getattr(nn, f"Conv{dims}d")).double(), case.inputs
    y = layer(x)
    assert count_flops(layer, x) == 2 * y.numel() * layer.weight[0].numel()


@pytest.mark.parametrize("dims", DIMENSIONS)
@given(data=st.data())
def test_transposed_convolution(dims, data):
    """N·C·(O/groups)·kernel multiply-adds for each element of the input: a stamp a channel."""
    case = data.draw(conv_transpose_cases(dims))
    layer = case.build(getattr(nn, f"ConvTranspose{dims}d")).double()
    assert count_flops(layer, *case.inputs) == 2 * case.inputs[0].numel() * layer.weight[0].numel()


@pytest.mark.parametrize("transposed", [False, True])
@given(channels=st.integers(2, 5), times=st.integers(1, 3), k=st.integers(1, 3), side=st.integers(3, 6))
def test_depthwise_convolution(transposed, channels, times, k, side):
    outputs = channels if transposed else channels * times
    layer = (nn.ConvTranspose2d if transposed else nn.Conv2d)(channels, outputs, k, groups=channels)
    places = side if transposed else side - k + 1
    assert count_flops(layer, torch.zeros(2, channels, side, side)) == 2 * 2 * outputs * places**2 * k**2


@pytest.mark.parametrize(("kind", "gates"), [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
@given(data=st.data())
def test_recurrent_layers(kind, gates, data):
    """G·H·(I + R) multiply-adds a step, layer and direction, R what is handed on; a projection of it P·H more."""
    case = data.draw(recurrent_cases(kind))
    layer, x = case.build(getattr(nn, kind)).double(), case.inputs[0]
    H, P, directions = layer.hidden_size, getattr(layer, "proj_size", 0), 2 if layer.bidirectional else 1
    R, rows = P or H, x.numel() // x.shape[-1]
    inputs = [layer.input_size] + [directions * R] * (layer.num_layers - 1)
    expected = sum(directions * rows * (gates * H * (I + R) + P * H) for I in inputs)
    assert count_flops(layer, *case.inputs) == 2 * expected


@pytest.mark.parametrize(("kind", "gates"), [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
@given(data=st.data())
def test_recurrent_cells(kind, gates, data):
    case = data.draw(recurrent_cell_cases(kind))
    cell, x = case.build(getattr(nn, f"{kind}Cell")).double(), case.inputs[0]
    H, rows = cell.hidden_size, math.prod(x.shape[:-1])
    assert count_flops(cell, *case.inputs) == 2 * rows * gates * H * (cell.input_size + H)


@given(attention_cases())
def test_attention(case):
    """(d + e)·L·S multiply-adds a head, whatever a mask hides: the whole square of a causal one too."""
    query, key, value = case.inputs
    (L, d), (S, e) = query.shape[-2:], value.shape[-2:]
    expected = 2 * math.prod(query.shape[:-2]) * L * S * (d + e)
    assert count_flops(F.scaled_dot_product_attention, query, key, value, **case.kwargs) == expected


@given(multihead_attention_cases())
def test_multihead_attention(case):
    query, key, *_ = case.inputs
    attention = case.build(nn.MultiheadAttention).double()
    E, ahead = attention.embed_dim, case.kwargs["batch_first"] and query.ndim == 3
    N = 1 if query.ndim == 2 else query.shape[0 if ahead else 1]
    L, S = (x.shape[1 if ahead else 0] for x in (query, key))
    projections = 2 * L * E + S * (attention.kdim + attention.vdim)
    seen = S + case.kwargs["add_bias_kv"] + case.kwargs["add_zero_attn"]
    assert count_flops(attention, *case.inputs) == 2 * N * E * (projections + 2 * L * seen)


sizes = st.integers(1, 3)


@given(N=sizes, T=st.integers(1, 8), L=sizes, heads=sizes, d=sizes, V=st.integers(2, 9))
def test_gpt2(N, T, L, heads, d, V):
    """24·T·L·E²·(1 + T/(6·E)) for the blocks, and 2·T·E·V for the head."""
    E = heads * d
    model = GPT2LMHeadModel(GPT2Config(vocab_size=V, n_positions=8, n_embd=E, n_layer=L, n_head=heads))
    expected = N * (24 * T * L * E**2 + 4 * L * E * T**2 + 2 * T * E * V)
    assert expected == pytest.approx(N * (24 * T * L * E**2 * (1 + T / (6 * E)) + 2 * T * E * V))
    assert count_flops(model, torch.zeros(N, T, dtype=torch.int64)) == expected
    assert count_training_flops(model, torch.zeros(N, T, dtype=torch.int64)) == 3 * expected


@given(T=st.integers(1, 8), L=sizes, groups=sizes, share=sizes, d=st.sampled_from([2, 4]), F=st.integers(1, 9))
def test_llama(T, L, groups, share, d, F):
    """Queries and outputs of all heads, keys and values of the shared ones, the square of scores, three maps of E·F."""
    heads, V = groups * share, 11
    E = heads * d
    config = LlamaConfig(
        vocab_size=V,
        hidden_size=E,
        intermediate_size=F,
        num_hidden_layers=L,
        num_attention_heads=heads,
        num_key_value_heads=groups,
    )
    block = 2 * T * E**2 + 2 * T * E * groups * d + 2 * T**2 * E + 3 * T * E * F
    assert count_flops(LlamaForCausalLM(config), torch.zeros(1, T, dtype=torch.int64)) == 2 * (L * block + T * E * V)


@pytest.mark.parametrize("norm_first", [False, True])
@given(N=sizes, L=sizes, S=sizes, layers=sizes, heads=sizes, d=sizes, F=sizes)
def test_transformer(norm_first, N, L, S, layers, heads, d, F):
    E = heads * d
    model = nn.Transformer(E, heads, layers, layers, F, batch_first=True, norm_first=norm_first)
    encoder = 4 * S * E**2 + 2 * S**2 * E + 2 * S * E * F
    decoder = (6 * L + 2 * S) * E**2 + 2 * (L + S) * L * E + 2 * L * E * F
    assert count_flops(model, torch.zeros(N, S, E), torch.zeros(N, L, E)) == 2 * N * layers * (encoder + decoder)


def test_the_digit_network():
    places = 26**2 * 9 * 1 * 32 + 11**2 * 9 * 32 * 64 + 3**2 * 9 * 64 * 64
    assert count_flops(ConvNet(), torch.zeros(5, 1, 28, 28)) == 2 * 5 * (places + 576 * 64 + 64 * 10)


@pytest.mark.parametrize("n", [1, 3])
def test_the_residual_network(n):
    """Each layer of a stage costs the same: half the picture, twice the channels; but the first of a stage half."""
    stage = 28**2 * 9 * 16**2
    layers = 28**2 * 9 * 16 + stage * (2 * n) + 2 * stage * (2 * n - 0.5)
    assert count_flops(ResNet(6 * n + 2), torch.zeros(1, 1, 28, 28)) == 2 * (layers + 64 * 10)


def test_texts_cost_what_their_own_length_costs():
    model = TextClassifier(vocabulary=9, embedding_size=5, hidden_size=4, num_layers=2)
    count = count_flops(model, torch.ones(3, 6, dtype=torch.int64), torch.tensor([6, 1, 2]))
    assert count == 2 * (9 * 16 * (5 + 4) + 9 * 16 * (4 + 4) + 3 * 4)


@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_a_loss_with_a_map_in_it(reduction):
    """Counted as the map alone, although its gradients are made in the forward pass."""
    x, W = (torch.zeros(size, requires_grad=True) for size in ((6, 3), (10, 3)))
    count = count_flops(F.linear_cross_entropy, x, W, torch.zeros(6, dtype=torch.int64), reduction=reduction)
    assert count == 2 * 6 * 3 * 10


# By the equation, whatever runs


def test_an_algorithm_that_multiplies_less_counts_as_the_definition():
    x, w = torch.zeros(1, 64, 28, 28), torch.zeros(64, 64, 3, 3)
    assert choice.choose(x, w, Windows((3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1)) == "winograd F(4x4)"
    assert count_flops(F.conv2d, x, w, padding=1) == 2 * 28**2 * 9 * 64**2
    q = torch.zeros(1, 1, 2048, 8)
    assert count_flops(F.scaled_dot_product_attention, q, q, q, is_causal=True) == 4 * 2048**2 * 8


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_whatever_the_numbers_are(dtype):
    model, x = ConvNet().to(dtype), torch.zeros(1, 1, 28, 28, dtype=dtype)
    assert count_flops(model, x) == count_flops(ConvNet(), x.float())


def test_whatever_mode_surrounds_it():
    model, x = ConvNet(), torch.zeros(1, 1, 28, 28)
    attention, tokens = nn.GroupedQueryAttention(4, 2), torch.zeros(1, 5, 4)
    plain, square = count_flops(model, x), count_flops(attention, tokens)
    with torch.inference_mode():  # PyTorch then takes products apart behind the counter's back
        assert (count_flops(model, x), count_flops(attention, tokens)) == (plain, square)
        assert torch.is_inference_mode_enabled()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert count_flops(model, x) == plain
    with trace(model) as values:
        assert count_flops(model, x) == plain
    assert "features.0/convolution.patches" in values
    assert count_flops(lambda: count_flops(model, x)) == plain  # a count within a count


@pytest.mark.parametrize(
    ("build", "shape", "dtype"),
    [
        (lambda: GPT2LMHeadModel(GPT2Config(vocab_size=9, n_embd=4, n_layer=2, n_head=2)), (1, 6), torch.int64),
        (ConvNet, (1, 1, 28, 28), torch.float32),
        (lambda: nn.LSTM(3, 4, 2), (5, 1, 3), torch.float32),
    ],
)
def test_a_model_without_memory(build, shape, dtype):
    with torch.device("meta"):
        shell = build()
    count = count_flops(shell, torch.zeros(shape, dtype=dtype, device="meta"))
    assert count == count_flops(build(), torch.zeros(shape, dtype=dtype)) > 0


def test_layers_of_others_that_pytorch_knows():
    x = torch.zeros(2, 4, 9, 9)
    for name, args in (("Conv2d", (4, 6, 3)), ("ConvTranspose2d", (4, 6, 3, 2))):
        assert count_flops(getattr(torch.nn, name)(*args), x) == count_flops(getattr(nn, name)(*args), x)


# Nothing changes


def test_counting_changes_nothing(device):
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(0.5), nn.Flatten(), nn.Linear(8, 3))
    model = model.to(device).train()
    model[1].eval()  # one part is frozen
    x = torch.rand(1, 1, 4, 4, device=device, requires_grad=True)
    modes = [part.training for part in model.modules()]
    tensors = {
        name: (tensor, tensor.clone(), tensor._version) for name, tensor in model.state_dict(keep_vars=True).items()
    }
    random = torch.get_rng_state(), torch.cuda.get_rng_state() if device.type == "cuda" else None
    for function in (model, lambda x: F.dropout(x, 0.5)):
        count_flops(function, x)
    assert torch.equal(random[0], torch.get_rng_state())
    assert random[1] is None or torch.equal(random[1], torch.cuda.get_rng_state())
    assert modes == [part.training for part in model.modules()]
    for name, tensor in model.state_dict(keep_vars=True).items():
        same, value, version = tensors[name]
        assert tensor is same
        assert torch.equal(tensor, value)
        assert tensor._version == version
        assert tensor.grad is None
    assert x.grad is None
    assert torch.is_grad_enabled()


def test_a_model_that_fails_is_as_before():
    model = ConvNet().train()
    buffers = [b for part in model.modules() for b in part._buffers.values()]
    with pytest.raises(RuntimeError):
        count_flops(model, torch.zeros(1, 3, 28, 28))
    assert all(part.training for part in model.modules())
    assert buffers == [b for part in model.modules() for b in part._buffers.values()]


def test_one_row_is_enough_for_a_norm_over_the_batch():
    assert count_flops(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)), torch.zeros(1, 2)) == 12


def test_nothing_is_kept_for_a_derivative():
    seen = []
    count_flops(lambda: seen.append(torch.is_grad_enabled()))
    assert seen == [False]
