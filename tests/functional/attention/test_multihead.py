"""Attention by several heads: what the layer has no name for, who sees what, and how many products there are."""

import inspect
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels import functional as F
from minimodels import tap
from minimodels.functional import matmul
from minimodels.functional.attention import multihead
from minimodels.testing import assert_equivalent, assert_same

REFERENCE = torch.nn.functional.multi_head_attention_forward
E, H, N, L, S = 4, 2, 3, 2, 5


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def arguments(query, key, value, **changes):
    """Everything by name: weights that are drawn, no masks, nothing added."""
    names = ("query", "key", "value", "in_proj_weight", "in_proj_bias", "out_proj_weight", "out_proj_bias")
    tensors = (query, key, value, noise(3 * E, E), noise(3 * E), noise(E, E), noise(E))
    defaults = {"embed_dim_to_check": E, "num_heads": H, "bias_k": None, "bias_v": None, "add_zero_attn": False}
    return dict(zip(names, tensors, strict=True)) | defaults | {"dropout_p": 0.0} | changes


def sequences(**changes):
    return arguments(noise(L, N, E), noise(S, N, E, seed=1), noise(S, N, E, seed=2), **changes)


def both(order=2, **given):
    """Compare with PyTorch by all tensors that are given, also where some are one and the same."""
    tensors = {name: value for name, value in given.items() if isinstance(value, torch.Tensor)}
    first = {id(value): name for name, value in reversed(tensors.items())}
    names = list(dict.fromkeys(first.values()))

    def run(function):
        def call(*values):
            leaves = dict(zip(names, values, strict=True))
            return function(**given | {name: leaves[first[id(value)]] for name, value in tensors.items()})

        return call

    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        inputs = [tensors[name] for name in names]
        assert_equivalent(
            run(F.multi_head_attention_forward), run(REFERENCE), *inputs, order=order, rtol=1e-9, atol=1e-9
        )


def test_the_signature_is_torchs():
    mine, theirs = (inspect.signature(f).parameters for f in (F.multi_head_attention_forward, REFERENCE))
    assert [(p.name, p.kind, p.default) for p in mine.values()] == [
        (p.name, p.kind, p.default) for p in theirs.values()
    ]


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("form", ["self", "memory", "apart", "keys are queries", "values are queries"])
@pytest.mark.parametrize("bias", [True, False])
def test_inputs_that_are_one_tensor(form, need_weights, bias):
    x, y = noise(L, N, E), noise(L, N, E, seed=1)
    forms = {"self": (x, x, x), "memory": (x, y, y), "apart": (x, y, noise(L, N, E, seed=2))}
    forms |= {"keys are queries": (x, x, y), "values are queries": (x, y, x)}
    given = arguments(*forms[form], need_weights=need_weights)
    both(**given if bias else given | {"in_proj_bias": None, "out_proj_bias": None})


@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize(("form", "products"), [("self", 1), ("memory", 2), ("apart", 3)])
def test_one_product_for_what_is_one_tensor(form, products, batched, monkeypatch):
    x, y, z = (noise(L, *[N] * batched, E, seed=seed) for seed in range(3))
    weights = []
    linear = multihead.linear
    monkeypatch.setattr(multihead, "linear", lambda x, weight, bias: weights.append(weight) or linear(x, weight, bias))
    F.multi_head_attention_forward(**arguments(*{"self": (x, x, x), "memory": (x, y, y), "apart": (x, y, z)}[form]))
    assert len(weights) == products + 1  # and the one behind the heads
    assert sum(len(weight) for weight in weights) == 4 * E


