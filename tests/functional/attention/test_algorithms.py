"""The forms of attention: each against the definition, their memory, and what they step aside for."""

import functools
import warnings

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from minimodels import functional as F
from minimodels.functional import matmul, onednn
from minimodels.functional.attention import Band, batched, choice, cutting, definition, one_query, tiles, weighted
from minimodels.testing import assert_equivalent, tensors

T = torch.nn.functional
BATCHED = functools.partial(batched.attention, dropout_p=0.0)
FORMS = pytest.mark.parametrize("attention", [tiles.attention, BATCHED], ids=["tiles", "batched"])
BANDS = st.none() | st.builds(Band, st.integers(-2, 5), st.none() | st.integers(1, 6))


def noise(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def by_definition(query, key, value, mask, band, scale, attention=definition.attention):
    share = query.shape[1] // key.shape[1]
    key, value = (t.repeat_interleave(share, 1) for t in (key, value))
    if band is not None:
        mask = F.combine_masks(band.mask(query.shape[2], key.shape[2]), mask)
    return attention(query, key, value, mask, scale)


@st.composite
def operands(draw, shares=3):
    """Q [N, H, L, d], K [N, G, S, d], V [N, G, S, e], and a mask that stretches along some dimensions."""
    n, g, share, queries, keys, d, e = (draw(st.integers(1, m)) for m in (3, 3, shares, 7, 7, 4, 4))
    q, k, v = draw(tensors((n, g * share, queries, d))), draw(tensors((n, g, keys, d))), draw(tensors((n, g, keys, e)))
    shape = [draw(st.sampled_from([1, size])) for size in (n, g * share, queries, keys)]
    seen = draw(tensors(tuple(shape), layouts=False)) > -0.7
    numbers = draw(tensors(tuple(shape), layouts=False)).masked_fill(~seen, -torch.inf)
    return q, k, v, draw(st.sampled_from([None, seen, numbers]))


@FORMS
@given(case=operands(), band=BANDS, order=st.sampled_from([1, 2]), sizes=st.fixed_dictionaries(
    {name: st.integers(1, 8) for name in ("ROWS", "LEAST", "KEYS", "QUERIES")}
    | {name: st.sampled_from([1, 20, 60, 1 << 18]) for name in ("TILE", "BLOCK")}
))  # fmt: skip
def test_is_the_definition(attention, case, band, sizes, order):
    *inputs, mask = case
    with pytest.MonkeyPatch.context() as patch:
        for name, size in sizes.items():
            patch.setattr(cutting, name, size)
        assert_equivalent(
            lambda *o: attention(*o, mask, band, 0.5).contiguous(),
            lambda *o: by_definition(*o, mask, band, 0.5).contiguous(),
            *inputs,
            order=order,
            rtol=1e-8,
            atol=1e-8,
        )


@given(n=st.integers(1, 3), g=st.integers(1, 3), share=st.integers(1, 3), keys=st.integers(1, 7), data=st.data())
def test_a_single_query_looks_back_at_memory_that_is_not_full(n, g, share, keys, data):
    """As it does while a text is written: keys and values are the first ones of a cache, queries a part of a row."""
    d, e = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4))
    memory = data.draw(tensors((n, g, keys + 2, d))), data.draw(tensors((n, g, keys + 2, e)))
    key, value = (t[:, :, :keys] for t in memory)
    query = data.draw(tensors((n, 1, g * share, d + 1)))[..., :d].transpose(1, 2)
    assert one_query.serves(query, key, value, share > 1)
    expected = by_definition(query, key, value, None, None, 0.5)
    for call in (F.causal_attention, F.scaled_dot_product_attention):
        found = call(query, key, value, scale=0.5, enable_gqa=share > 1)
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(one_query.attention(query, key, value, 0.5), expected, rtol=1e-10, atol=1e-10)
    plain = T.scaled_dot_product_attention(query, key, value, enable_gqa=True)
    torch.testing.assert_close(one_query.attention(query, key, value), plain, rtol=1e-10, atol=1e-10)


