"""Normalisations: laws, both algorithms against each other and torch, and numbers far from zero."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels import functional as F
from minimodels.functional.activations import curves
from minimodels.functional.norms import Axes, definition, few, pieces, rows
from minimodels.tap import listening
from minimodels.testing import assert_equivalent, assert_invariant, tensors

T = torch.nn.functional
NORMS = {
    "batch": lambda f, x, w, b: f.batch_norm(x, None, None, w, b, training=True),
    "instance": lambda f, x, w, b: f.instance_norm(x, None, None, w, b),
    "group": lambda f, x, w, b: f.group_norm(x, 2, w, b),
    "layer": lambda f, x, w, b: f.layer_norm(x, x.shape[1:], w, b),
    "rms": lambda f, x, w, b: f.rms_norm(x, x.shape[1:], w),
}
DIMS = {"batch": (0, 2), "instance": (2,), "group": (2, 3), "layer": (1, 2), "rms": (1, 2)}
HOW_OFTEN = st.sampled_from([1, 2])  # once: by hand; twice: by autograd, both times
norms = pytest.mark.parametrize("norm", NORMS)
centred = pytest.mark.parametrize("norm", [name for name in NORMS if name != "rms"])


def parameters(norm, x, draw):
    shape = tuple(x.shape[1:] if norm in ("layer", "rms") else x.shape[1:2])
    return [draw(tensors(shape)) for _ in range(2)]


def plain(norm, x, f=F):
    return NORMS[norm](f, x, None, None)


def grouped(norm, y):
    """Unfold the groups, so that DIMS names what shares a mean."""
    return y.unflatten(1, (2, -1)) if norm == "group" else y


@norms
@given(data=st.data())
def test_is_torchs_with_any_parameters_in_any_layout(norm, data):
    shape = data.draw(st.sampled_from([(3, 4, 5), (2, 4, 3, 2), (2, 4, 2, 3, 2)]))
    x = data.draw(tensors(shape))
    operands = x, *parameters(norm, x, data.draw)
    chunk, order = data.draw(st.sampled_from([1, 30, 1 << 17])), data.draw(HOW_OFTEN)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "CHUNK", chunk)
        patch.setattr(curves, "CHUNK", chunk)
        assert_equivalent(
            lambda *o: NORMS[norm](F, *o),
            lambda *o: NORMS[norm](T, *o),
            *operands,
            order=order,
            rtol=1e-8,
            atol=1e-8,
        )


@given(
    data=st.data(),
    dims=st.sampled_from([(0,), (1,), (2,), (0, 2), (1, 2)]),
    centre=st.booleans(),
    chunk=st.sampled_from([1, 20, 1000]),
    order=HOW_OFTEN,
    given_parameters=st.sampled_from([(True, True), (True, False), (False, True), (False, False)]),
    parameter_shape=st.sampled_from([(1, 4, 1), (1, 4, 5), (1, 1, 5), (1, 1, 1)]),
)
def test_pieces_are_the_definition(data, dims, centre, chunk, order, given_parameters, parameter_shape):
    x = data.draw(tensors((3, 4, 5)))
    drawn = [data.draw(tensors(parameter_shape)) for _ in range(2)]
    weight, bias = (p if want else None for p, want in zip(drawn, given_parameters, strict=True))
    axes = Axes(dims, 1e-3, centre)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "CHUNK", chunk)
        operands = [t for t in (x, weight, bias) if t is not None]

        def run(algorithm, *operands):
            rest = iter(operands[1:])
            w, b = (next(rest) if want else None for want in given_parameters)
            return algorithm.normalize(operands[0], w, b, axes)

        assert_equivalent(
            lambda *o: run(pieces, *o).output,
            lambda *o: run(definition, *o).output,
            *operands,
            order=order,
            rtol=1e-8,
            atol=1e-8,
        )
        found, expected = run(pieces, *operands), run(definition, *operands)
    torch.testing.assert_close(found.variance, expected.variance)
    if centre:
        torch.testing.assert_close(found.mean, expected.mean)


@given(
    data=st.data(),
    centre=st.booleans(),
    chunk=st.sampled_from([1, 12, 1000]),
    long=st.sampled_from([2, 1 << 14]),
    order=HOW_OFTEN,
    given_parameters=st.sampled_from([(True, True), (True, False), (False, True), (False, False)]),
    wanted=st.sampled_from([(True, True, True), (False, True, True), (True, False, False)]),
)
def test_rows_are_the_definition(data, centre, chunk, long, order, given_parameters, wanted):
    x = data.draw(tensors((7, 5)))
    drawn = [data.draw(tensors((1, 5))) if want else None for want in given_parameters]
    axes = Axes((1,), 1e-3, centre)

    def run(algorithm):
        operands = [
            t if t is None else t.clone().requires_grad_(want) for t, want in zip((x, *drawn), wanted, strict=True)
        ]
        y = algorithm(*operands, axes)
        leaves = [t for t in operands if t is not None and t.requires_grad]
        if not leaves:
            return [y]
        first = torch.autograd.grad(y.sin().sum(), leaves, create_graph=order == 2)
        second = torch.autograd.grad(sum(g.sin().sum() for g in first), leaves, allow_unused=True) if order == 2 else ()
        return [y, *first, *second]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(curves, "CHUNK", chunk)
        patch.setattr(torch, "get_num_threads", lambda: 1)
        patch.setattr(rows, "LONG", long)
        found = run(rows.normalize)
    expected = run(lambda *operands: definition.normalize(*operands).output)
    for mine, truth in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, truth, rtol=1e-8, atol=1e-8)


@given(data=st.data(), centre=st.booleans(), most=st.sampled_from([0, 20, 1 << 15]), biased=st.booleans())
def test_few_rows_without_a_gradient_are_torchs(data, centre, most, biased):
    shape = data.draw(st.sampled_from([(4,), (1, 5), (3, 1, 4), (2, 3, 9)]))
    x = data.draw(tensors(shape))
    w, b = (data.draw(tensors(shape[-1:])) for _ in range(2))
    b = b if biased and centre else None
    arguments = (x, shape[-1:], w, b) if centre else (x, shape[-1:], w)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(few, "FEW", most)
        assert few.serves(*arguments[:2], 1e-5, *arguments[2:]) == (x.numel() <= most and x.is_contiguous())
        found = (F.layer_norm if centre else F.rms_norm)(*arguments)
    torch.testing.assert_close(found, (T.layer_norm if centre else T.rms_norm)(*arguments), rtol=1e-10, atol=1e-10)
    y = few.normalize(x, w, b, 0.1, centre)
    expected = definition.normalize(x, w, b, Axes((x.ndim - 1,), 0.1, centre)).output
    torch.testing.assert_close(y, expected, rtol=1e-10, atol=1e-10)


def test_whom_few_rows_do_not_serve():
    x, w = torch.ones(2, 4), torch.ones(4)
    assert few.serves(x, [4], 1e-5, w, w)
    assert not few.serves(x, 4, 1e-5, w)  # the error is elsewhere
    assert not few.serves(x, (2, 4), 1e-5, torch.ones(2, 4))
    assert not few.serves(x, (4,), 1e-5, torch.ones(5))
    assert not few.serves(x, (4,), 1e-5, w, torch.ones(5))
    assert not few.serves(x, (4,), 1e-5, w.double())
    assert not few.serves(x, (4,), 1e-5, w, w.double())
    assert not few.serves(x.bfloat16(), (4,), 1e-5, w.bfloat16())
    assert not few.serves(x[:0], (4,), 1e-5, w)
    assert not few.serves(x, (4,), -1e-5, w)
    assert not few.serves(torch.ones(4, 4).t(), (4,), 1e-5, w)
    assert not few.serves(x, (4,), 1e-5, w.requires_grad_())


@pytest.mark.parametrize("name", ["layer_norm", "rms_norm"])
def test_few_rows_in_another_order_give_what_can_be_viewed(name):
    x, w = torch.randn(4, 3, 8, dtype=torch.float64).transpose(0, 1), torch.ones(8, dtype=torch.float64)
    found, expected = (getattr(f, name)(x, (8,), w) for f in (F, T))
    assert found.stride() == expected.stride()
    torch.testing.assert_close(found.view(12, 8), expected.view(12, 8))


@pytest.mark.parametrize("name", ["layer_norm", "rms_norm"])
def test_an_epsilon_below_zero_is_taken_away_as_in_torch(name):
    x, w = torch.randn(2, 8, dtype=torch.float64), torch.ones(8, dtype=torch.float64)
    torch.testing.assert_close(*(getattr(f, name)(x, (8,), w, eps=-1e-3) for f in (F, T)))


@pytest.mark.parametrize("centre", [True, False])
def test_rows_of_16_bits_are_rounded_once(centre):
    x, upstream, weight, bias = torch.randn(4, 9, 16, generator=torch.Generator().manual_seed(0)).bfloat16()
    found, exact = [], []
    for results, wide, algorithm in ((found, torch.bfloat16, rows.normalize), (exact, torch.float64, definition)):
        leaves = [t.to(wide).requires_grad_() for t in (x, weight[:1], bias[:1])]
        axes = Axes((1,), 1e-3, centre)
        y = algorithm(*leaves, axes) if algorithm is rows.normalize else algorithm.normalize(*leaves, axes).output
        results += [y, *torch.autograd.grad(y, leaves, upstream.to(wide))]
    for mine, truth in zip(found, exact, strict=True):
        assert mine.dtype is torch.bfloat16
        assert ((mine.double() - truth).abs() <= 0.501 * torch.finfo(mine.dtype).eps * truth.abs() + 1e-5).all()


@norms
def test_gradcheck_and_gradgradcheck(norm):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 4, 2, dtype=torch.float64, generator=generator)
    shape = tuple(x.shape[1:] if norm in ("layer", "rms") else x.shape[1:2])
    operands = [x, *(torch.randn(shape, dtype=torch.float64, generator=generator) for _ in range(2))]
    operands = [t.requires_grad_() for t in operands][: 2 if norm == "rms" else 3]
    for check in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
        assert check(lambda x, w, b=None: NORMS[norm](F, x, w, b), operands)


@centred
@given(x=tensors((3, 4, 5)))
def test_the_output_has_mean_zero_and_variance_one(norm, x):
    y = grouped(norm, plain(norm, x * 100))  # ε then counts for nothing
    mean, variance = y.mean(DIMS[norm]), y.square().mean(DIMS[norm])
    torch.testing.assert_close(mean, torch.zeros_like(mean), atol=1e-9, rtol=0)
    torch.testing.assert_close(variance, torch.ones_like(variance), atol=1e-6, rtol=0)


@given(x=tensors((3, 4, 5)))
def test_rms_norm_makes_the_mean_square_one(x):
    square = plain("rms", x).square().mean((1, 2))
    torch.testing.assert_close(square, torch.ones_like(square))


@centred
@given(x=tensors((3, 4, 5)), shift=st.floats(-10, 10), scale=st.floats(0.5, 10))
def test_a_shift_and_a_positive_scale_of_the_input_change_nothing(norm, x, shift, scale):
    x = x * 1000
    assert_invariant(lambda x: plain(norm, x), lambda x: x + shift, x, rtol=1e-7, atol=1e-7)
    assert_invariant(lambda x: plain(norm, x), lambda x: x * scale, x, rtol=1e-6, atol=1e-6)


@given(x=tensors((3, 4, 5)), scale=st.floats(0.5, 10))
def test_rms_norm_ignores_a_scale_and_not_a_shift(x, scale):
    assert_invariant(lambda x: plain("rms", x), lambda x: x * scale, x)
    assert not torch.allclose(plain("rms", x + 5), plain("rms", x))


@given(x=tensors((3, 4, 5)))
def test_group_norm_lies_between_layer_norm_and_instance_norm(x):
    torch.testing.assert_close(F.group_norm(x, 1), F.layer_norm(x, x.shape[1:]))
    torch.testing.assert_close(F.group_norm(x, 4), F.instance_norm(x))


@given(x=tensors((3, 4, 5)))
def test_instance_norm_is_batch_norm_of_each_sample(x):
    alone = [F.batch_norm(sample[None], None, None, training=True) for sample in x]
    torch.testing.assert_close(F.instance_norm(x), torch.cat(alone))


@given(x=tensors((3, 4, 5)), y=tensors((3, 4, 5)), data=st.data())
def test_batch_norm_in_evaluation_is_affine(x, y, data):
    mean, w, b = (data.draw(tensors((4,))) for _ in range(3))
    variance = data.draw(tensors((4,))).square()
    f = lambda x: F.batch_norm(x, mean, variance, w, b)  # noqa: E731
    torch.testing.assert_close(f(0.25 * x + 0.75 * y), 0.25 * f(x) + 0.75 * f(y))
    torch.testing.assert_close(f(mean.view(4, 1).expand(3, 4, 5)), b.view(4, 1).expand(3, 4, 5))


@given(data=st.data(), momentum=st.sampled_from([0.1, 0.5, 1.0]))
def test_running_statistics_follow_their_recursion(data, momentum):
    mean, variance = torch.zeros(4, dtype=torch.float64), torch.ones(4, dtype=torch.float64)
    m, v = mean.clone(), variance.clone()
    for _ in range(3):
        x = data.draw(tensors((3, 4, 5)))
        F.batch_norm(x, mean, variance, training=True, momentum=momentum)
        m = (1 - momentum) * m + momentum * x.mean((0, 2))
        v = (1 - momentum) * v + momentum * x.var((0, 2), correction=1)
    torch.testing.assert_close((mean, variance), (m, v))


@norms
@pytest.mark.parametrize("shape", [(8, 4, 64), (2, 4, 30000)])
def test_numbers_far_from_zero_lose_no_more_than_torchs(norm, shape):
    """A mean of 10,000 and a deviation of 1: E[x²] − E[x]² would leave nothing in float32."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)) + 1e4
    gradient = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    errors = []
    for f in (F, T):
        found = []
        for dtype in (torch.float32, torch.float64):
            source = x.to(dtype).requires_grad_()
            y = plain(norm, source, f)
            found.append([y, *torch.autograd.grad(y, source, gradient.to(dtype))])
        errors.append([(a.double() - b).abs().max().item() for a, b in zip(*found, strict=True)])
    for ours, theirs in zip(*errors, strict=True):
        assert ours <= 2 * theirs + 1e4 * torch.finfo(torch.float32).eps  # one rounding of the mean


