"""Averages of the weights: torch's with a fixed decay, the closed form while it warms up, and back bit for bit."""

import copy
import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from minimodels import nn
from minimodels.errors import InputError
from minimodels.training import ExponentialMovingAverage


class Tied(nn.Module):
    """Batch norm, a weight under two names, a mask of infinities, a constant that is no state."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 3)
        self.norm = nn.BatchNorm1d(3)
        self.head = nn.Linear(3, 5)
        self.head.weight = self.embedding.weight
        self.register_buffer("mask", torch.tensor([0.0, -math.inf]))
        self.register_buffer("table", torch.ones(2), persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        scores: Tensor = self.head(self.norm(self.embedding(tokens)))
        return scores


def make_model(dtype: torch.dtype = torch.float32) -> Tied:
    torch.manual_seed(0)
    return Tied().to(dtype)


def make_step(model: nn.Module, seed: int) -> None:
    """Move every weight, and the running statistics, as a step of training does."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator).to(parameter.dtype))
    model.train()(torch.randint(5, (8,), generator=generator))


def state(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


# What the averages are


@given(decay=st.floats(0, 0.9999), steps=st.integers(0, 6))
def test_a_fixed_decay_averages_as_torch_does_bit_for_bit(decay: float, steps: int) -> None:
    """torch would make NaN of the mask and a fraction of the count, so these are left out there."""
    model = make_model()
    ours = ExponentialMovingAverage(model, decay, warmup=False)
    theirs = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))
    theirs.update_parameters(model)  # the first is a copy
    mean = AveragedModel(model.norm, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
    mean.update_parameters(model.norm)
    for seed in range(steps):
        make_step(model, seed)
        ours.update()
        theirs.update_parameters(model)
        mean.update_parameters(model.norm)
    expected = dict(theirs.module.named_parameters())
    expected |= {f"norm.{name}": getattr(mean.module, name) for name in ("running_mean", "running_var")}
    assert same(ours.averages, expected)
    assert ours.updates == steps


@given(steps=st.integers(1, 12), decay=st.sampled_from([0.0, 0.3, 0.5, 0.9999]))
def test_the_warm_start_has_its_closed_form(steps: int, decay: float) -> None:
    """While β_t is below β: binomial coefficients; afterwards powers of β, from the moment when β takes over."""
    layer = nn.Linear(4, 3).double()
    seen = [layer.weight.detach().clone()]
    average = ExponentialMovingAverage(layer, decay)
    for _ in range(steps):
        torch.nn.init.normal_(layer.weight)
        seen.append(layer.weight.detach().clone())
        average.update()
    takes_over = next((t for t in range(steps) if (1 + t) / (10 + t) > decay), steps)
    shares = [math.comb(s + 8, 8) / math.comb(takes_over + 9, 9) for s in range(takes_over + 1)]
    later = steps - takes_over
    shares = [share * decay**later for share in shares] + [(1 - decay) * decay ** (later - 1 - s) for s in range(later)]
    assert sum(shares) == pytest.approx(1)
    expected = sum(share * weight for share, weight in zip(shares, seen, strict=True))
    torch.testing.assert_close(average.averages["weight"], expected)


def test_what_is_averaged_and_what_is_not() -> None:
    average = ExponentialMovingAverage(make_model(), 0.9)
    norm = [f"norm.{name}" for name in ("weight", "bias", "running_mean", "running_var")]
    assert list(average.averages) == ["embedding.weight", *norm, "head.bias"]


def test_an_average_of_weights_that_stand_still_stands_still() -> None:
    model = make_model()
    before, average = state(model), ExponentialMovingAverage(model, 0.9)
    for _ in range(20):
        average.update()
    assert same(average.averages, {name: before[name] for name in average.averages})


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_averages_of_16_bits_move(dtype: torch.dtype) -> None:
    layer = nn.Linear(3, 2, dtype=dtype)
    wide = nn.Linear(3, 2)
    wide.load_state_dict(layer.state_dict())
    narrow, exact = (ExponentialMovingAverage(model, 0.9999, warmup=False) for model in (layer, wide))
    for _ in range(100):
        layer.weight.data.add_(0.25)
        wide.weight.data.copy_(layer.weight)
        narrow.update()
        exact.update()
    assert same(narrow.averages, exact.averages)
    before = state(layer)
    with narrow.applied():
        assert torch.equal(layer.weight, exact.averages["weight"].to(dtype))
    assert same(state(layer), before)
    assert same(narrow.averages, exact.averages)


@pytest.mark.parametrize("there", ["meta", "the device"])
def test_the_averages_follow_the_model(device: torch.device, there: str) -> None:
    place = device if there == "the device" else torch.device(there)
    model = nn.Linear(3, 2)
    average = ExponentialMovingAverage(model, 0.5)
    model.to(place)
    average.update()
    assert {tensor.device.type for tensor in average.averages.values()} == {place.type}


def test_an_update_is_one_operation_for_each_dtype(monkeypatch: pytest.MonkeyPatch) -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 3, dtype=torch.float64), nn.Linear(3, 2, dtype=torch.bfloat16))
    average, real, sizes = ExponentialMovingAverage(model, 0.5), torch._foreach_lerp_, []

    def counted(averages: list[Tensor], weights: list[Tensor], weight: float) -> None:
        sizes.append(len(averages))
        real(averages, weights, weight)

    monkeypatch.setattr(torch, "_foreach_lerp_", counted)
    average.update()
    assert sizes == [4, 2]  # those of 16 bits are averaged in float32


