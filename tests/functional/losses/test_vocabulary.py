"""The last layer and its loss in one: the same as one after the other, whatever the chunks, in less memory."""

import copy

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.nn import LinearCrossEntropyOptions

from minimodels import functional as F
from minimodels.functional.losses import chunked, surprise
from minimodels.tap import listening
from minimodels.testing import assert_equivalent, derivatives, linear_cross_entropy_cases, tensors


def assert_same_to_two_orders(ours, reference, *inputs):
    """Once as training goes, where the hand-derived gradient serves, and once with a second derivative."""
    for order in (1, 2):
        assert_equivalent(ours, reference, *inputs, order=order)


quick = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(autouse=True, params=[1 << 18, 10])
def piece(request, monkeypatch):
    """All rows of a chunk at a time, or two."""
    monkeypatch.setattr(surprise, "PIECE", request.param)


def unfused(x, matrix, target, bias=None, **kwargs):
    return F.cross_entropy(F.linear(x, matrix, bias), target, **kwargs)


@quick
@given(x=tensors((7, 4)), weight=tensors((5, 4)), bias=tensors((5,)), rows=st.integers(1, 8))
def test_chunks_do_not_show(x, weight, bias, rows):
    target, options = (
        torch.tensor([0, 4, 1, -100, 2, 3, 3]),
        LinearCrossEntropyOptions(batch_chunk_size=rows, chunking_method=None),
    )
    for kwargs in ({}, {"label_smoothing": 0.1}, {"weight": torch.linspace(1, 2, 5).double()}):
        for reduction in ("none", "mean", "sum"):

            def fused(x, weight, bias, kwargs=kwargs, reduction=reduction):
                return F.linear_cross_entropy(
                    x, weight, target, linear_bias=bias, options=options, reduction=reduction, **kwargs
                )

            def apart(x, weight, bias, kwargs=kwargs, reduction=reduction):
                return unfused(x, weight, target, bias, reduction=reduction, **kwargs)

            assert_same_to_two_orders(fused, apart, x, weight, bias)


@quick
@given(x=tensors((7, 4)), weight=tensors((5, 4)), scores=tensors((7, 5)), rows=st.integers(1, 8))
def test_chunks_do_not_show_with_distributions(x, weight, scores, rows):
    target, options = scores.softmax(1), LinearCrossEntropyOptions(batch_chunk_size=rows, chunking_method=None)
    assert_same_to_two_orders(
        lambda x, weight: F.linear_cross_entropy(x, weight, target, options=options, label_smoothing=0.1),
        lambda x, weight: unfused(x, weight, target, label_smoothing=0.1),
        x, weight,
    )  # fmt: skip


def test_derivatives_by_the_target_distribution():
    x, weight, target = (torch.rand(shape, dtype=torch.float64) for shape in ((3, 4), (5, 4), (3, 5)))
    assert_same_to_two_orders(F.linear_cross_entropy, unfused, x, weight, target)


@quick
@given(data=st.data())
def test_the_chunks_chosen_and_torch_agree(data):
    case = data.draw(linear_cross_entropy_cases())
    torch.manual_seed(0)
    reference = torch.nn.LinearCrossEntropyLoss(*case.args, **case.kwargs).double()
    weight = reference.linear.weight.unflatten(0, (reference.num_classes, *reference.out_features))
    kwargs = {name: case.kwargs[name] for name in ("reduction", "weight", "label_smoothing")}
    kwargs["ignore_index"] = case.kwargs.get("ignore_index")
    bias = None if reference.linear.bias is None else reference.linear.bias.view(weight.shape[:-1])
    ours = F.linear_cross_entropy(case.inputs[0], weight, case.inputs[1], linear_bias=bias, **kwargs)
    torch.testing.assert_close(ours, reference(*case.inputs), equal_nan=True)


def operands():
    torch.manual_seed(0)
    x, weight = (torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in ((6, 4), (5, 4)))
    return x, weight, torch.tensor([0, 1, 2, 3, 4, 0])


@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_a_graph_that_is_kept_can_be_gone_through_again(reduction):
    x, weight, target = operands()
    loss = F.linear_cross_entropy(x, weight, target, reduction=reduction)
    factor = torch.linspace(1, 2, 6).double() if reduction == "none" else torch.tensor(3.0).double()
    once = torch.autograd.grad(loss, (x, weight), factor, retain_graph=True)
    again = torch.autograd.grad(loss, (x, weight), 2 * factor, retain_graph=True)
    torch.testing.assert_close([2 * g for g in once], list(again))
    for gradient in once:  # the first ones have not been written over
        assert gradient.isfinite().all()
    expected = torch.autograd.grad(unfused(x, weight, target, reduction=reduction), (x, weight), factor)
    torch.testing.assert_close(once, expected)