def test_a_score_far_below_the_largest_is_no_weight():
    key = torch.tensor([[[[0.0], [1e4], [-1e30]]]])
    assert one_query.attention(torch.ones(1, 1, 1, 1), key, torch.eye(3)[None, None], 1.0)[0, 0, 0].argmax() == 1


def test_whom_a_single_query_does_not_serve():
    q, k = noise(1, 2, 1, 4), noise(1, 2, 3, 4)
    assert one_query.serves(q, k, k)
    assert not one_query.serves(k, k, k)  # three queries
    assert not one_query.serves(q[0], k[0], k[0])
    assert not one_query.serves(q, k[:, :1], k[:, :1])  # heads are to be shared, and nobody said so
    assert one_query.serves(q, k[:, :1], k[:, :1], True)
    assert not one_query.serves(q[:, :1], k, k, True)
    assert not one_query.serves(q, k, k[:, :, :2])
    assert not one_query.serves(q[..., :3], k, k)
    assert not one_query.serves(q, k[:, :, :0], k[:, :, :0])
    assert not one_query.serves(q, k.float(), k.float())
    assert not one_query.serves(q.bfloat16(), k.bfloat16(), k.bfloat16())
    assert not one_query.serves(q.requires_grad_(), k, k)


@pytest.mark.parametrize("arguments", [{"attn_mask": torch.tensor([[True, False, True]])}, {"dropout_p": 1.0}])
def test_a_single_query_with_a_mask_or_dropout(arguments):
    q, k = noise(1, 2, 1, 4), noise(1, 2, 3, 4)
    for call in (F.causal_attention, F.scaled_dot_product_attention):
        torch.testing.assert_close(call(q, k, k, **arguments), T.scaled_dot_product_attention(q, k, k, **arguments))
    causal = F.scaled_dot_product_attention(q, k, k, is_causal=True)  # which here sees the first key alone
    torch.testing.assert_close(causal, k[:, :, :1])
    torch.testing.assert_close(F.causal_attention(q, k, k, window=1), k[:, :, -1:])


WANTED = {
    "output": lambda y, weights: y.flatten(),
    "weights": lambda y, weights: weights.flatten(),
    "both": lambda y, weights: torch.cat([y.flatten(), weights.flatten()]),
}


@pytest.mark.parametrize("wanted", WANTED.values(), ids=WANTED)
@given(case=operands(), band=BANDS, order=st.sampled_from([1, 2]), sizes=st.fixed_dictionaries(
    {name: st.integers(1, 8) for name in ("ROWS", "LEAST")} | {"TILE": st.sampled_from([1, 20, 1 << 18])}
), block=st.sampled_from([1, 60, 1 << 18]))  # fmt: skip
def test_weights_beside_the_output_are_those_of_the_definition(wanted, case, band, order, sizes, block):
    *inputs, mask = case
    with pytest.MonkeyPatch.context() as patch:
        for name, size in sizes.items():
            patch.setattr(cutting, name, size)
        patch.setattr(weighted, "BLOCK", block)
        assert_equivalent(
            lambda *o: wanted(*weighted.attention(*o, mask, band, 0.5)),
            lambda *o: wanted(*by_definition(*o, mask, band, 0.5, definition.attention_and_weights)),
            *inputs,
            order=order,
            rtol=1e-8,
            atol=1e-8,
        )