def test_a_compiled_model_has_the_names_of_the_one_inside() -> None:
    model = nn.Linear(3, 2)
    assert list(ExponentialMovingAverage(torch.compile(model), 0.5).averages) == ["weight", "bias"]


# Putting them in the model's place


@given(steps=st.integers(0, 3), dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.float64]))
def test_averages_are_in_place_and_weights_are_back(steps: int, dtype: torch.dtype) -> None:
    model = make_model(dtype)
    average = ExponentialMovingAverage(model, 0.9)
    for seed in range(steps):
        make_step(model, seed)
        average.update()
    trained, averages = state(model), {name: tensor.clone() for name, tensor in average.averages.items()}
    places = [tensor.data_ptr() for tensor in model.state_dict().values()]
    with average.applied():
        inside = state(model)
        assert model.head.weight is model.embedding.weight
        assert places == [tensor.data_ptr() for tensor in model.state_dict().values()]
    rounded = {name: tensor.to(dtype) for name, tensor in averages.items()}
    assert same(inside, {**trained, **rounded, "head.weight": rounded["embedding.weight"]})
    assert same(state(model), trained)
    assert same(average.averages, averages)


def test_weights_are_back_after_an_error() -> None:
    model = make_model()
    average = ExponentialMovingAverage(model, 0.9)
    make_step(model, 0)
    trained, averages = state(model), copy.deepcopy(average.averages)
    with pytest.raises(ZeroDivisionError), average.applied():
        raise ZeroDivisionError
    assert same(state(model), trained)
    assert same(average.averages, averages)
    average.update()


@pytest.mark.parametrize("work", ["clone", "copy_"])
@pytest.mark.parametrize("moment", range(24))
def test_weights_are_back_whenever_ctrl_c_comes(monkeypatch: pytest.MonkeyPatch, work: str, moment: int) -> None:
    """Python hears of it when the operation that runs is done."""
    model = make_model()
    average = ExponentialMovingAverage(model, 0.9)
    make_step(model, 0)
    trained, averages = state(model), copy.deepcopy(average.averages)
    real, calls = getattr(Tensor, work), iter(range(100))

    def interrupted(self: Tensor, *others: Tensor) -> Tensor:
        result = real(self, *others)
        if next(calls) == moment:
            raise KeyboardInterrupt
        return result

    with monkeypatch.context() as patched:
        patched.setattr(Tensor, work, interrupted)
        try:
            with average.applied():
                pass
            stopped = False
        except KeyboardInterrupt:
            stopped = True
    assert stopped == (moment < 2 * len(averages) * (2 if work == "copy_" else 1))
    assert same(state(model), trained)
    assert same(average.averages, averages)


