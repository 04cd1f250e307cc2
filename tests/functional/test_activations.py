"""Activations: laws, and the corners that the layers do not reach."""

import functools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels import functional as F
from minimodels.functional.activations import curves, probabilities
from minimodels.tap import listening
from minimodels.testing import assert_commutes, assert_equivalent, assert_invariant, tensors

PAIRS = [(F.softmax, torch.nn.functional.softmax), (F.log_softmax, torch.nn.functional.log_softmax)]
both = pytest.mark.parametrize(("ours", "reference"), PAIRS, ids=["softmax", "log_softmax"])


@given(x=tensors((3, 4)), shift=st.floats(-1e3, 1e3))
def test_softmax_ignores_a_shift(x, shift):
    assert_invariant(lambda x: F.softmax(x, 1), lambda x: x + shift, x, rtol=1e-9, atol=1e-12)


@given(x=tensors((3, 4)))
def test_softmax_is_a_distribution_and_commutes_with_permutation(x):
    y = F.softmax(x, 1)
    assert (y >= 0).all()
    assert torch.allclose(y.sum(1), torch.ones(3, dtype=torch.float64))
    assert_commutes(lambda x: F.softmax(x, 1), lambda x: x[:, [2, 0, 3, 1]], x)
    assert torch.allclose(F.log_softmax(x, 1).exp(), y)


@both
def test_scores_too_large_for_the_exponential(ours, reference):
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        x = torch.tensor([[6e4, -6e4, 0.0], [-torch.inf, 1.0, 1.0], [-torch.inf] * 3], dtype=dtype)
        assert_equivalent(lambda x: ours(x, 1), lambda x: reference(x, 1), x, order=1)


@both
@given(data=st.data())
def test_another_dtype(ours, reference, data):
    x = data.draw(tensors((2, 3))).half()
    assert_equivalent(lambda x: ours(x, 1, dtype=torch.float64), lambda x: reference(x, 1, dtype=torch.float64), x)
    integers = torch.tensor([[1, 2], [3, 4]])
    assert torch.equal(ours(integers, 0, dtype=torch.float32), reference(integers, 0, dtype=torch.float32))


@both
@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0,), ()])
def test_empty_and_scalar(ours, reference, shape):
    assert_equivalent(lambda x: ours(x, -1), lambda x: reference(x, -1), torch.zeros(shape), order=1)


@both
@pytest.mark.parametrize("ndim", [1, 2, 3, 4])
def test_leaving_out_the_dimension_warns_and_guesses_alike(ours, reference, ndim):
    x = torch.randn((2,) * ndim)
    results = []
    for function in (ours, reference):
        with pytest.warns(UserWarning, match="Implicit dimension choice") as caught:
            results.append(function(x))
        assert caught[0].filename == __file__
    assert torch.allclose(*results)


@both
def test_gradcheck_and_gradgradcheck(ours, reference):
    x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: ours(x, 1), x)
    assert torch.autograd.gradgradcheck(lambda x: ours(x, 1), x)


def test_relu_in_place_writes_over_its_input():
    x = torch.tensor([-1.0, 2.0])
    assert F.relu(x, inplace=True) is x
    assert torch.equal(x, torch.tensor([0.0, 2.0]))


@given(x=tensors((3, 4)), scale=st.floats(0.1, 10))
def test_relu_commutes_with_a_positive_factor_and_is_idempotent(x, scale):
    assert_commutes(F.relu, lambda x: x * scale, x)
    assert_invariant(F.relu, F.relu, x)


ELEMENTWISE = {
    "leaky_relu": {"negative_slope": 0.2},
    "threshold": {"threshold": 0.5, "value": -2.0},
    "hardtanh": {},
    "relu6": {},
    "hardsigmoid": {},
    "hardswish": {},
    "elu": {"alpha": 0.7},
    "celu": {"alpha": 0.7},
    "selu": {},
    "softsign": {},
    "softplus": {"beta": 2.0, "threshold": 5.0},
    "logsigmoid": {},
    "gelu": {},
    "silu": {},
    "mish": {},
}
INPLACE = ["relu", *(name for name in ELEMENTWISE if name not in ("softsign", "softplus", "logsigmoid", "gelu"))]
every = pytest.mark.parametrize("name", ELEMENTWISE)