@pytest.mark.filterwarnings("ignore:Mismatch dtype")  # the reference's remark
@norms
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_float32_parameters_beside_16_bit_numbers(norm, dtype):
    x = torch.randn(4, 4, 6, generator=torch.Generator().manual_seed(0)).to(dtype)
    shape = tuple(x.shape[1:] if norm in ("layer", "rms") else x.shape[1:2])
    operands = x, torch.linspace(0.5, 2, x[0].numel() if len(shape) > 1 else 4).view(shape), torch.zeros(shape)
    assert_equivalent(
        lambda *o: NORMS[norm](F, *o), lambda *o: NORMS[norm](T, *o), *operands, order=1, rtol=2e-2, atol=2e-2
    )


@norms
def test_what_is_normalised_can_be_seen_and_replaced(norm):
    x, heard = torch.randn(3, 4, 5), {}
    with listening(lambda name, value: heard.setdefault(name, value)):
        y = plain(norm, x)
    torch.testing.assert_close(heard["norm.normalized"].reshape(-1).sort()[0], y.reshape(-1).sort()[0])
    with listening(lambda name, value: value * 0):
        assert not plain(norm, x).any()


def test_the_norm_of_complex_numbers():
    x = torch.randn(3, 4, dtype=torch.complex128)
    torch.testing.assert_close(F.rms_norm(x, (4,)), T.rms_norm(x, (4,)))