@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_batches_of_gradients(reduction):
    x, weight, target = (t.detach() for t in operands())
    found = [
        torch.autograd.functional.jacobian(lambda x, w, f=f: f(x, w, target, reduction=reduction), (x, weight),
                                           vectorize=True)
        for f in (F.linear_cross_entropy, unfused)
    ]  # fmt: skip
    torch.testing.assert_close(*found)


def test_only_what_is_wanted_is_made():
    x, weight, target = operands()
    (alone,) = torch.autograd.grad(F.linear_cross_entropy(x.detach(), weight, target), weight)
    torch.testing.assert_close(alone, torch.autograd.grad(F.linear_cross_entropy(x, weight, target), weight)[0])
    with torch.no_grad():
        assert not F.linear_cross_entropy(x, weight, target).requires_grad


def test_who_listens_hears_the_log_probabilities():
    x, weight, target = operands()
    heard = {}
    with listening(lambda name, value: heard.setdefault(name, value)):
        loss = F.linear_cross_entropy(x, weight, target)
    torch.testing.assert_close(heard["cross_entropy.log_probabilities"], F.log_softmax(F.linear(x, weight), 1))
    torch.testing.assert_close(loss, F.linear_cross_entropy(x, weight, target))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_sums_over_chunks_are_not_formed_in_16_bits(dtype):
    torch.manual_seed(0)
    x, weight, target = torch.rand(4000, 8).to(dtype), torch.zeros(5, 8).to(dtype), torch.zeros(4000, dtype=torch.int64)
    options = LinearCrossEntropyOptions(batch_chunk_size=1, chunking_method=None)
    ours, exact = (
        derivatives(lambda x, w, f=f, o=o: f(x, w, target, reduction="sum", **o), x.to(kind), weight.to(kind), order=1)
        for f, kind, o in (
            (F.linear_cross_entropy, dtype, {"options": options}),
            (unfused, torch.float64, {}),
        )
    )
    for name, truth in exact.items():
        error = (ours[name].double() - truth).abs().max() / truth.abs().max().clamp(min=1e-3)
        assert error < 4 * torch.finfo(dtype).eps, name


def test_gradients_survive_the_scale_of_a_16_bit_training_step():
    """1/N would vanish in float16 if it were multiplied in before the scale that is to save it."""
    x, weight = torch.zeros(1, 2).half().expand(4096, 2), torch.zeros(4000, 2).half().requires_grad_()
    x = (x + 1).requires_grad_()
    loss = F.linear_cross_entropy(x, weight, torch.zeros(4096, dtype=torch.int64))
    (gradient,) = torch.autograd.grad(loss.float() * 4096, weight)
    torch.testing.assert_close(gradient[1:].float(), torch.full((3999, 2), 4096 / 4000), rtol=1e-2, atol=0)


def test_the_scores_are_never_whole(monkeypatch):
    """The products are watched: none has more rows than a chunk, forward and backward."""
    seen = []

    def watched(a, b, bias=None, product=chunked.product):
        result = product(a, b, bias)
        seen.append(result.shape)
        return result

    monkeypatch.setattr(chunked, "product", watched)
    x, weight = torch.randn(300, 3, requires_grad=True), torch.randn(40_000, 3, requires_grad=True)
    for reduction in ("mean", "none"):
        F.linear_cross_entropy(x, weight, torch.zeros(300, dtype=torch.int64), reduction=reduction).sum().backward()
    assert {shape[0] for shape in seen if shape[1] == 40_000} == {128, 44}


def test_a_copy_of_the_options_is_as_good():
    x, weight, target = operands()
    options = LinearCrossEntropyOptions(batch_chunk_size=2, chunking_method=None)
    losses = [F.linear_cross_entropy(x, weight, target, options=o) for o in (options, copy.deepcopy(options))]
    assert torch.equal(*losses)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"linear_bias": torch.zeros(4).double()}, RuntimeError),
        ({"linear_weight": torch.zeros(4).double()}, RuntimeError),
        ({"label_smoothing": 1.5}, RuntimeError),
        ({"weight": torch.zeros(4).double()}, RuntimeError),
        ({"weight": torch.zeros(5)}, RuntimeError),
        ({"reduction": "median"}, ValueError),
        ({"target": torch.tensor([0, 1, 2, 3, 4, 5])}, IndexError),
    ],
)
def test_wrong_calls(change, error):
    x, weight, target = operands()
    arguments = {"input": x, "linear_weight": weight, "target": target} | change
    for loss in (F.linear_cross_entropy, torch.nn.functional.linear_cross_entropy):
        with pytest.raises(error):
            loss(**arguments)


@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_a_distribution_that_was_written_over_is_noticed(reduction):
    """As by every operation that keeps it for the backward pass: another gradient would follow unseen."""
    x, matrix, target = torch.randn(3, 4, requires_grad=True), torch.randn(5, 4), torch.full((3, 5), 0.2)
    loss = F.linear_cross_entropy(x, matrix, target, reduction=reduction)
    target.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.sum().backward()
