"""Looking inside: what is heard, under which name, and that nothing is left behind."""

import copy
import threading

import pytest
import torch

from minimodels.errors import InputError
from minimodels.inspection.trace import patch, trace
from minimodels.models import ConvNet
from minimodels.nn import Conv2d, MultiheadAttention, Sequential
from minimodels.testing import assert_same


def test_the_digit_network_by_name():
    model, images = ConvNet(), torch.rand(2, 1, 28, 28)
    with trace(model) as values:
        logits = model(images)
    assert list(values) == [
        "features.0/convolution.patches", "features.0/convolution.output", "features.1/pooling.indices",
        "features.3/convolution.patches", "features.3/convolution.output", "features.4/pooling.indices",
        "features.6/convolution.patches", "features.6/convolution.output",
    ]  # fmt: skip
    assert values["features.3/convolution.patches"][0].shape == (1, 2 * 11 * 11, 9 * 32)
    torch.testing.assert_close(values["features.0/convolution.output"][0], model.features[0](images))
    torch.testing.assert_close(logits, model(images))


def test_every_pass_adds_a_value_and_the_root_has_no_path():
    layer = Conv2d(1, 1, 1)
    with trace(layer) as values:
        layer(torch.zeros(1, 1, 2, 2))
        layer(torch.ones(1, 1, 2, 2))
    assert len(values["convolution.output"]) == 2


def test_nothing_is_left_behind():
    model = ConvNet()
    before = (repr(model), set(model.state_dict()), set(vars(model)))
    with pytest.raises(RuntimeError), trace(model):
        model(torch.zeros(1, 3, 28, 28))  # three channels: an error in the middle of the run
    assert before == (repr(model), set(model.state_dict()), set(vars(model)))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_a_module_that_fails_gives_its_name_back():
    model = Sequential(Conv2d(1, 1, 3), Conv2d(1, 1, 3))
    with trace(model) as values:
        with pytest.raises(RuntimeError):
            model(torch.zeros(1, 1, 4, 4))  # fails in the second
        model[0](torch.zeros(1, 1, 4, 4))
    assert set(values) == {"0/convolution.patches", "0/convolution.output"}


def test_another_thread_is_not_recorded():
    model = ConvNet()
    with trace(model) as values:
        thread = threading.Thread(target=lambda: model(torch.zeros(1, 1, 28, 28)))
        thread.start()
        thread.join()
    assert values == {}


def test_patching_changes_the_result_and_its_gradient():
    model, images = ConvNet().double(), torch.rand(1, 1, 28, 28, dtype=torch.float64, requires_grad=True)
    with patch(model, {"features.6/convolution.output": torch.zeros_like}):
        logits = model(images)
    assert not torch.allclose(logits, model(images))
    assert not torch.autograd.grad(logits.sum(), images, allow_unused=True, materialize_grads=True)[0].any()


def test_a_misspelt_name_and_a_wrong_shape_are_told():
    model, images = ConvNet(), torch.rand(1, 1, 28, 28)
    with pytest.raises(InputError, match="no such value came by"), patch(model, {"features.1/conv": torch.relu}):
        model(images)
    with pytest.raises(InputError, match="keep the shape"), patch(model, {"features.0/convolution.output": torch.sum}):
        model(images)


def test_depthwise_patches_are_seen_too():
    layer = Conv2d(2, 4, 3, groups=2)
    images = torch.rand(1, 2, 5, 6)
    with trace(layer) as values:
        output = layer(images)
    assert values["convolution.patches"][0].shape == (2, 3 * 4, 9)
    torch.testing.assert_close(output, layer(images))


@pytest.mark.parametrize("in_place", [False, True])
def test_a_compiled_model_shows_the_same_and_is_not_compiled_anew(in_place):
    torch.compiler.reset()
    graphs = []

    def counting(graph, _inputs):
        graphs.append(graph)
        return graph

    layer = MultiheadAttention(8, 2).eval()
    x = torch.randn(5, 3, 8)
    with trace(layer) as plain:
        layer(x, x, x)
    wanted = layer(x, x, x)[0]
    compiled = copy.deepcopy(layer)
    if in_place:
        compiled.compile(backend=counting, fullgraph=True)
    else:
        compiled = torch.compile(compiled, backend=counting, fullgraph=True)
    compiled(x, x, x)
    with trace(compiled) as values:
        compiled(x, x, x)
    assert list(values) == list(plain)
    for name, (value,) in plain.items():
        assert_same(values[name][0], value, name)
    with patch(compiled, {"attention.weights": torch.zeros_like}):
        blind = compiled(x, x, x)[0]
    assert_same(blind, layer.out_proj.bias.expand(5, 3, 8), "patched")
    assert_same(compiled(x, x, x)[0], wanted, "compiled again")
    assert len(graphs) == 1