@pytest.mark.parametrize(
    "call",
    [
        lambda f: f.batch_norm(torch.ones(2, 4), None, None),
        lambda f: f.batch_norm(torch.ones(2, 4), torch.zeros(4), None),
        lambda f: f.batch_norm(torch.ones(2, 4), torch.zeros(4), None, training=True),
        lambda f: f.batch_norm(torch.ones(2, 4), torch.zeros(3), torch.ones(3)),
        lambda f: f.batch_norm(torch.ones(2, 4), torch.zeros(4), torch.ones(4), torch.ones(3)),
        lambda f: f.batch_norm(torch.ones(2, 4), torch.zeros(4).double(), torch.ones(4).double()),
        lambda f: f.batch_norm(torch.ones(2, 4), torch.zeros(4), torch.ones(4), eps=-1.0),
        lambda f: f.batch_norm(torch.ones(4), None, None, training=True),
        lambda f: f.instance_norm(torch.ones(2, 4, 3), use_input_stats=False),
        lambda f: f.instance_norm(torch.ones(2, 4, 3), torch.zeros(4)),
        lambda f: f.instance_norm(torch.ones(2, 4, 3), weight=torch.ones(3)),
        lambda f: f.instance_norm(torch.ones(2, 4)),
        lambda f: f.group_norm(torch.ones(2, 4), 0),
        lambda f: f.group_norm(torch.ones(2, 4), 3),
        lambda f: f.group_norm(torch.ones(2, 4), 2, torch.ones(3)),
        lambda f: f.layer_norm(torch.ones(2, 4), 4),
        lambda f: f.layer_norm(torch.ones(2, 4), (4,), torch.ones(3)),
        lambda f: f.layer_norm(torch.ones(2, 4).bfloat16(), (4,), torch.ones(4), torch.ones(4).bfloat16()),
        lambda f: f.rms_norm(torch.ones(2, 4), 4),
        lambda f: f.rms_norm(torch.ones(2, 4), (4,), torch.ones(3)),
    ],
)  # fmt: skip
def test_misfits_raise_what_torch_raises(call):
    errors = []
    for f in (F, T):
        with pytest.raises(Exception) as caught:  # noqa: PT011  (which type it is, is what is compared)
            call(f)
        errors.append(type(caught.value))
    assert errors[0] is errors[1]