@pytest.mark.parametrize("low", [torch.bfloat16, torch.float32], ids=["bfloat16", "float32"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
@pytest.mark.parametrize("band", [None, Band(), Band(2, 30)])
@pytest.mark.parametrize("looked_at", [True, False])
def test_weights_in_low_precision(dtype, low, band, looked_at, monkeypatch):
    """Whether or not the processor has a unit for products of bfloat16."""
    monkeypatch.setattr(matmul, "bfloat16_is_fast", lambda: low is torch.bfloat16)
    monkeypatch.setattr(weighted, "BLOCK", 1 << 14)
    q, k, v, g = (noise(2, heads, 90, 16, seed=i).to(dtype) for i, heads in enumerate((6, 3, 3, 6)))
    h, mask = noise(2, 6, 90, 90, seed=4).to(dtype), noise(2, 1, 1, 90, seed=5) > 0
    found, exactly = [], functools.partial(by_definition, attention=definition.attention_and_weights)
    for attention, kind in ((weighted.attention, dtype), (exactly, torch.float64)):
        leaves = [t.to(kind).requires_grad_() for t in (q, k, v)]
        y = attention(*leaves, mask, band, 0.25)
        above = [g.to(kind), h.to(kind)]
        above, outputs = (above, y) if looked_at else (above[:1], y[:1])
        found.append([*y, *torch.autograd.grad(outputs, leaves, above)])
    for mine, exact in zip(*found, strict=True):
        assert mine.dtype == dtype
        error = (mine.double() - exact).norm() / exact.norm()
        assert error < 3 * torch.finfo(dtype).eps


def test_who_hands_out_weights(monkeypatch):
    calls = []
    plain = weighted.attention
    monkeypatch.setattr(weighted, "attention", lambda *o: calls.append(1) or plain(*o))
    x = noise(1, 2, 4, 3)
    for dropout_p, count in ((0.0, 1), (0.5, 1)):
        choice.attend_with_weights(x, x, x, None, dropout_p)
        assert len(calls) == count


@FORMS
@pytest.mark.parametrize("band", [None, Band(), Band(2, 3)])
def test_gradcheck_and_gradgradcheck(attention, band):
    q, k, v = (noise(1, h, n, w, seed=h).requires_grad_() for h, n, w in ((4, 3, 2), (2, 5, 2), (2, 5, 3)))
    for check in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
        assert check(lambda *o: attention(*o, None, band, 0.7), (q, k, v))


@pytest.mark.parametrize("band", [None, Band(), Band(0, 100)])
@pytest.mark.parametrize("sizes", [(300, 300, 64), (1, 700, 8), (257, 40, 16)])
def test_large_sizes_in_float32(band, sizes):
    queries, keys, width = sizes
    shapes = (2, 6, queries, width), (2, 3, keys, width), (2, 3, keys, width)
    q, k, v = (noise(*shape, seed=i, dtype=torch.float32) for i, shape in enumerate(shapes))
    for attention in (tiles.attention, BATCHED):
        assert_equivalent(
            lambda *o, f=attention: f(*o, None, band, 0.2).contiguous(),
            lambda *o: by_definition(*o, None, band, 0.2).contiguous(),
            q, k, v, order=1, rtol=1e-4, atol=1e-5,
        )  # fmt: skip


def test_the_other_library_for_products(monkeypatch):
    """Where oneDNN's product is the faster one; it is there on this machine too, or the test has nothing to see."""
    if not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        pytest.skip("this PyTorch carries no oneDNN")
    monkeypatch.setattr(onednn, "onednn_is_faster", lambda: True)
    monkeypatch.setattr(onednn, "LARGE", 1)
    for name in ("ROWS", "KEYS", "QUERIES"):
        monkeypatch.setattr(cutting, name, 16)
    q, k, v = (noise(1, 2, 40, 8, seed=i, dtype=torch.float32) for i in range(3))
    for band in (None, Band()):
        assert_equivalent(
            lambda *o, b=band: tiles.attention(*o, None, b, 0.2),
            lambda *o, b=band: by_definition(*o, None, b, 0.2),
            q, k, v, order=1, rtol=1e-4, atol=1e-5,
        )  # fmt: skip


class LargestTensor(TorchDispatchMode):
    """Remember how many numbers the largest tensor has that any operation gives."""

    def __init__(self):
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        stored = [t.untyped_storage().nbytes() // t.element_size() for t in tree_leaves(result) if torch.is_tensor(t)]
        self.numbers = max([self.numbers, *stored])
        return result


def largest_tensor(length):
    q, k, v = (noise(1, 2, length, 8, seed=i, dtype=torch.float32).requires_grad_() for i in range(3))
    with LargestTensor() as seen:
        F.scaled_dot_product_attention(q, k, v, is_causal=True).sum().backward()
    return seen.numbers


def test_memory_grows_with_the_length_and_not_with_its_square(monkeypatch):
    monkeypatch.setattr(cutting, "TILE", 1 << 14)
    for name, size in {"ROWS": 16, "LEAST": 1, "KEYS": 16, "QUERIES": 128, "BLOCK": 1 << 12}.items():
        monkeypatch.setattr(cutting, name, size)
    monkeypatch.setattr(choice, "KEPT", 1 << 14)
    lengths = 512, 2048
    short, long = map(largest_tensor, lengths)
    assert long <= 4 * short * 1.1
    assert long < lengths[1] ** 2 / 50


@pytest.mark.parametrize("band", [Band(), Band(3, 200)])
def test_products_of_bfloat16_have_few_shapes(band, monkeypatch):
    """And what makes their factors wider is zero, whatever was in the memory before."""
    monkeypatch.setattr(matmul, "bfloat16_is_fast", lambda: True)
    monkeypatch.setattr(cutting, "ROWS", 8)
    monkeypatch.setattr(cutting, "WIDTHS", 5)
    q, k, v = (noise(1, 2, 403, 8, seed=i).bfloat16() for i in range(3))
    cut = cutting.Cut(q, k, None, band)
    widths = {tile.weights.shape[-1] for _, blocks in cut.steps() for _, found in blocks for tile in found}
    cut.room("weights", 2, 8, 403, dtype=torch.bfloat16).fill_(7)
    assert len(widths) <= 5 + 5
    output = tiles.forward(cut, q, k, v, 0.3)[0]
    torch.testing.assert_close(
        output.double(), by_definition(*(t.double() for t in (q, k, v)), None, band, 0.3), rtol=0.03, atol=0.03
    )


@pytest.mark.parametrize("offset", [0, 3])
def test_turned_products_of_bfloat16_have_few_shapes(offset, monkeypatch):
    """Tiles begin and end on a grid, and what lies on it beyond a band is hidden."""
    monkeypatch.setattr(matmul, "bfloat16_is_fast", lambda: True)
    for name, size in {"KEYS": 8, "QUERIES": 128, "LONG": 400, "WIDTHS": 4}.items():
        monkeypatch.setattr(cutting, name, size)
    x = noise(1, 2, 400, 8).bfloat16()
    cut = cutting.Cut(x, x, None, Band(offset), turned=True)
    assert cut.step == 4 * 8
    columns = [tile.columns for _, blocks in cut.steps() for _, found in blocks for tile in found]
    assert len({part.stop - part.start for part in columns}) <= 2 * 4  # those at the end of the queries are narrower
    assert all((part.start + offset) % 32 == 0 or part.start == 0 for part in columns)


@given(
    lengths=st.tuples(st.integers(1, 40), st.integers(1, 40)), heads=st.tuples(*3 * [st.integers(1, 2)]),
    band=st.none() | st.builds(Band, st.integers(-5, 20), st.none() | st.integers(1, 30)), masked=st.booleans(),
    sizes=st.fixed_dictionaries(
        {name: st.integers(1, 9) for name in ("ROWS", "LEAST", "KEYS", "WIDTHS")}
        | {"QUERIES": st.integers(4, 40), "LONG": st.sampled_from([10, 100])}
        | {name: st.sampled_from([1, 60, 1 << 18]) for name in ("LOW_TILE", "BLOCK")}
    ),
)  # fmt: skip
@example((40, 40), (1, 1, 1), Band(0, 5), False, {"KEYS": 4, "WIDTHS": 1})
def test_products_of_bfloat16_give_nearly_the_definition(lengths, heads, band, masked, sizes):
    (queries, keys), (n, g, share) = lengths, heads
    shapes = (n, g * share, queries, 8), (n, g, keys, 8), (n, g, keys, 6), (n, g * share, queries, 6)
    *inputs, gradient = (noise(*shape, seed=i).bfloat16() for i, shape in enumerate(shapes))
    mask = noise(n, 1, queries, keys, seed=5) > -1 if masked else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matmul, "bfloat16_is_fast", lambda: True)
        for name, size in sizes.items():
            patch.setattr(cutting, name, size)
        found = []
        for attention, dtype in ((tiles.attention, torch.bfloat16), (by_definition, torch.float64)):
            leaves = [t.to(dtype).requires_grad_() for t in inputs]
            y = attention(*leaves, mask, band, 0.3)
            found.append([y, *torch.autograd.grad(y, leaves, gradient.to(dtype))])
    for mine, exact in zip(*found, strict=True):
        assert (mine - exact).norm() < 0.02 * exact.norm() + 0.02


def test_a_window_costs_its_width_and_not_the_length(monkeypatch):
    products = []
    plain = tiles.batched_product

    def counted(a, b, *args, **kwargs):
        products.append(a.shape[0] * a.shape[1] * a.shape[2] * b.shape[1])
        return plain(a, b, *args, **kwargs)

    monkeypatch.setattr(tiles, "batched_product", counted)
    q, k, v = (noise(1, 1, 2048, 4, seed=i) for i in range(3))
    counts = []
    for band in (None, Band(), Band(0, 64)):
        products.clear()
        tiles.attention(q, k, v, None, band, 0.5)
        counts.append(sum(products))
    assert counts[1] < 0.6 * counts[0]
    assert counts[2] < 0.1 * counts[0]


def test_who_serves_whom():
    def shape(*sizes, **kwargs):
        return torch.empty(*sizes, device="meta", **kwargs)

    def chosen(x, mask=None, dropout_p=0.0):
        return choice.choose(x, x, x, mask, dropout_p)

    assert chosen(shape(12, 4, 64, 32)) == "batched"
    assert chosen(shape(1, 12, 2048, 64)) == "tiles"
    assert chosen(shape(1, 12, 2048, 64), dropout_p=0.1) == "batched"
    assert chosen(shape(0, 12, 2048, 64)) == "definition"
    assert chosen(shape(1, 12, 2048, 64), shape(2048, 2048, requires_grad=True)) == "definition"


def test_whose_weights_are_kept_in_16_bits(monkeypatch):
    monkeypatch.setattr(choice, "KEPT", 24 * 24 // 2)
    monkeypatch.setattr(choice, "FEW", 8 * 8)
    found = {}
    for fast in (True, False):
        monkeypatch.setattr(matmul, "bfloat16_is_fast", lambda fast=fast: fast)
        for length in (7, 8, 16, 24, 25):
            x = noise(1, 1, length, 2).bfloat16().requires_grad_()
            found[fast, length] = choice.choose(x, x, x, None)
            assert choice.choose(x, x, x, None, 0.5) == "batched"
            with torch.no_grad():
                assert choice.choose(x, x, x, None) in ("batched", "tiles")
            y = x.detach().float().requires_grad_()
            assert choice.choose(y, y, y, None) in ("batched", "tiles")
    assert list(found.values())[:5] == ["batched", "weighted", "weighted", "weighted", "tiles"]
    assert list(found.values())[5:] == ["batched", "batched", "batched", "tiles", "tiles"]


@pytest.mark.parametrize("band", [None, Band(), Band(3, 20)])
def test_weights_kept_in_16_bits_are_those_of_the_definition(band, monkeypatch):
    monkeypatch.setattr(matmul, "bfloat16_is_fast", lambda: True)
    monkeypatch.setattr(choice, "FEW", 50)
    q, k, v = (noise(2, heads, 40, 8, seed=heads).bfloat16().requires_grad_() for heads in (4, 2, 1))
    v = v.expand(2, 2, 40, 8)
    y = choice.attend(q, k, v, None, band, 0.3)
    assert "_Weighted" in type(y.grad_fn).__name__
    exact = by_definition(*(t.double() for t in (q, k, v)), None, band, 0.3)
    torch.testing.assert_close(y.double(), exact, rtol=0.02, atol=0.02)


def test_a_mask_is_differentiated():
    q, k, v, mask = noise(2, 3, 4, 2), noise(2, 3, 5, 2, seed=1), noise(2, 3, 5, 2, seed=2), noise(3, 4, 5, seed=3)
    assert_equivalent(F.scaled_dot_product_attention, T.scaled_dot_product_attention, q, k, v, mask, order=2)


CALLS = {
    "plain": F.scaled_dot_product_attention,
    "causal": functools.partial(F.scaled_dot_product_attention, is_causal=True),
    "window": functools.partial(F.causal_attention, window=2),
}


def reference(name):
    """PyTorch's, by its plain formula: its kernels know no forward mode."""

    def f(q, k, v):
        window = 2 if name == "window" else None
        mask = None if name == "plain" else F.causal_mask(q.shape[-2], k.shape[-2], window)
        with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            return T.scaled_dot_product_attention(q, k, v, mask)

    return f


@pytest.mark.parametrize("name", CALLS)
def test_transforms(name):
    q, k, v = (noise(2, 3, 4, 2, seed=i) for i in range(3))
    f, g = CALLS[name], reference(name)
    torch.testing.assert_close(torch.func.vmap(f)(q, k, v), g(q, k, v))
    for transform in (torch.func.grad, torch.func.hessian):
        mine, theirs = (transform(lambda x, h=h: h(x, k, v).sin().sum())(q) for h in (f, g))
        torch.testing.assert_close(mine, theirs)
    mine, theirs = (torch.func.jvp(lambda x, h=h: h(x, k, v), (q,), (k,)) for h in (f, g))
    torch.testing.assert_close(mine, theirs)
    mine, theirs = (torch.autograd.functional.jacobian(lambda x, h=h: h(x, k, v), q, vectorize=True) for h in (f, g))
    torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("name", CALLS)
def test_forward_mode(name):
    q, k, v = (noise(2, 3, 4, 2, seed=i) for i in range(3))
    found = []
    for f in (CALLS[name], reference(name)):
        with torch.autograd.forward_ad.dual_level():
            y = f(torch.autograd.forward_ad.make_dual(q, k), k, v)
            found.append(torch.autograd.forward_ad.unpack_dual(y).tangent)
    torch.testing.assert_close(*found)


@pytest.mark.parametrize(("name", "dynamic"), [("plain", False), ("causal", False), ("window", True)])
def test_compilers_see_one_graph(name, dynamic):
    inputs = [noise(2, 3, 4, 2, seed=i).requires_grad_() for i in range(3)]
    torch.compiler.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the compiler's own deprecations
        y = torch.compile(CALLS[name], fullgraph=True, backend="aot_eager", dynamic=dynamic)(*inputs)
        found = [y, *torch.autograd.grad(y.sin().sum(), inputs)]
    y = CALLS[name](*inputs)
    torch.testing.assert_close(found, [y, *torch.autograd.grad(y.sin().sum(), inputs)])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
def test_who_sees_a_single_key_has_nothing_to_change_about_it(dtype):
    q, k, v = (torch.randn(2, 3, length, 5).to(dtype).requires_grad_() for length in (4, 1, 1))
    output, weights = weighted.attention(q, k, v, None, None, 0.5)
    gradients = torch.autograd.grad((output, weights), (q, k), (torch.randn_like(output), torch.randn_like(weights)))
    assert all((gradient == 0).all() for gradient in gradients)
