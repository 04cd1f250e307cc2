"""CTC: the sum over all paths taken one by one, PyTorch's numbers and gradients, and the laws."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels import functional as F
from minimodels.testing import assert_same, ctc_cases, tensors

reference = torch.nn.functional.ctc_loss


def read(path, blank):
    """Merge what repeats, then drop blanks."""
    return [symbol for symbol, _ in itertools.groupby(path) if symbol != blank]


def summed(log_probs, labels, blank):
    """The equation: every path that reads the labelling, one by one."""
    steps, classes = log_probs.shape
    paths = itertools.product(range(classes), repeat=steps)
    return sum(math.exp(sum(log_probs[t, s].item() for t, s in enumerate(path)))
               for path in paths if read(path, blank) == labels)  # fmt: skip


small = st.integers(1, 4)


@given(steps=st.integers(0, 4), count=st.integers(0, 3), blank=st.integers(0, 2), seed=st.integers(0, 99))
def test_is_the_sum_over_all_paths(steps, count, blank, seed):
    torch.manual_seed(seed)
    log_probs = torch.randn(4, 1, 3, dtype=torch.float64).log_softmax(2)
    labels = [(blank + 1 + int(torch.randint(2, ()))) % 3 for _ in range(count)]
    loss = F.ctc_loss(log_probs, torch.tensor([labels]).view(1, -1), (steps,), (count,), blank, "sum")
    probability = summed(log_probs[:steps, 0], labels, blank)
    assert loss.neg().exp().item() == pytest.approx(probability, abs=1e-12)


@given(case=ctc_cases())
def test_values_and_gradients_are_torchs(case):
    results = []
    for loss in (F.ctc_loss, reference):
        log_probs = case.inputs[0].clone().requires_grad_()
        value = loss(log_probs, *case.inputs[1:], **case.kwargs)
        upstream = torch.linspace(1, 2, value.numel(), dtype=value.dtype).view(value.shape)
        results.append((value.detach(), torch.autograd.grad(value, log_probs, upstream)[0]))
    assert_same(results[0][0], results[1][0], "loss")
    assert_same(results[0][1], results[1][1], "gradient")


@given(data=st.data(), steps=st.integers(3, 6))
def test_gradcheck_through_log_softmax(data, steps):
    scores = data.draw(tensors((steps, 2, 4), layouts=False)).requires_grad_()
    targets = torch.tensor([[1, 2], [3, 1]])

    def loss(scores):
        return F.ctc_loss(F.log_softmax(scores, 2), targets, (steps, steps - 1), (2, 1), reduction="none")

    assert torch.autograd.gradcheck(loss, scores)


@given(x=tensors((5, 2, 4), layouts=False))
def test_each_step_has_a_gradient_that_adds_up_to_nothing(x):
    log_probs = F.log_softmax(x, 2).detach().requires_grad_()
    F.ctc_loss(log_probs, torch.tensor([[1, 2], [3, 3]]), (5, 4), (2, 2)).backward()
    assert torch.allclose(log_probs.grad.sum(2), torch.zeros(5, 2, dtype=torch.float64), atol=1e-12)
    assert not log_probs.grad[4, 1].any()  # behind the end


@given(x=tensors((6, 3, 4), layouts=False), more=st.integers(1, 3))
def test_padding_changes_nothing(x, more):
    log_probs = F.log_softmax(x, 2)
    targets, lengths, counts = torch.tensor([[1, 2], [3, 0], [2, 2]]), (6, 4, 5), (2, 1, 2)
    losses = F.ctc_loss(log_probs, targets, lengths, counts, reduction="none")
    longer = torch.cat([log_probs, torch.full((more, 3, 4), math.nan, dtype=torch.float64)])
    wider = torch.cat([targets, torch.full((3, more), 3)], 1)
    assert torch.allclose(F.ctc_loss(longer, wider, lengths, counts, reduction="none"), losses, rtol=1e-12)
    for n in range(3):
        alone = F.ctc_loss(log_probs[: lengths[n], n], targets[n, : counts[n]], (lengths[n],), (counts[n],),
                           reduction="none")  # fmt: skip
        assert torch.allclose(alone, losses[n])


@given(x=tensors((4, 1, 3), layouts=False))
def test_all_labellings_together_are_certain(x):
    log_probs = F.log_softmax(x, 2)
    total = 0.0
    for count in range(5):
        for labels in itertools.product((1, 2), repeat=count):
            targets = torch.tensor([labels], dtype=torch.int64).view(1, -1)
            total += F.ctc_loss(log_probs, targets, (4,), (count,), reduction="sum").neg().exp().item()
    assert total == pytest.approx(1.0)


def test_joined_targets_of_different_lengths():
    log_probs = torch.randn(7, 3, 5).log_softmax(2)
    padded, joined = torch.tensor([[1, 2, 3], [4, 0, 0], [2, 2, 0]]), torch.tensor([1, 2, 3, 4, 2, 2])
    assert torch.equal(
        F.ctc_loss(log_probs, padded, (7, 7, 7), (3, 1, 2)), F.ctc_loss(log_probs, joined, (7, 7, 7), (3, 1, 2))
    )


@pytest.mark.parametrize("zero_infinity", [False, True])
def test_a_labelling_that_does_not_fit(zero_infinity):
    log_probs = torch.randn(3, 2, 4).log_softmax(2).requires_grad_()
    loss = F.ctc_loss(log_probs, torch.tensor([[1, 1], [1, 2]]), (2, 3), (2, 2), 0, "none", zero_infinity)
    loss.sum().backward()
    assert loss[0] == (0 if zero_infinity else math.inf)
    assert log_probs.grad[:2, 0].isnan().all() != zero_infinity
    assert log_probs.grad[:, 1].isfinite().all()


def test_what_never_happens_has_no_gradient_of_nan():
    """A symbol of probability zero: the shares are formed without dividing by it."""
    log_probs = torch.tensor([[0.0, -math.inf], [-math.inf, 0.0]])[:, None].requires_grad_()
    loss = F.ctc_loss(log_probs, torch.tensor([[1]]), (2,), (1,))
    loss.backward()
    assert loss == 0
    assert torch.equal(log_probs.grad, torch.zeros(2, 1, 2))


def test_long_sequences_do_not_underflow():
    log_probs = torch.randn(2000, 1, 30).log_softmax(2)
    targets = torch.randint(1, 30, (1, 300))
    mine, theirs = (f(log_probs, targets, (2000,), (300,)) for f in (F.ctc_loss, reference))
    torch.testing.assert_close(mine, theirs)


def test_second_derivatives_are_refused_as_in_torch():
    log_probs = torch.randn(4, 1, 3, dtype=torch.float64).log_softmax(2).requires_grad_()
    for loss in (F.ctc_loss, reference):
        value = loss(log_probs, torch.tensor([[1]]), (4,), (1,))
        (gradient,) = torch.autograd.grad(value, log_probs, create_graph=True)
        with pytest.raises(RuntimeError):
            gradient.sum().backward()


def test_transforms_give_the_same_gradient():
    """PyTorch's own goes through none of them."""
    log_probs = torch.randn(5, 2, 4, dtype=torch.float64).log_softmax(2)
    arguments = (torch.tensor([[1, 2], [3, 3]]), torch.tensor([5, 4]), torch.tensor([2, 2]))
    leaf = log_probs.clone().requires_grad_()
    F.ctc_loss(leaf, *arguments).backward()
    torch.testing.assert_close(torch.func.grad(lambda x: F.ctc_loss(x, *arguments))(log_probs), leaf.grad)
    batched = torch.func.vmap(lambda x: F.ctc_loss(x, *arguments))(torch.stack([log_probs, log_probs.flip(0)]))
    torch.testing.assert_close(batched[1], F.ctc_loss(log_probs.flip(0), *arguments))


def test_a_label_beyond_the_classes():
    with pytest.raises(IndexError, match="not below 4"):
        F.ctc_loss(torch.randn(5, 1, 4).log_softmax(2), torch.tensor([[4]]), (5,), (1,))


@given(case=ctc_cases())
def test_the_strategy_keeps_its_word(case):
    """Torch takes every case, and most labellings fit."""
    loss = reference(*case.inputs, **case.kwargs)
    assert not loss.isnan().any()
