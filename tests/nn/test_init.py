"""First weights: torch.nn.init's numbers bit for bit, its warnings and its errors; and what the weights are for."""

import inspect
import math
import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels.nn import init
from minimodels.testing import tensors

ROOMS = (init, torch.nn.init)
seeds = st.integers(0, 999)
gains = st.floats(0.1, 3)
shapes = st.lists(st.integers(1, 6), min_size=2, max_size=5).map(tuple)
leaky = {
    "a": st.floats(0, 5),
    "mode": st.sampled_from(["fan_in", "fan_out", "FAN_IN"]),
    "nonlinearity": st.sampled_from(["leaky_relu", "relu", "linear", "tanh", "selu", "sigmoid", "conv2d"]),
}

FUNCTIONS = {
    "uniform_": (shapes, {"a": st.floats(-3, 0), "b": st.floats(0, 3)}),
    "normal_": (shapes, {"mean": st.floats(-3, 3), "std": st.floats(0, 3)}),
    "constant_": (shapes, {"val": st.floats(-3, 3)}),
    "ones_": (shapes, {}),
    "zeros_": (shapes, {}),
    "eye_": (st.tuples(st.integers(0, 5), st.integers(0, 5)), {}),
    "dirac_": (st.lists(st.integers(1, 6), min_size=3, max_size=5).map(tuple), {}),
    "xavier_uniform_": (shapes, {"gain": gains}),
    "xavier_normal_": (shapes, {"gain": gains}),
    "kaiming_uniform_": (shapes, leaky),
    "kaiming_normal_": (shapes, leaky),
    "orthogonal_": (shapes, {"gain": gains}),
    "sparse_": (st.tuples(st.integers(1, 9), st.integers(1, 5)), {"sparsity": st.floats(0, 1), "std": st.floats(0, 1)}),
}


def in_both(name, tensor, kwargs, seed, own_generator):
    """Fill copies of a tensor, laid out as it is, from the same seed; then draw, to see what was used up."""
    filled = []
    for room in ROOMS:
        copy = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype).copy_(tensor)
        torch.manual_seed(seed)
        takes = own_generator and "generator" in inspect.signature(getattr(room, name)).parameters
        generator = torch.Generator().manual_seed(seed + 1) if takes else None
        result = getattr(room, name)(copy.requires_grad_(), **kwargs, **({"generator": generator} if takes else {}))
        assert result is copy
        assert result.grad_fn is None
        filled.append((result.detach(), torch.rand(3), torch.rand(3, generator=generator)))
    return zip(*filled, strict=True)


@pytest.mark.parametrize("name", FUNCTIONS)
@given(data=st.data())
def test_the_same_numbers_from_the_same_randomness(name, data):
    shape, settings = FUNCTIONS[name]
    dtypes = [torch.float32, torch.float64] + [torch.bfloat16, torch.float16] * (name != "orthogonal_")
    tensor = data.draw(
        tensors(data.draw(shape), layouts=name != "orthogonal_", dtype=data.draw(st.sampled_from(dtypes)))
    )
    kwargs = {key: data.draw(value) for key, value in settings.items()}
    for ours, reference in in_both(name, tensor, kwargs, data.draw(seeds), data.draw(st.booleans())):
        assert torch.equal(ours, reference)


@given(
    tensor=shapes.flatmap(lambda shape: st.sampled_from([torch.float32, torch.bfloat16]).flatmap(
        lambda dtype: tensors(shape, dtype=dtype))),
    mean=st.floats(-2, 2), std=st.floats(0.1, 2), low=st.floats(-4, 3), width=st.floats(0.01, 4),
    seed=seeds, own=st.booleans(),
)  # fmt: skip
def test_the_same_truncated_normal_numbers(tensor, mean, std, low, width, seed, own):
    kwargs = {"mean": mean, "std": std, "a": max(low, mean - 6 * std)}
    kwargs["b"] = max(kwargs["a"], min(kwargs["a"], mean + 6 * std)) + width
    kwargs["a"] = min(kwargs["a"], mean + 6 * std)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for ours, reference in in_both("trunc_normal_", tensor, kwargs, seed, own):
            assert torch.equal(ours, reference)
    assert len(seen) in (0, 2)  # both warn, or neither


