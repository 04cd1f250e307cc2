"""Batch and instance norm the layers: running statistics, their count, and old state dicts."""

import warnings

import pytest
import torch

from minimodels import nn
from minimodels.testing import assert_equivalent


def pair(name, *args, **kwargs):
    layers = [getattr(room, name)(*args, **kwargs) for room in (nn, torch.nn)]
    for layer in layers:
        with torch.no_grad():
            for i, parameter in enumerate(layer.parameters()):
                parameter.copy_(torch.linspace(-1, 2 + i, parameter.numel()))
    return layers


@pytest.mark.parametrize("momentum", [0.1, None, 1.0])
@pytest.mark.parametrize("name", ["BatchNorm1d", "InstanceNorm1d"])
def test_many_batches_then_evaluation(name, momentum):
    layers = pair(name, 3, momentum=momentum, affine=True, track_running_stats=True)
    for seed in range(4):
        x = torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(seed)) * (seed + 1) + seed
        torch.testing.assert_close(*(layer(x) for layer in layers))
    torch.testing.assert_close(*(layer.state_dict() for layer in layers))
    torch.testing.assert_close(*(layer.eval()(x) for layer in layers))


def test_without_momentum_the_statistics_are_the_mean_of_all_batches():
    layer, batches = nn.BatchNorm1d(2, momentum=None).double(), torch.randn(7, 5, 2, dtype=torch.float64)
    for batch in batches:
        layer(batch)
    torch.testing.assert_close(layer.running_mean, batches.mean((0, 1)))
    assert layer.num_batches_tracked == 7


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_images_of_either_layout(training, last):
    layout = torch.channels_last if last else torch.contiguous_format
    x = torch.randn(4, 3, 5, 6, dtype=torch.float64).contiguous(memory_format=layout)
    ours, reference = (layer.double().train(training) for layer in pair("BatchNorm2d", 3))
    assert_equivalent(ours, reference, x)


def test_evaluation_of_16_bit_images_with_float32_statistics():
    ours, reference = (layer.eval() for layer in pair("BatchNorm2d", 3))
    x = torch.randn(2, 3, 4, 4).bfloat16()
    assert_equivalent(ours, reference, x, order=1, rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("name", ["BatchNorm2d", "InstanceNorm2d"])
def test_a_state_of_the_first_version_counted_no_batches(name):
    for layer in pair(name, 3, track_running_stats=True):
        layer.num_batches_tracked.fill_(5)
        state = {key: value + 1 for key, value in layer.state_dict().items() if key != "num_batches_tracked"}
        layer.load_state_dict(state)
        assert layer.num_batches_tracked == 5
        current = layer.state_dict()
        del current["num_batches_tracked"]
        with pytest.raises(RuntimeError, match="Missing key"):
            layer.load_state_dict(current)


def test_a_state_with_statistics_for_a_layer_without_them():
    for layer in pair("InstanceNorm2d", 3):
        state = {"running_mean": torch.zeros(3), "running_var": torch.ones(3)}
        with pytest.raises(RuntimeError, match="Unexpected running stats"):
            layer.load_state_dict(state)


@pytest.mark.parametrize("shape", [(2, 4, 5), (4, 5)])
def test_other_channels_than_announced_are_warned_of(shape):
    outputs = []
    for layer in pair("InstanceNorm1d", 3):
        with pytest.warns(UserWarning, match="does not match num_features"):
            outputs.append(layer(torch.ones(shape).cumsum(-1)))
    torch.testing.assert_close(*outputs)


def test_unbatched_samples():
    layer, x = nn.InstanceNorm2d(3, affine=True), torch.randn(3, 4, 5)
    torch.testing.assert_close(layer(x), layer(x[None])[0])


@pytest.mark.parametrize("transform", [torch.func.vmap, lambda f: torch.func.grad(lambda x: f(x).sum())])
def test_functorch_may_not_write_running_statistics(transform):
    for layer in pair("BatchNorm1d", 3):
        with pytest.raises(RuntimeError):
            transform(layer)(torch.randn(2, 5, 3)[: 2 if transform is torch.func.vmap else 1].squeeze(0))


def test_functorch_without_running_statistics():
    ours, reference = pair("BatchNorm1d", 3, track_running_stats=False)
    x = torch.randn(2, 5, 3)
    torch.testing.assert_close(torch.func.vmap(ours)(x), torch.func.vmap(reference)(x))


def test_an_empty_batch_leaves_the_statistics_as_they_are():
    layer = nn.InstanceNorm1d(3, track_running_stats=True)
    layer(torch.zeros(0, 3, 4))
    assert layer.running_mean.isfinite().all()
    layer = nn.BatchNorm1d(3)
    layer(torch.zeros(0, 3, 4))
    assert torch.equal(layer.running_var, torch.ones(3))


def test_compiled_training_counts_and_remembers():
    layer, compiled = nn.BatchNorm1d(3, momentum=None), nn.BatchNorm1d(3, momentum=None)
    torch.compiler.reset()
    run = torch.compile(compiled, fullgraph=True, backend="aot_eager")
    for _ in range(3):
        x = torch.randn(5, 3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the compiler's own deprecations
            torch.testing.assert_close(run(x), layer(x))
    torch.testing.assert_close(compiled.state_dict(), layer.state_dict())
