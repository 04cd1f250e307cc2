"""The hook: silent it is nothing, heard it is everything, and each thread hears its own."""

import threading
import warnings

import pytest
import torch

from minimodels import nn
from minimodels.models import ConvNet
from minimodels.tap import listened, listening, tap


def record(names):
    return lambda name, value: names.append(name) or value


def test_silent_it_hands_back_the_very_object():
    x = torch.ones(3)
    assert tap("a", x) is x
    assert not listened()


def test_silent_it_leaves_no_trace_in_a_compiled_graph():
    graphs = []

    def keep(graph, inputs):
        graphs.append([node.target for node in graph.graph.nodes if node.op == "call_function"])
        return graph

    torch.compiler.reset()
    x = torch.ones(3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.compile(lambda x: tap("a", x + 1) * 2, backend=keep, fullgraph=True)(x)
        torch.compile(lambda x: (x + 1) * 2, backend=keep, fullgraph=True)(x)
    assert graphs[0] == graphs[1]


def test_what_the_listener_returns_goes_on():
    with listening(lambda name, value: value + 1):
        assert tap("a", torch.zeros(1)).item() == 1
        assert listened()
    assert tap("a", torch.zeros(1)).item() == 0


def test_listeners_nest_inner_first():
    with listening(lambda name, value: value * 10), listening(lambda name, value: value + 1):
        assert tap("a", torch.ones(1)).item() == 20


def test_an_error_in_the_block_ends_the_listening():
    with pytest.raises(KeyError), listening(lambda name, value: value):
        raise KeyError
    assert not listened()


def test_threads_hear_only_themselves():
    names, inside, done = [], threading.Event(), threading.Event()

    def other():
        with listening(lambda name, value: value * 0):
            inside.set()
            done.wait(10)

    thread = threading.Thread(target=other)
    thread.start()
    inside.wait(10)
    try:
        assert not listened()
        assert tap("mine", torch.ones(1)).item() == 1
        with listening(record(names)):
            tap("mine", torch.ones(1))
    finally:
        done.set()
        thread.join()
    assert names == ["mine"]
    assert not listened()


def test_the_digit_network_shows_what_a_textbook_would_point_at():
    names = []
    with listening(record(names)):
        ConvNet().predict_proba(torch.zeros(1, 1, 28, 28))
    assert names.count("convolution.patches") == names.count("convolution.output") == 3
    assert names.count("pooling.indices") == 2
    assert names[-1] == "softmax.weights"


def test_listening_changes_no_number():
    model, images = ConvNet(), torch.randn(2, 1, 28, 28)
    expected = model(images)
    with listening(lambda name, value: value):
        assert torch.allclose(model(images), expected, atol=1e-6)


def test_a_listener_of_the_backward_pass_does_not_touch_it():
    layer, x = nn.Conv2d(2, 2, 3, padding=1), torch.randn(1, 2, 5, 5, requires_grad=True)
    (expected,) = torch.autograd.grad(layer(x).sum(), x)
    output, names = layer(x).sum(), []
    with listening(lambda name, value: names.append(name) or value * 0):
        (gradient,) = torch.autograd.grad(output, x)
    assert torch.equal(gradient, expected)
    assert names == []


def test_patches_can_be_replaced_and_gradients_follow():
    layer, x = nn.Conv2d(1, 1, 2, bias=False).double(), torch.randn(1, 1, 4, 4, dtype=torch.float64)
    with listening(lambda name, value: value * 3 if name == "convolution.patches" else value):
        output = layer(x)
    assert torch.allclose(output, 3 * layer(x))
    (weight,) = torch.autograd.grad(output.sum(), layer.weight)
    (plain,) = torch.autograd.grad(layer(x).sum(), layer.weight)
    assert torch.allclose(weight, 3 * plain)