@given(
    groups=st.integers(1, 4),
    outputs=st.integers(1, 4),
    inputs=st.integers(1, 4),
    k=st.integers(1, 4),
    n=st.integers(1, 3),
)
def test_dirac_in_groups(groups, outputs, inputs, k, n):
    weights = [room.dirac_(torch.empty(groups * outputs, inputs, *[k] * n), groups) for room in ROOMS]
    assert torch.equal(*weights)


@pytest.mark.parametrize(
    "name", ["linear", "conv1d", "conv_transpose2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"]
)
def test_gains(name):
    assert init.calculate_gain(name) == torch.nn.init.calculate_gain(name)
    assert init.calculate_gain("leaky_relu", 0.3) == torch.nn.init.calculate_gain("leaky_relu", 0.3)


def test_whatever_torch_offers_is_here_with_the_same_arguments():
    for name in torch.nn.init.__all__:
        plain = name + "_" if hasattr(torch.nn.init, name + "_") else name  # the old names hide theirs
        ours, reference = inspect.signature(getattr(init, name)), inspect.signature(getattr(torch.nn.init, plain))
        assert [(p.name, p.default) for p in ours.parameters.values()] == [
            (p.name, p.default) for p in reference.parameters.values()
        ]
    assert init._calculate_fan_in_and_fan_out(torch.empty(3, 4, 5)) == (20, 15)


@pytest.mark.parametrize("name", [name for name in torch.nn.init.__all__ if name + "_" in torch.nn.init.__all__])
def test_old_names_warn_and_work(name):
    kwargs = {"sparsity": 0.5} if name == "sparse" else {"val": 0.5} if name == "constant" else {}
    results = []
    for room in ROOMS:
        torch.manual_seed(0)
        with pytest.warns(
            FutureWarning, match=rf"`nn.init.{name}` is now deprecated in favor of `nn.init.{name}_`."
        ) as seen:
            results.append(getattr(room, name)(torch.empty((2, 3, 4) if name == "dirac" else (3, 4)), **kwargs))
        assert seen[0].filename == __file__
        assert getattr(room, name).__name__ == name
    assert torch.equal(*results)


@pytest.mark.parametrize(
    "call",
    [
        lambda room: room.kaiming_uniform_(torch.empty(0, 3)),
        lambda room: room.kaiming_normal_(torch.empty(3, 0)),
        lambda room: room.trunc_normal_(torch.empty(3), mean=5.0),
    ],
)
def test_the_same_warnings(call):
    messages = []
    for room in ROOMS:
        with pytest.warns(UserWarning, match="no-op|2 std") as seen:
            call(room)
        assert room is torch.nn.init or seen[0].filename == __file__
        messages.append(str(seen[0].message))
    assert messages[0] == messages[1]


@pytest.mark.parametrize(
    ("error", "call"),
    [
        (ValueError, lambda room: room.kaiming_uniform_(torch.empty(3))),
        (ValueError, lambda room: room.kaiming_uniform_(torch.empty(3, 3), mode="fan_sideways")),
        (ValueError, lambda room: room.kaiming_normal_(torch.empty(3, 3), nonlinearity="cubic")),
        (ValueError, lambda room: room.xavier_uniform_(torch.empty(3))),
        (ValueError, lambda room: room.xavier_normal_(torch.empty(()))),
        (ZeroDivisionError, lambda room: room.xavier_normal_(torch.empty(0, 0))),
        (ValueError, lambda room: room.calculate_gain("leaky_relu", "steep")),
        (ValueError, lambda room: room.calculate_gain("leaky_relu", True)),
        (ValueError, lambda room: room.calculate_gain("cubic")),
        (ValueError, lambda room: room.eye_(torch.empty(3))),
        (ValueError, lambda room: room.dirac_(torch.empty(3, 3))),
        (ValueError, lambda room: room.dirac_(torch.empty(3, 3, 3), groups=2)),
        (ValueError, lambda room: room.orthogonal_(torch.empty(3))),
        (RuntimeError, lambda room: room.orthogonal_(torch.empty(4, 3, 2).transpose(1, 2))),
        (RuntimeError, lambda room: room.orthogonal_(torch.empty(4, 3, dtype=torch.bfloat16))),
        (ValueError, lambda room: room.sparse_(torch.empty(3), 0.5)),
        (ZeroDivisionError, lambda room: room.trunc_normal_(torch.empty(3), std=0)),
        (RuntimeError, lambda room: room.normal_(torch.empty(3), std=-1)),
        (RuntimeError, lambda room: room.uniform_(torch.empty(3), 1, 0)),
    ],
)
def test_misfits_raise_what_torch_raises(error, call):
    messages = []
    for room in ROOMS:
        with pytest.raises(error) as seen:
            call(room)
        messages.append(str(seen.value))
    assert messages[0] == messages[1]