def sides(name, **settings):
    """Ours and PyTorch's, with settings."""
    settings = settings or ELEMENTWISE.get(name, {})
    return [functools.partial(getattr(room, name), **settings) for room in (F, torch.nn.functional)]


@every
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_at_the_edges(name, dtype):
    """At kinks, far out, at infinity and for NaN: the numbers are PyTorch's, the first derivative wherever finite."""
    numbers = [-1e4, -200.0, -100, -50, -20, -6, -3, -1, -0.5, 0, -0.0, 0.5, 1, 2.5, 3, 6, 20, 20.5, 50, 100, 1e4]
    x = torch.tensor([*numbers, torch.inf, -torch.inf, torch.nan], dtype=dtype)
    results = []
    for f in sides(name):
        leaf = x.clone().requires_grad_()
        y = f(leaf)
        results.append((y.detach(), *torch.autograd.grad(y.sum(), leaf)))
    (y, slope), (y_reference, slope_reference) = results
    loose = {"rtol": 2e-2, "atol": 2e-4} if dtype is torch.bfloat16 else {}  # it rounds between the steps of softsign
    finite = slice(-3) if name == "gelu" and dtype is not torch.float64 else slice(None)  # it makes NaN of infinity
    torch.testing.assert_close(y[finite], y_reference[finite], equal_nan=True, **loose)
    torch.testing.assert_close(slope[:-3], slope_reference[:-3], **loose)


@every
def test_the_definition_the_fast_way_and_the_derivative_are_one(name):
    """Under a transform the formula runs, in ordinary autograd the chunks and the slope by hand."""
    f, _ = sides(name)
    x = torch.randn(50, dtype=torch.float64) * 4
    formula, tangent = torch.func.jvp(f, (x,), (torch.ones_like(x),))
    leaf = x.clone().requires_grad_()
    y = f(leaf)
    torch.testing.assert_close(y.detach(), formula)
    torch.testing.assert_close(torch.autograd.grad(y.sum(), leaf)[0], tangent)
    assert torch.autograd.gradgradcheck(f, leaf[:5].detach().requires_grad_())


@every
@pytest.mark.parametrize("layout", ["contiguous", "transposed", "gaps"])
def test_chunks_make_no_difference(name, layout, monkeypatch):
    monkeypatch.setattr(curves, "CHUNK", 7)
    x = torch.randn(6, 10, dtype=torch.float64)
    x = {"contiguous": x, "transposed": x.t(), "gaps": x[:, ::2]}[layout]
    assert_equivalent(*sides(name), x, order=1, rtol=1e-7, atol=1e-7)
    assert_equivalent(*sides(name), x.bfloat16(), order=1, rtol=4e-2, atol=1e-2)


@every
def test_only_the_input_is_kept_for_the_backward_pass(name):
    x, kept = torch.randn(8, requires_grad=True), []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        sides(name)[0](x)
    assert [t.data_ptr() for t in kept] == [x.data_ptr()]


@pytest.mark.parametrize("name", INPLACE)
def test_in_place_writes_over_the_input_and_refuses_a_leaf(name):
    settings = ELEMENTWISE.get(name, {}) | {"inplace": True}
    ours, reference = sides(name, **settings)
    x = torch.randn(9, dtype=torch.float64)
    results = []
    for f in (ours, reference):
        leaf = x.clone().requires_grad_()
        with pytest.raises(RuntimeError, match="leaf Variable that requires grad"):
            f(leaf)
        given = leaf.clone()
        version = given._version
        assert f(given) is given
        assert given._version > version
        results.append((given.detach(), *torch.autograd.grad(given.sum(), leaf)))
        with torch.no_grad():
            assert f(given) is given
    for mine, theirs in zip(*results, strict=True):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("name", ["relu6", "hardtanh", "threshold"])
