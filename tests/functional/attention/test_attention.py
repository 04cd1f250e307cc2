"""Attention as people call it: torch's numbers, types and errors, and laws."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing._internal.common_methods_invocations import op_db

from minimodels import functional as F
from minimodels.functional import matmul
from minimodels.functional.attention import choice
from minimodels.tap import listening
from minimodels.testing import assert_equivalent, assert_same, attention_cases, tensors

T = torch.nn.functional
WINDOWS = st.none() | st.integers(1, 7)
FORMS = pytest.mark.parametrize("kept", [0, choice.KEPT], ids=["tiles", "batched"])


def ours(case, f=F.scaled_dot_product_attention):
    return f(*case.inputs, **case.kwargs)


def noise(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def operands(*leading, queries=5, keys=6, width=4, out=3, dtype=torch.float64):
    sizes = (queries, width), (keys, width), (keys, out)
    return [noise(*leading, *size, seed=seed, dtype=dtype) for seed, size in enumerate(sizes)]


@pytest.fixture(params=[0, choice.KEPT], ids=["tiles", "batched"])
def form(request, monkeypatch):
    """Either fast form, whatever the size."""
    monkeypatch.setattr(choice, "KEPT", request.param)


@FORMS
@given(case=attention_cases(), order=st.sampled_from([1, 2]))
def test_is_torchs(kept, case, order):
    """Once by hand; twice by autograd, both times."""
    with pytest.MonkeyPatch.context() as patch, torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        patch.setattr(choice, "KEPT", kept)
        assert_equivalent(
            lambda *o: F.scaled_dot_product_attention(*o, **case.kwargs),
            lambda *o: T.scaled_dot_product_attention(*o, **case.kwargs),
            *case.inputs,
            order=order,
            rtol=1e-8,
            atol=1e-8,
        )


@given(case=attention_cases(blind=True))
def test_a_query_that_may_look_nowhere_gives_zeros_and_no_gradient(case):
    """PyTorch gives zeros or NaN there, by which of its kernels runs; elsewhere the two agree."""
    query, key, value = (t.clone().requires_grad_() for t in case.inputs)
    output = F.scaled_dot_product_attention(query, key, value, **case.kwargs)
    gradients = torch.autograd.grad(output.sum(), (query, key, value))
    assert all(t.isfinite().all() for t in (output, *gradients))
    mask = case.kwargs.get("attn_mask")
    if mask is not None:
        seen = mask if mask.dtype == torch.bool else mask > -math.inf
        nowhere = ~seen.any(-1, keepdim=True).expand(*output.shape[:-1], 1)
        assert not (output * nowhere).any()
        if query.shape[:-1] == output.shape[:-1]:
            assert not (gradients[0] * nowhere).any()
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        expected = ours(case, T.scaled_dot_product_attention)
    assert_same(output[expected.isfinite()], expected[expected.isfinite()])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("hidden", ["boolean", "infinite", "band"])
def test_zeros_in_every_form(form, dtype, hidden):
    q, k, v = (t.to(dtype).requires_grad_() for t in operands(2, 3))
    seen = torch.rand(5, 6, generator=torch.Generator().manual_seed(0)) < 0.5
    seen[1] = False
    mask = seen if hidden == "boolean" else torch.zeros(5, 6).masked_fill(~seen, -math.inf)
    if hidden == "band":
        y = F.causal_attention(q, k[..., :4, :], v[..., :4, :])  # the first query stands before the first key
        blind = 0
    else:
        y, blind = F.scaled_dot_product_attention(q, k, v, mask), 1
    gradients = torch.autograd.grad(y.square().sum(), (q, k, v))
    assert not y[..., blind, :].any()
    assert not gradients[0][..., blind, :].any()
    assert all(g.isfinite().all() for g in gradients)


def test_a_mask_of_the_smallest_numbers_is_no_blindness(form):
    """All keys alike far below: the mean of the values, as for any other constant; the derivative too."""
    lowest = torch.finfo(torch.float32).min
    q, k, v = (t.requires_grad_() for t in operands(1, 2, dtype=torch.float32))
    y = F.scaled_dot_product_attention(q, k, v, torch.full((5, 6), lowest))
    torch.testing.assert_close(y, v.mean(-2, keepdim=True).expand_as(y))
    (g,) = torch.autograd.grad(y.sum(), v)
    torch.testing.assert_close(g, torch.full_like(g, 5 / 6))


@given(data=st.data(), case=attention_cases())
def test_the_order_of_keys_means_nothing(data, case):
    query, key, value = case.inputs
    order = torch.tensor(data.draw(st.permutations(range(key.shape[-2]))))
    kwargs = case.kwargs | {"is_causal": False}
    turned = dict(kwargs)
    if kwargs.get("attn_mask") is not None:
        mask = kwargs["attn_mask"]
        turned["attn_mask"] = mask[..., order] if mask.shape[-1] > 1 else mask
    torch.testing.assert_close(
        F.scaled_dot_product_attention(query, key[..., order, :], value[..., order, :], **turned),
        F.scaled_dot_product_attention(query, key, value, **kwargs),
    )


@pytest.mark.parametrize("window", [None, 3, 40])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_causality_leaks_nothing(form, window, dtype):
    """A change of a later key and value leaves all earlier outputs as they are, to the last bit; so do older ones."""
    q, k, v = (t.to(dtype) for t in operands(1, 2, queries=300, keys=300))
    before = F.causal_attention(q, k, v, window)
    for place in (1, 127, 128, 299):
        k_, v_ = k.clone(), v.clone()
        k_[..., place, :] = 100
        v_[..., place, :] = 1e30
        after = F.causal_attention(q, k_, v_, window)
        assert torch.equal(after[..., :place, :], before[..., :place, :])
        if window is not None:
            assert torch.equal(after[..., place + window :, :], before[..., place + window :, :])


@given(q=tensors((2, 3, 5, 4)), k=tensors((2, 3, 6, 4)), v=tensors((2, 3, 6, 3)), window=WINDOWS)
def test_a_band_is_its_mask(q, k, v, window):
    for queries in (5, 1):
        mask = F.causal_mask(queries, 6, window)
        torch.testing.assert_close(
            F.causal_attention(q[..., :queries, :], k, v, window),
            T.scaled_dot_product_attention(q[..., :queries, :], k, v, mask),
        )


def test_a_window_of_everything_is_causality(form):
    q, k, v = operands(1, 2, queries=6)
    assert torch.equal(F.causal_attention(q, k, v, 6), F.causal_attention(q, k, v))
    torch.testing.assert_close(
        F.causal_attention(q, k, v), F.scaled_dot_product_attention(q, k, v, is_causal=True), rtol=0, atol=0
    )


def test_a_constant_added_to_the_scores_changes_nothing(form):
    q, k, v = operands(2, 3)
    shift = noise(3, 5, 1) * 10
    torch.testing.assert_close(F.scaled_dot_product_attention(q, k, v, shift), F.scaled_dot_product_attention(q, k, v))


@given(case=attention_cases())
def test_outputs_are_weighted_means_of_the_values(case):
    query, key, value = case.inputs
    y = ours(case)
    assert (y <= value.amax(-2, keepdim=True).amax() + 1e-9).all()
    ones = F.scaled_dot_product_attention(query, key, torch.ones_like(value), **case.kwargs)
    torch.testing.assert_close(ones, torch.ones_like(ones))


@pytest.mark.parametrize("share", [1, 2, 4])
def test_shared_heads_are_repeated_heads(form, share):
    q = noise(2, 4, 5, 3)
    k, v = noise(2, 4 // share, 6, 3, seed=1), noise(2, 4 // share, 6, 2, seed=2)
    expected = F.scaled_dot_product_attention(q, k.repeat_interleave(share, 1), v.repeat_interleave(share, 1))
    torch.testing.assert_close(F.scaled_dot_product_attention(q, k, v, enable_gqa=True), expected)


def test_heads_may_be_shared_by_more_for_keys_than_for_values():
    q, k, v = noise(2, 6, 5, 3), noise(2, 2, 4, 3, seed=1), noise(2, 3, 4, 2, seed=2)
    assert_same(
        F.scaled_dot_product_attention(q, k, v, enable_gqa=True),
        T.scaled_dot_product_attention(q, k, v, enable_gqa=True),
    )


def test_causality_and_a_mask_together(form):
    q, k, v = operands(2, 3, out=4)
    causal = torch.ones(5, 6, dtype=torch.bool).tril()
    for mask in (noise(5, 6) > -0.5, noise(1, 3, 5, 6)):
        assert_same(
            F.scaled_dot_product_attention(q, k, v, mask, is_causal=True),
            F.scaled_dot_product_attention(q, k, v, F.combine_masks(causal, mask)),
        )
        mine, theirs = (f.scaled_dot_product_attention(q, k, v, mask, is_causal=True) for f in (F, T))
        assert_same(mine, theirs)  # whose fast kernel takes both


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_dropout_draws_torchs_mask(p, dtype):
    tolerance = {torch.float64: 1e-10, torch.float32: 1e-5, torch.bfloat16: 3e-2}[dtype]
    assert_equivalent(
        lambda *o: F.scaled_dot_product_attention(*o, dropout_p=p, is_causal=True),
        lambda *o: T.scaled_dot_product_attention(*o, dropout_p=p, is_causal=True),
        *operands(2, 3, dtype=dtype),
        order=2 if dtype == torch.float64 and p < 1 else 1,
        rtol=tolerance,
        atol=tolerance,
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("fast", [False, True])
def test_low_precision_is_as_near_as_torchs(form, dtype, causal, fast, monkeypatch):
    """Against the definition in float64: at most twice as far as torch's, and a rounding."""
    monkeypatch.setattr(matmul, "bfloat16_is_fast", lambda: fast)
    exact = operands(1, 2, queries=200, keys=200, width=16, out=16)
    upstream, found = noise(1, 2, 200, 16, seed=3), []
    for f, kind in ((F, torch.float64), (F, dtype), (T, dtype)):
        leaves = [t.to(dtype).to(kind).requires_grad_() for t in exact]
        y = f.scaled_dot_product_attention(*leaves, is_causal=causal)
        found.append([y, *torch.autograd.grad(y, leaves, upstream.to(kind))])
    for truth, mine, theirs in zip(*found, strict=True):
        assert mine.dtype == dtype
        errors = [(t.double() - truth).abs().max() / truth.abs().max() for t in (mine, theirs)]
        assert errors[0] <= 2 * errors[1] + torch.finfo(dtype).eps


