"""Positions: the laws of each encoding, the fast turn against its definition, a cache, and 16 bits."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels import functional as F
from minimodels.functional.positions import rotary
from minimodels.tap import listening
from minimodels.testing import assert_equivalent, tensors

pairs = st.integers(1, 5)
places = st.integers(0, 5000)
bases = st.sampled_from([2.0, 100.0, 10000.0, 500000.0])
pairings = pytest.mark.parametrize("interleaved", [False, True], ids=["halves", "neighbours"])
wide = {"dtype": torch.float64}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


def turned(x, positions, base=10000.0, interleaved=False, dim=None):
    frequencies = F.rotary_frequencies(dim or x.shape[-1], base, dtype=torch.float64)
    return F.rotary_embedding(x, *F.rotary_angles(torch.as_tensor(positions), frequencies), interleaved)


# sinusoidal


@given(p=places, dim=st.integers(1, 9), base=bases)
def test_waves_are_those_of_the_paper(p, dim, base):
    expected = [(math.cos if i % 2 else math.sin)(p / base ** ((i - i % 2) / dim)) for i in range(dim)]
    found = F.sinusoidal_encoding(torch.tensor(p), dim, base, torch.float64)
    torch.testing.assert_close(found, torch.tensor(expected, **wide))


@given(positions=st.lists(places, min_size=1, max_size=5), k=st.integers(-300, 300), half=pairs, base=bases)
def test_a_step_is_a_rotation_that_depends_on_its_length_alone(positions, k, half, base):
    positions = torch.tensor(positions)
    angles = k * F.rotary_frequencies(2 * half, base, **wide)
    step = torch.block_diag(*(torch.tensor([[c, s], [-s, c]]) for c, s in zip(angles.cos(), angles.sin(), strict=True)))
    here, there = (F.sinusoidal_encoding(p, 2 * half, base, torch.float64) for p in (positions, positions + k))
    torch.testing.assert_close(here @ step.double().T, there, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(here.square().sum(-1), torch.full((len(positions),), float(half), **wide))


@given(p=places, q=places, half=pairs)
def test_the_product_of_two_encodings_depends_on_their_distance(p, q, half):
    a, b, zero, distance = F.sinusoidal_encoding(torch.tensor([p, q, 0, p - q]), 2 * half, dtype=torch.float64)
    torch.testing.assert_close(a @ b, zero @ distance)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_angles_are_not_rounded_with_the_encoding(dtype):
    positions = torch.arange(3000, 3100)
    exact = F.sinusoidal_encoding(positions, 16, dtype=torch.float64)
    assert (F.sinusoidal_encoding(positions, 16, dtype=dtype).double() - exact).abs().max() <= torch.finfo(dtype).eps


# rotary


@pairings
@given(data=st.data(), half=pairs, base=bases, p=places, q=places, shift=places)
def test_scores_depend_on_the_distance_alone(interleaved, data, half, base, p, q, shift):
    query, key = data.draw(tensors((2 * half,))), data.draw(tensors((2 * half,)))
    score = turned(query, p, base, interleaved) @ turned(key, q, base, interleaved)
    shifted = turned(query, p + shift, base, interleaved) @ turned(key, q + shift, base, interleaved)
    torch.testing.assert_close(score, shifted, rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(score, turned(query, p - q, base, interleaved) @ key, rtol=1e-7, atol=1e-7)


@pairings
@given(data=st.data(), half=pairs, p=places)
def test_a_turn_keeps_the_length_of_every_pair(interleaved, data, half, p):
    x = data.draw(tensors((3, 2 * half)))
    y = turned(x, p, 100.0, interleaved)
    lengths = [torch.hypot(*rotary._pairs(v, 2 * half, interleaved)) for v in (x, y)]
    torch.testing.assert_close(*lengths)


@pairings
@given(data=st.data(), half=pairs, p=places, q=places)
def test_turns_add_up(interleaved, data, half, p, q):
    x = data.draw(tensors((2 * half,)))
    twice = turned(turned(x, p, interleaved=interleaved), q, interleaved=interleaved)
    torch.testing.assert_close(twice, turned(x, p + q, interleaved=interleaved), rtol=1e-7, atol=1e-7)
    assert torch.equal(turned(x, 0, interleaved=interleaved), x)


@given(data=st.data(), half=pairs, p=places)
def test_the_two_pairings_are_a_permutation_of_each_other(data, half, p):
    x = data.draw(tensors((3, 2 * half)))
    order = torch.arange(2 * half).view(2, half).T.flatten()  # 0, half, 1, half + 1, …: pairs side by side
    torch.testing.assert_close(turned(x[:, order], p, interleaved=True), turned(x, p)[:, order])


@given(data=st.data(), half=pairs, p=places)
def test_neighbours_are_complex_numbers(data, half, p):
    x = data.draw(tensors((3, 2 * half), layouts=False))
    angles = p * F.rotary_frequencies(2 * half, **wide)
    product = torch.view_as_complex(x.view(3, half, 2)) * torch.polar(torch.ones_like(angles), angles)
    torch.testing.assert_close(turned(x, p, interleaved=True), torch.view_as_real(product).flatten(-2))


@pairings
@given(data=st.data(), half=pairs, rest=st.integers(1, 3), p=places)
def test_what_is_beyond_the_turned_numbers_passes(interleaved, data, half, rest, p):
    x = data.draw(tensors((2, 2 * half + rest)))
    y = turned(x, p, interleaved=interleaved, dim=2 * half)
    assert torch.equal(y[:, 2 * half :], x[:, 2 * half :])
    torch.testing.assert_close(y[:, : 2 * half], turned(x[:, : 2 * half], p, interleaved=interleaved))


@pairings
@given(data=st.data(), half=pairs, rest=st.integers(0, 2), batched=st.booleans())
def test_the_fast_turn_is_the_definition(interleaved, data, half, rest, batched):
    x = data.draw(tensors((2, 3, 4, 2 * half + rest)))
    positions = torch.tensor([[[3, 0, 7, 1]], [[2, 5, 5, 9]]]) if batched else torch.arange(4)
    cos, sin = F.rotary_angles(positions, F.rotary_frequencies(2 * half, **wide))
    assert_equivalent(
        lambda x: F.rotary_embedding(x, cos, sin, interleaved),
        lambda x: rotary._definition(x, cos, sin, interleaved).contiguous(),
        x,
    )


@pairings
def test_transforms_and_learned_angles_take_the_definition(interleaved):
    x, angles = torch.randn(3, 4, **wide), torch.randn(2, **wide, requires_grad=True)
    f = lambda x, a: F.rotary_embedding(x, a.cos(), a.sin(), interleaved)  # noqa: E731
    assert torch.autograd.gradcheck(f, (x.requires_grad_(), angles))
    x, angles = x.detach(), angles.detach()
    torch.testing.assert_close(torch.func.vmap(f, (0, None))(x, angles), f(x, angles))
    gradient = torch.func.grad(lambda x: f(x, angles).square().sum())(x)
    torch.testing.assert_close(gradient, 2 * x)  # the length does not depend on the angle


@pairings
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_far_positions_in_16_bits_lose_one_rounding(interleaved, dtype):
    x = torch.randn(64, 32, generator=torch.Generator().manual_seed(0)).to(dtype)
    positions = torch.arange(4000, 4064)
    exact = turned(x.double(), positions, interleaved=interleaved)
    angles = F.rotary_angles(positions, F.rotary_frequencies(32))
    found = F.rotary_embedding(x, *angles, interleaved)
    assert found.dtype is dtype
    assert (found.double() - exact).abs().max() <= torch.finfo(dtype).eps / 2 * exact.abs().max() + 1e-3


@given(half=pairs, base=bases)
def test_frequencies_are_a_geometric_sequence(half, base):
    frequencies = F.rotary_frequencies(2 * half, base, **wide)
    torch.testing.assert_close(frequencies[1:] / frequencies[:-1], torch.full((half - 1,), base ** (-1 / half), **wide))
    assert frequencies[0] == 1


@given(p=places, s=st.floats(1, 64), half=pairs)
def test_linear_scaling_moves_positions_closer(p, s, half):
    scaled = F.rotary_frequencies(2 * half, scaling={"rope_type": "linear", "factor": s}, **wide)
    torch.testing.assert_close(p * scaled, p / s * F.rotary_frequencies(2 * half, **wide))


@given(base=bases, half=st.integers(1, 64), context=st.sampled_from([128, 8192]), factor=st.floats(1, 32))
def test_llama3_keeps_short_waves_and_stretches_long_ones(base, half, context, factor):
    scaling = LLAMA3 | {"factor": factor, "original_max_position_embeddings": context}
    plain, scaled = (F.rotary_frequencies(2 * half, base, s, **wide) for s in (None, scaling))
    wavelength = 2 * math.pi / plain
    assert torch.equal(scaled[wavelength < context / 4], plain[wavelength < context / 4])
    torch.testing.assert_close(scaled[wavelength > context], plain[wavelength > context] / factor)
    assert (scaled <= plain * (1 + 1e-12)).all()
    assert (scaled >= plain / factor * (1 - 1e-12)).all()
    assert (scaled.diff() <= 0).all(), "the order of the waves stays"


def test_the_older_spelling_means_the_same():
    new, old = ({key: "linear", "factor": 4.0} for key in ("rope_type", "type"))
    assert torch.equal(F.rotary_frequencies(8, scaling=new), F.rotary_frequencies(8, scaling=old))
    assert torch.equal(F.rotary_frequencies(8, scaling={"rope_type": "default"}), F.rotary_frequencies(8))


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: F.rotary_frequencies(8, scaling={"rope_type": "wild"}), ValueError, "'wild' is not known; there are"),
        (lambda: F.rotary_frequencies(8, scaling={"rope_type": "linear"}), ValueError, "'linear' needs 'factor'"),
        (lambda: turned(torch.ones(4, **wide), 1, dim=6), RuntimeError, "6 numbers cannot turn heads of 4"),
        (lambda: F.alibi_slopes(0), ValueError, "at least 1"),
    ],
)
def test_misfits(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()


# ALiBi


@given(power=st.integers(0, 6))
def test_slopes_are_a_geometric_sequence(power):
    heads = 2**power
    slopes = F.alibi_slopes(heads, **wide)
    torch.testing.assert_close(slopes, 2.0 ** (-8 / heads * torch.arange(1, heads + 1, **wide)))


@given(heads=st.integers(1, 70))
def test_slopes_between_powers_of_two_stand_between_those_of_the_power_below(heads):
    below = 2 ** int(math.log2(heads))
    slopes = F.alibi_slopes(heads, **wide)
    torch.testing.assert_close(slopes[:below], F.alibi_slopes(below, **wide))
    torch.testing.assert_close(slopes[below:], F.alibi_slopes(2 * below, **wide)[::2][: heads - below])
    assert len(set(slopes.tolist())) == heads


def test_slopes_of_twelve_heads_as_the_paper_lists_them():
    expected = [2.0**-h for h in range(1, 9)] + [2.0 ** -(h + 0.5) for h in range(4)]
    torch.testing.assert_close(F.alibi_slopes(12, **wide), torch.tensor(expected, **wide))


@given(heads=st.integers(1, 9), queries=st.integers(1, 6), before=st.integers(0, 6), causal=st.booleans())
def test_the_penalty_is_linear_in_the_distance(heads, queries, before, causal):
    slopes = F.alibi_slopes(heads, **wide)
    bias = F.alibi_bias(slopes, queries, before + queries, causal)
    for i in range(queries):
        for j in range(before + queries):
            distance = before + i - j
            expected = -slopes * abs(distance) if distance >= 0 or not causal else torch.full_like(slopes, -math.inf)
            torch.testing.assert_close(bias[:, i, j], expected)


@given(data=st.data(), heads=st.integers(1, 4), length=st.integers(2, 6))
def test_one_token_at_a_time_alibi_gives_what_it_gives_all_at_once(data, heads, length):
    query, key, value = (data.draw(tensors((heads, length, 3), layouts=False)) for _ in range(3))
    slopes = F.alibi_slopes(heads, **wide)
    whole = F.scaled_dot_product_attention(query, key, value, F.alibi_bias(slopes, length, length))
    for t in range(1, length + 1):
        bias = F.alibi_bias(slopes, 1, t)
        step = F.scaled_dot_product_attention(query[:, t - 1 : t], key[:, :t], value[:, :t], bias)
        torch.testing.assert_close(step, whole[:, t - 1 : t])


# looking inside


def test_positions_can_be_seen_and_taken_away():
    x, heard = torch.randn(3, 4), {}
    angles = torch.arange(3), F.rotary_frequencies(4)

    def calls():
        return F.rotary_embedding(x, *F.rotary_angles(*angles)), F.alibi_bias(torch.ones(1), 2, 2, causal=False)

    with listening(lambda name, value: heard.setdefault(name, value)):
        y, bias = calls()
        encoding = F.sinusoidal_encoding(torch.arange(3), 4)
    assert torch.equal(heard["position.rotated"], y)
    assert torch.equal(heard["position.bias"], bias)
    assert torch.equal(heard["position.encoding"], encoding)
    with listening(lambda name, value: value * 0 if name != "position.rotated" else value):
        y, bias = calls()
    assert torch.equal(y, x)
    assert not bias.any()