def test_whole_numbers_stay_whole(name):
    for settings in {"relu6": [{}], "hardtanh": [{}], "threshold": [{"threshold": 1, "value": -5}]}[name]:
        ours, reference = sides(name, **settings)
        x = torch.tensor([-7, 0, 1, 2, 9])
        assert torch.equal(ours(x), reference(x))
        assert ours(x).dtype == x.dtype


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "softsign", "silu"])
def test_complex_numbers(name):
    x = torch.tensor([1 + 1j, -0.5j], dtype=torch.complex128)
    torch.testing.assert_close(getattr(F, name)(x), getattr(torch.nn.functional, name)(x))


@given(x=tensors((3, 4)), beta=st.floats(0.1, 10))
def test_softplus_and_the_sigmoids(x, beta):
    torch.testing.assert_close(F.softplus(x, beta) - F.softplus(-x, beta), x)
    torch.testing.assert_close(F.logsigmoid(x), -F.softplus(-x))
    torch.testing.assert_close(F.logsigmoid(x), F.sigmoid(x).log())
    torch.testing.assert_close(F.sigmoid(x) + F.sigmoid(-x), torch.ones_like(x))
    torch.testing.assert_close(F.tanh(x), 2 * F.sigmoid(2 * x) - 1)
    torch.testing.assert_close(F.softsign(-x), -F.softsign(x))


@given(x=tensors((3, 4)))
def test_gates_and_what_they_let_through(x):
    torch.testing.assert_close(F.silu(x), x * F.sigmoid(x))
    torch.testing.assert_close(F.mish(x), x * F.tanh(F.softplus(x)))
    for approximate in ("none", "tanh"):  # Φ(x) + Φ(−x) = 1
        torch.testing.assert_close(F.gelu(x, approximate) - F.gelu(-x, approximate), x)
    torch.testing.assert_close(F.gelu(x), F.gelu(x, "tanh"), rtol=0, atol=1e-3)
    torch.testing.assert_close(F.glu(torch.cat((x, x), 1)), F.silu(x))
    torch.testing.assert_close(F.glu(torch.cat((x, x), 0), 0), F.silu(x))
    torch.testing.assert_close(F.softmin(x, 1), F.softmax(-x, 1))


@given(x=tensors((3, 4)), a=st.floats(0.1, 3))
def test_lines_and_exponentials(x, a):
    torch.testing.assert_close(F.leaky_relu(x, a), F.relu(x) - a * F.relu(-x))
    torch.testing.assert_close(F.prelu(x, torch.tensor([a], dtype=x.dtype)), F.leaky_relu(x, a))
    torch.testing.assert_close(F.celu(x, a), a * F.elu(x / a))
    assert (F.elu(x, a) >= -a).all()
    torch.testing.assert_close(F.relu6(x), F.relu(x) - F.relu(x - 6))
    torch.testing.assert_close(F.hardswish(x), x * F.hardsigmoid(x))
    torch.testing.assert_close(F.threshold(x, 0.0, 0.0), F.relu(x))
    assert_invariant(F.hardtanh, F.hardtanh, x)


def test_elu_is_continuous_at_zero():
    eps = torch.tensor([-1e-12, 0.0, 1e-12], dtype=torch.float64)
    for f in (F.elu, F.celu, F.selu):
        assert f(eps).abs().max() < 1e-11


def test_a_glu_keeps_its_input_alone():
    x, kept = torch.randn(8, requires_grad=True), []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        F.glu(x)
    assert [t.data_ptr() for t in kept] == [x.data_ptr()]