@pytest.mark.parametrize("name", [*FUNCTIONS, "trunc_normal_"])
def test_meta_tensors_stay_what_they_are(name):
    tensor = torch.empty((4, 3, 2) if name == "dirac_" else (4, 3), device="meta")
    kwargs = {"val": 1.0} if name == "constant_" else {"sparsity": 0.5} if name == "sparse_" else {}
    assert getattr(init, name)(tensor, **kwargs) is tensor


@pytest.mark.parametrize("name", ["kaiming_uniform_", "kaiming_normal_"])
@pytest.mark.parametrize("mode", ["fan_in", "fan_out"])
def test_the_signal_keeps_its_second_moment_behind_relu(name, mode):
    torch.manual_seed(0)
    w = getattr(init, name)(torch.empty(900, 500), nonlinearity="relu", mode=mode)
    w = w if mode == "fan_in" else w.t()
    x = torch.randn(400, w.shape[1])
    assert (x @ w.t()).relu().square().mean().item() == pytest.approx(x.square().mean().item(), rel=0.05)


@pytest.mark.parametrize("name", ["xavier_uniform_", "xavier_normal_"])
def test_glorot_stands_between_keeping_the_signal_and_keeping_the_gradient(name):
    torch.manual_seed(0)
    w = getattr(init, name)(torch.empty(900, 300))
    forwards, backwards = (
        (x @ m).var().item() for x, m in ((torch.randn(400, 300), w.t()), (torch.randn(400, 900), w))
    )
    assert (forwards, backwards) == pytest.approx((0.5, 1.5), rel=0.05)


@given(shape=shapes, gain=gains, seed=seeds)
def test_orthogonal_rows_or_columns(shape, gain, seed):
    generator = torch.Generator().manual_seed(seed)
    w = init.orthogonal_(torch.empty(shape, dtype=torch.float64), gain, generator).flatten(1)
    w = w if w.shape[0] <= w.shape[1] else w.t()
    torch.testing.assert_close(w @ w.t(), gain**2 * torch.eye(len(w), dtype=torch.float64))


@given(size=st.integers(1, 6), k=st.sampled_from([1, 3, 5]), n=st.integers(1, 3), seed=seeds)
def test_a_dirac_convolution_hands_on_its_input(size, k, n, seed):
    x = torch.randn(2, size, *[5] * n, generator=torch.Generator().manual_seed(seed))
    convolve = (torch.conv1d, torch.conv2d, torch.conv3d)[n - 1]
    torch.testing.assert_close(convolve(x, init.dirac_(torch.empty(size, size, *[k] * n)), padding=k // 2), x)


@given(std=st.floats(0.1, 3), low=st.floats(-2, 1), width=st.floats(0.5, 3), seed=seeds)
def test_truncated_numbers_follow_the_cut_bell(std, low, width, seed):
    """The part of the numbers below a point, against the distribution's own formula."""
    a, b = low * std, (low + width) * std
    generator = torch.Generator().manual_seed(seed)
    w = init.trunc_normal_(torch.empty(20_000, dtype=torch.float64), 0, std, a, b, generator)
    assert a <= w.min() <= w.max() <= b
    phi = [(1 + math.erf(x / std / math.sqrt(2))) / 2 for x in (a, (2 * a + b) / 3, b)]
    below = (w < (2 * a + b) / 3).double().mean().item()
    assert below == pytest.approx((phi[1] - phi[0]) / (phi[2] - phi[0]), abs=0.02)  # six standard errors at most