def test_values_that_are_alike_leave_queries_no_gradient(form):
    """What is taken away from the products of gradients and values is known better than bfloat16 holds it."""
    q, k, g = (t.bfloat16() for t in (noise(1, 2, 40, 16, seed=seed) for seed in range(3)))
    v = noise(1, 2, 1, 16, seed=3).bfloat16().repeat(1, 1, 40, 1)
    q.requires_grad_()
    (found,) = torch.autograd.grad(F.scaled_dot_product_attention(q, k, v), q, g)
    assert found.abs().max() < 1e-4


def test_autocast_computes_as_torch_does():
    q, k, v = operands(1, 2, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for mask in (None, torch.ones(5, 6, dtype=torch.bool), torch.zeros(5, 6)):
            mine, theirs = (f.scaled_dot_product_attention(q, k, v, mask) for f in (F, T))
            assert_same(mine, theirs, rtol=2e-2, atol=2e-2)
        assert F.scaled_dot_product_attention(q.double(), k.double(), v.double()).dtype == torch.float64


@pytest.mark.parametrize("empty", ["batch", "queries", "keys", "width", "values"])
def test_nothing_gives_nothing_or_zeros(empty):
    sizes = {"batch": 2, "queries": 5, "keys": 6, "width": 4, "values": 3} | {empty: 0}
    n, queries, keys, width, out = sizes.values()
    leaves = torch.ones(n, 2, queries, width), torch.ones(n, 2, keys, width), torch.ones(n, 2, keys, out)
    assert_equivalent(F.scaled_dot_product_attention, T.scaled_dot_product_attention, *leaves, order=1)


def test_the_output_is_laid_out_as_the_query(form):
    """So that heads can be put side by side without a copy."""
    q, k, v = (noise(2, 5, 3, 4, seed=seed).transpose(1, 2) for seed in range(3))
    if choice.KEPT == 0:
        y = F.scaled_dot_product_attention(q, k, v)
        assert y.transpose(1, 2).is_contiguous()


def test_meta_tensors():
    q, k, v = (t.to("meta").requires_grad_() for t in operands(2, 3, queries=300, keys=300))
    y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    assert (y.shape, y.device.type) == ((2, 3, 300, 3), "meta")
    assert torch.autograd.grad(y.sum(), q)[0].shape == q.shape


def test_a_listener_hears_scores_weights_and_output(form):
    q, k, v = operands(2, 3)
    heard = {}
    with listening(lambda name, value: heard.setdefault(name, value)):
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    assert list(heard) == ["attention.scores", "attention.weights", "attention.output"]
    torch.testing.assert_close(heard["attention.weights"].sum(-1), torch.ones(2, 3, 5, dtype=torch.float64))
    assert heard["attention.scores"][..., 0, 1:].isneginf().all()
    torch.testing.assert_close(y, F.scaled_dot_product_attention(q, k, v, is_causal=True))
    with listening(lambda name, value: value * 0 if name == "attention.weights" else value):
        assert not F.scaled_dot_product_attention(q, k, v).any()


def test_weights_on_request():
    q, k, v = operands(2, 3)
    y, weights = F.attention_and_weights(q, k, v, F.causal_mask(5, 6))
    assert_same(weights, torch.softmax((q @ k.mT / 2).masked_fill(~F.causal_mask(5, 6), -math.inf), -1))
    torch.testing.assert_close(y, weights @ v)


SAMPLES = next(op for op in op_db if op.name == "nn.functional.scaled_dot_product_attention")


@pytest.mark.parametrize("requires_grad", [False, True])
def test_the_samples_of_pytorchs_database(requires_grad):
    for sample in SAMPLES.sample_inputs("cpu", torch.float64, requires_grad=requires_grad):
        torch.manual_seed(0)
        mine = F.scaled_dot_product_attention(sample.input, *sample.args, **sample.kwargs)
        torch.manual_seed(0)
        theirs = T.scaled_dot_product_attention(sample.input, *sample.args, **sample.kwargs)
        assert_same(mine, theirs)
        if requires_grad:
            leaves = [t for t in (sample.input, *sample.args) if isinstance(t, torch.Tensor) and t.requires_grad]
            pairs = zip(*(torch.autograd.grad(y.sum(), leaves) for y in (mine, theirs)), strict=True)
            for a, b in pairs:
                assert_same(a, b)


def _wrong():
    q, k, v = (t.float() for t in operands(2, 3, out=4))
    mask = torch.ones(5, 6, dtype=torch.bool)
    yield lambda f: f(q, k.double(), v)
    yield lambda f: f(q.int(), k.int(), v.int())
    yield lambda f: f(q.cfloat(), k.cfloat(), v.cfloat())
    yield lambda f: f(q[0, 0, 0], k, v)
    yield lambda f: f(q, k, v, mask.int())
    yield lambda f: f(q, k, v, mask.double())
    yield lambda f: f(q, k, v, mask[:, :3])
    yield lambda f: f(q, k, v, mask.expand(7, 2, 3, 5, 6))
    yield lambda f: f(q[:1], k[:1], v[:1], mask.expand(2, 3, 5, 6))
    yield lambda f: f(q[..., :1, :], k, v, mask)
    yield lambda f: f(q, k, v, mask[0])
    yield lambda f: f(q, k, v, mask[0, 0])
    yield lambda f: f(q, k[..., :3], v)
    yield lambda f: f(q, k[:, :2], v)
    yield lambda f: f(q, k, v, dropout_p=1.1)
    yield lambda f: f(q, k, v, dropout_p=-0.1)
    yield lambda f: f(q, k[:, :2], v[:, :2], enable_gqa=True)
    yield lambda f: f(q[0, 0], k[0, 0], v[0, 0], enable_gqa=True)
    yield lambda f: f(q, k.to("meta"), v)


@pytest.mark.parametrize("call", list(_wrong()))
def test_misfits_raise_what_torch_raises(call):
    errors = []
    for f in (F.scaled_dot_product_attention, T.scaled_dot_product_attention):
        with pytest.raises(Exception) as caught:  # noqa: PT011  (which type it is, is what is compared)
            call(f)
        errors.append(type(caught.value))
    assert errors[0] is errors[1]


def test_values_that_are_missing_are_refused():
    """PyTorch's fast kernel reads beyond the values here."""
    q, k, v = operands(2, 3)
    with pytest.raises(RuntimeError, match="every key has a value"):
        F.scaled_dot_product_attention(q, k, v[..., :4, :])