def test_inside_the_block_nothing_else_is_done_with_the_averages() -> None:
    average = ExponentialMovingAverage(make_model(), 0.9)
    with average.applied():
        for act in (average.update, average.state_dict, average.applied().__enter__):
            with pytest.raises(RuntimeError, match="leave the block of `applied` first"):
                act()
        with pytest.raises(RuntimeError, match="leave the block"):
            average.load_state_dict({})
    assert average.updates == 0


# Stopping and going on


@given(stop=st.integers(0, 5), warmup=st.booleans())
def test_stopping_and_going_on_is_never_stopping(stop: int, warmup: bool) -> None:
    whole, first = make_model(), make_model()
    one, two = (ExponentialMovingAverage(model, 0.3, warmup) for model in (whole, first))
    for seed in range(5):
        make_step(whole, seed)
        one.update()
    for seed in range(stop):
        make_step(first, seed)
        two.update()
    kept, averages = copy.deepcopy(state(first)), copy.deepcopy(two.state_dict())
    second = make_model()
    second.load_state_dict(kept)
    two = ExponentialMovingAverage(second, 0.3, warmup)
    two.load_state_dict(averages)
    for seed in range(stop, 5):
        make_step(second, seed)
        two.update()
    assert same(one.averages, two.averages)
    assert one.state_dict().keys() == two.state_dict().keys() == {"updates", "averages"}
    assert one.updates == two.updates


@pytest.mark.parametrize(
    ("mine", "other", "name"),
    [
        (nn.Linear(3, 2), nn.Linear(3, 4), "weight"),
        (nn.Linear(3, 2), nn.Linear(3, 2, bias=False), "bias"),
        (nn.Linear(3, 2, bias=False), nn.Linear(3, 2), "bias"),
    ],
)
def test_averages_of_another_model_are_refused(mine: nn.Module, other: nn.Module, name: str) -> None:
    average = ExponentialMovingAverage(mine, 0.9)
    before = copy.deepcopy(average.state_dict())
    with pytest.raises(InputError, match=f"of another model, which differs in {name}; build the model"):
        average.load_state_dict(ExponentialMovingAverage(other, 0.9).state_dict())
    assert same(average.averages, before["averages"])


@pytest.mark.parametrize("decay", [-0.1, 1.0, 1.5, math.nan])
def test_a_decay_that_is_none(decay: float) -> None:
    with pytest.raises(InputError, match=f"decay {decay}: .* give 0.999"):
        ExponentialMovingAverage(nn.Linear(1, 1), decay)


# Shards


@pytest.mark.usefixtures("group_of_one")
def test_shards_are_averaged_as_whole_weights_are() -> None:
    def build() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2), nn.Tanh())

    def step(model: nn.Module) -> None:
        model(torch.arange(15.0).view(5, 3)).square().mean().backward()
        for parameter in model.parameters():
            parameter.data.add_(parameter.grad)
            parameter.grad = None

    def whole(tensors: dict[str, Any]) -> dict[str, Tensor]:
        return {name: t.full_tensor() if isinstance(t, DTensor) else t for name, t in tensors.items()}

    plain, sharded = build(), build()
    fully_shard(sharded, mesh=torch.distributed.init_device_mesh("cpu", (1,)))
    ours, theirs = (ExponentialMovingAverage(model, 0.9) for model in (plain, sharded))
    assert isinstance(theirs.averages["0.weight"], DTensor)
    for _ in range(3):
        for model, average in ((plain, ours), (sharded, theirs)):
            step(model)
            average.update()
    assert same(ours.averages, whole(theirs.averages))
    inputs, results = torch.ones(2, 3), []
    for model, average in ((plain, ours), (sharded, theirs)):
        with torch.no_grad():
            before = model.eval()(inputs)
            with average.applied():
                results.append(model(inputs))
            assert torch.equal(model(inputs), before)
            assert not torch.equal(results[-1], before)
        model.train()
        step(model)
        average.update()
    assert torch.equal(*results)
    assert same(ours.averages, whole(theirs.averages))
    fresh = build()
    fully_shard(fresh, mesh=torch.distributed.init_device_mesh("cpu", (1,)))
    again = ExponentialMovingAverage(fresh, 0.9)
    again.load_state_dict(theirs.state_dict())
    assert same(ours.averages, whole(again.averages))