@given(data=st.data(), order=st.sampled_from([1, 2]), chunk=st.sampled_from([1, 5, 1 << 17]))
def test_swiglu_is_silu_times_what_it_gates(data, order, chunk):
    a, b = data.draw(tensors((3, 4))), data.draw(tensors((3, 4)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(curves, "CHUNK", chunk)
        assert_equivalent(F.swiglu, lambda a, b: torch.nn.functional.silu(a) * b, a, b, order=order)
    with listening(lambda name, value: value * 0 if name == "swiglu.gate" else value):
        assert not F.swiglu(a, b).any()
    torch.testing.assert_close(torch.func.vmap(F.swiglu)(a, b), F.swiglu(a, b))
    gradient = torch.func.grad(lambda a: F.swiglu(a, b).sum())(a)
    torch.testing.assert_close(gradient, torch.func.grad(lambda a: (F.silu(a) * b).sum())(a))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_swiglu_rounds_16_bits_once(dtype):
    a, b, upstream = torch.randn(3, 64, generator=torch.Generator().manual_seed(0)).to(dtype)
    found, exact = [], []
    for results, wide in ((found, dtype), (exact, torch.float64)):
        leaves = [t.to(wide).requires_grad_() for t in (a, b)]
        y = F.swiglu(*leaves)
        results += [y, *torch.autograd.grad(y, leaves, upstream.to(wide))]
    for mine, truth in zip(found, exact, strict=True):
        assert mine.dtype is dtype
        assert ((mine.double() - truth).abs() <= 0.501 * torch.finfo(dtype).eps * truth.abs() + 1e-6).all()


def test_swiglu_keeps_its_operands_alone():
    a, b, kept = torch.randn(8, requires_grad=True), torch.randn(8, requires_grad=True), []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        F.swiglu(a, b)
    assert [t.data_ptr() for t in kept] == [a.data_ptr(), b.data_ptr()]


def test_what_is_no_gate_is_refused():
    for b in (torch.ones(1), torch.ones(3).double()):
        with pytest.raises(RuntimeError, match=r"alike, but are \[3\] of torch.float32 and"):
            F.swiglu(torch.ones(3), b)
    with pytest.raises(NotImplementedError):
        F.swiglu(torch.ones(3, dtype=torch.int64), torch.ones(3, dtype=torch.int64))


def test_selu_keeps_mean_and_variance():
    y = F.selu(torch.randn(1_000_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64))
    assert y.mean().item() == pytest.approx(0, abs=0.01)
    assert y.var().item() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(("name", "settings"), [*ELEMENTWISE.items(), ("gelu", {"approximate": "tanh"})], ids=str)
@pytest.mark.parametrize("threads", [1, 3])
def test_16_bits_are_rounded_once_whatever_the_chunks(name, settings, threads, monkeypatch):
    monkeypatch.setattr(curves, "CHUNK", 16)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    x, upstream = torch.randn(2, 50, generator=torch.Generator().manual_seed(0)).bfloat16()
    leaves = x.clone().requires_grad_(), x.double().requires_grad_()
    (y, carried), (exact, slope) = (
        (y.detach(), torch.autograd.grad(y, leaf, upstream.to(leaf.dtype))[0])
        for f, leaf in zip(sides(name, **settings), leaves, strict=True)
        for y in [f(leaf)]
    )
    for mine, truth in ((y, exact), (carried, slope)):
        assert ((mine.double() - truth).abs() <= 0.501 * torch.finfo(torch.bfloat16).eps * truth.abs() + 1e-6).all()


@both
@given(
    data=st.data(), chunk=st.sampled_from([1, 5, 24, 1 << 16]), dim=st.integers(-3, 2), small=st.sampled_from([0, 60])
)
def test_slices_go_through_a_few_at_a_time(ours, reference, data, chunk, dim, small):
    x = data.draw(tensors((3, 4, 5)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probabilities, "SMALL", small)
        patch.setattr(curves, "CHUNK", chunk)
        patch.setattr(torch, "get_num_threads", lambda: 1)
        assert_equivalent(lambda x: ours(x, dim), lambda x: reference(x, dim), x, order=2)
        rounded = x.bfloat16()
        assert_equivalent(lambda x: ours(x, dim), lambda x: reference(x, dim), rounded, order=1, rtol=4e-2, atol=2e-2)


def test_the_slope_of_gelu_takes_one_buffer():
    """In 16 bits four: the input, the gradient, the result in float32, and what is scribbled on."""
    for dtype, buffers in ((torch.float32, 1), (torch.bfloat16, 4)):
        x, fresh = torch.zeros(8, dtype=dtype), torch.zeros(8, dtype=dtype)
        (piece,) = curves.widened([(x, x, fresh)], spares=1)
        assert len({t.data_ptr() for t in piece} - {x.data_ptr(), fresh.data_ptr()}) == buffers