@given(data=st.data())
def test_given_keys_and_values(data):
    """Static ones take the place of those that are projected, which get no gradient."""
    count = data.draw(st.integers(1, 4))
    given = {name: noise(N * H, count, E // H, seed=seed) for seed, name in enumerate(("static_k", "static_v"))}
    if data.draw(st.booleans()):
        given["key_padding_mask"] = torch.zeros(N, count, dtype=torch.bool)
    flags = {name: data.draw(st.booleans()) for name in ("add_zero_attn", "need_weights")}
    both(**sequences(**given, **flags))


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("learned", [True, False])
@pytest.mark.parametrize("zeros", [True, False])
def test_what_stands_behind_the_keys_is_seen_by_all_whatever_the_masks(zeros, learned, need_weights):
    hidden, padding = torch.ones(L, S, dtype=torch.bool), torch.ones(N, S, dtype=torch.bool)
    hidden[:, -1] = padding[:, -1] = False
    more = {"bias_k": noise(1, 1, E, seed=3), "bias_v": noise(1, 1, E, seed=4)} if learned else {}
    both(
        **sequences(attn_mask=hidden, key_padding_mask=padding, need_weights=need_weights, add_zero_attn=zeros, **more)
    )


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("floats", [(True, False), (False, True)])
def test_masks_of_two_kinds_are_warned_about_and_combined(floats, need_weights):
    hidden = torch.rand(L, S, generator=torch.Generator().manual_seed(0)) < 0.5
    padding = torch.arange(S) >= torch.tensor([[4], [2], [5]])
    hidden[:, 0] = padding[:, 0] = False
    masks = [
        torch.zeros(mask.shape, dtype=torch.float64).masked_fill(mask, -math.inf) if wanted else mask
        for mask, wanted in zip((hidden, padding), floats, strict=True)
    ]
    with pytest.warns(UserWarning, match="mismatched key_padding_mask and attn_mask"):
        both(**sequences(attn_mask=masks[0], key_padding_mask=masks[1], need_weights=need_weights))


@pytest.mark.parametrize("boolean", [True, False])
@pytest.mark.parametrize("need_weights", [True, False])
def test_a_query_that_sees_nothing_finds_zeros(need_weights, boolean):
    """The one divergence from PyTorch, which gives NaN with weights; where that is finite, ours is the same."""
    hidden = torch.tensor([[True] * S, [False, True, False, True, True]])
    mask = hidden if boolean else torch.zeros(L, S, dtype=torch.float64).masked_fill(hidden, -math.inf)
    given = sequences(attn_mask=mask, need_weights=need_weights, average_attn_weights=False)
    given = {name: v.requires_grad_() if name in ("query", "key", "value") else v for name, v in given.items()}
    output, weights = F.multi_head_attention_forward(**given)
    theirs, their_weights = REFERENCE(**given)
    assert_same(output[1], theirs[1])
    assert_same(output[0], given["out_proj_bias"].expand(N, E))
    if need_weights:
        assert torch.equal(weights[:, :, 0], torch.zeros(N, H, S, dtype=torch.float64))
        assert_same(weights[:, :, 1], their_weights[:, :, 1])
        assert theirs[0].isnan().all()
    gradients = torch.autograd.grad(output.square().sum(), [given[name] for name in ("query", "key", "value")])
    assert torch.equal(gradients[0][0], torch.zeros(N, E, dtype=torch.float64))
    expected = torch.autograd.grad(
        F.multi_head_attention_forward(**given | {"query": given["query"][1:], "attn_mask": mask[1:]})[0]
        .square()
        .sum(),
        [given[name] for name in ("query", "key", "value")],
    )
    for mine, wanted in zip(gradients, expected, strict=True):
        assert_same(mine, wanted)


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("heads", [1, 3, 4, 8])
def test_the_mean_of_the_weights_in_bfloat16_is_rounded_once(heads, fast, monkeypatch):
    monkeypatch.setattr(matmul, "bfloat16_is_fast", lambda: fast)
    x, W = noise(7, 2, 24).bfloat16(), noise(72, 24, seed=1).bfloat16()
    out = torch.eye(24, dtype=torch.bfloat16)
    given = (x, x, x, 24, heads, W, None, None, None, False, 0.0, out, None)
    means, each = (F.multi_head_attention_forward(*given, average_attn_weights=mean)[1] for mean in (True, False))
    assert each.dtype == means.dtype == torch.bfloat16
    torch.testing.assert_close(means.double(), each.double().mean(1), rtol=2**-8, atol=1e-30)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_a_learned_causal_mask_keeps_its_gradient_beside_padding(dropout):
    """A promise of causality lets attention skip the mask, but not the derivative by its numbers."""
    mask = torch.zeros(L, L, dtype=torch.float64).masked_fill(torch.ones(L, L).triu(1) == 1, -math.inf)
    padding = torch.zeros(N, L, dtype=torch.float64)
    padding[1, 1] = -math.inf
    x = noise(L, N, E)
    given = arguments(x, x, x, attn_mask=mask, key_padding_mask=padding, need_weights=False, is_causal=True)
    both(**given | {"dropout_p": dropout})


def test_what_is_tapped_and_may_be_replaced():
    heard = {}

    def listener(name, value):
        heard[name] = value
        return torch.zeros_like(value) if name == "attention.weights" else value

    given = sequences()
    for need_weights in (True, False):
        heard.clear()
        with tap.listening(listener):
            output, _ = F.multi_head_attention_forward(**given, need_weights=need_weights)
        sizes = {"scores": (N, H, L, S), "weights": (N, H, L, S), "output": (N, H, L, E // H)}
        assert {name: value.shape for name, value in heard.items()} == {f"attention.{n}": s for n, s in sizes.items()}
        assert_same(output, given["out_proj_bias"].expand(L, N, E))


@pytest.mark.parametrize(
    "changes",
    [
        {"in_proj_weight": None},
        {"use_separate_proj_weight": True},
        {"use_separate_proj_weight": True, "q_proj_weight": noise(E, E + 1)},
        {"bias_k": noise(1, 1, E)},
        {"bias_v": noise(1, 1, E)},
        {"bias_k": noise(1, 1, E), "bias_v": noise(1, 1, E), "static_k": noise(N * H, S, E // H)},
        {"bias_k": noise(1, 1, E), "bias_v": noise(1, 1, E), "static_v": noise(N * H, S, E // H)},
        {"static_k": noise(N, S, E // H)},
        {"static_v": noise(N * H, S, E)},
        {"embed_dim_to_check": E + 1},
        {"num_heads": 3},
        {"is_causal": True},
        {"dropout_p": 1.5},
    ],
    ids=lambda changes: ", ".join(changes),
)
def test_wrong_calls_raise_what_torch_raises(changes):
    errors = []
    for function in (F.multi_head_attention_forward, REFERENCE):
        with pytest.raises(Exception) as caught:  # noqa: PT011  (which type it is, is what is compared)
            function(**sequences(**changes))
        errors.append(caught.value)
    assert type(errors[0]) is type(errors[1]), errors
    assert str(errors[0])


def test_nested_tensors_are_refused_with_a_remedy():
    nested = torch.nested.nested_tensor([noise(2, E), noise(3, E)], layout=torch.jagged)
    with pytest.raises(AssertionError, match="key_padding_mask"):
        F.multi_head_attention_forward(**arguments(nested, nested, nested))
