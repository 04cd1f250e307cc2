"""Cases of losses."""

from typing import Any

import torch
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from torch import Tensor

from minimodels.testing.cases.case import Case, seeds, sizes, tensors

reductions = st.sampled_from(["none", "mean", "sum"])
shapes = st.lists(sizes, max_size=4).map(tuple)
smoothings = st.sampled_from([0.0, 0.1, 1.0])


@st.composite
def cross_entropy_cases(draw: DrawFn) -> Case:
    """Draw a cross-entropy loss with scores and targets: indices (some ignored) or distributions.

    Args:
        draw: hypothesis's own.
    """
    classes = draw(st.integers(1, 5))
    places = draw(st.lists(sizes, max_size=3).map(tuple))
    shape = _with_classes(places, classes)
    kwargs = {"reduction": draw(reductions), "label_smoothing": draw(smoothings), "weight": _weight(draw, classes)}
    scores = draw(tensors(shape))
    if draw(st.booleans()):
        return Case((scores, draw(tensors(shape)).softmax(1 if places else 0)), (), kwargs)
    kwargs["ignore_index"], target = _indices(draw, classes, places)
    return Case((scores, target), (), kwargs)


@st.composite
def nll_cases(draw: DrawFn) -> Case:
    """Draw a negative log-likelihood with log-probabilities and indices, some of them ignored.

    Args:
        draw: hypothesis's own.
    """
    classes = draw(st.integers(1, 5))
    places = draw(st.lists(sizes, max_size=4).map(tuple))
    kwargs: dict[str, Any] = {"reduction": draw(reductions), "weight": _weight(draw, classes)}
    kwargs["ignore_index"], target = _indices(draw, classes, places)
    return Case((draw(tensors(_with_classes(places, classes))).log_softmax(1 if places else 0), target), (), kwargs)


@st.composite
def linear_cross_entropy_cases(draw: DrawFn) -> Case:
    """Draw a linear layer with its cross-entropy, of one loss a row or of several.

    Args:
        draw: hypothesis's own.
    """
    features, classes = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    batch = draw(st.sampled_from([(), (1,), (3,), (7,)]))
    further = draw(st.sampled_from([(), (2,), (2, 3)])) if batch else ()
    kwargs: dict[str, Any] = {
        "out_features": further,
        "bias": draw(st.booleans()),
        "reduction": draw(reductions),
        "weight": _weight(draw, classes),
        "label_smoothing": draw(smoothings),
    }
    x = draw(tensors((*batch, features)))
    if draw(st.booleans()):
        target = draw(tensors((*batch, classes, *further))).softmax(len(batch))
    else:
        kwargs["ignore_index"], target = _indices(draw, classes, (*batch, *further))
    return Case((x, target), (features, classes), kwargs)


@st.composite
def difference_cases(draw: DrawFn, threshold: str | None = None) -> Case:
    """Draw a loss between numbers; equal ones among them, and errors at the threshold itself.

    Args:
        draw: hypothesis's own.
        threshold: the argument that says where small errors end, if there is one.
    """
    shape = draw(shapes)
    x, t = draw(tensors(shape)), draw(tensors(shape))
    if draw(st.booleans()):
        x, t = x.round(), t.round()
    kwargs: dict[str, Any] = {"reduction": draw(reductions)}
    if threshold:
        kwargs[threshold] = draw(st.sampled_from([0.25, 1.0, 2.0]))
    return Case((x, t), (), kwargs)


@st.composite
def binary_cases(draw: DrawFn, scores: bool = False) -> Case:
    """Draw a loss of yes-or-no questions, with weights that broadcast.

    Args:
        draw: hypothesis's own.
        scores: give scores and a `pos_weight` instead of probabilities.
    """
    shape = draw(shapes)
    x, t = draw(tensors(shape)), draw(tensors(shape)).sigmoid()
    if draw(st.booleans()):
        t = t.round()
    names = ("weight", "pos_weight") if scores else ("weight",)
    some = st.sampled_from([None, *(shape[i:] for i in range(len(shape) + 1))])
    weights = {name: None if (s := draw(some)) is None else draw(tensors(s, layouts=False)).exp() for name in names}
    if scores and draw(st.booleans()):
        x = x.round() * 30  # zeros, and scores of which the exponential is nothing
    return Case((x if scores else x.sigmoid(), t), (), {"reduction": draw(reductions)} | weights)


@st.composite
def divergence_cases(draw: DrawFn) -> Case:
    """Draw a divergence between distributions, given as probabilities (zeros among them) or as logarithms.

    Args:
        draw: hypothesis's own.
    """
    shape = draw(st.lists(sizes, min_size=1, max_size=3).map(tuple))
    x, t = draw(tensors(shape)).log_softmax(-1), draw(tensors(shape)).log_softmax(-1)
    kwargs = {"reduction": draw(st.sampled_from(["none", "sum", "batchmean"])), "log_target": draw(st.booleans())}
    return Case((x, t if kwargs["log_target"] else t.exp()), (), kwargs)


def _with_classes(places: tuple[int, ...], classes: int) -> tuple[int, ...]:
    """Put the classes where PyTorch has them: behind the batch."""
    return (places[0], classes, *places[1:]) if places else (classes,)


def _weight(draw: DrawFn, classes: int) -> Tensor | None:
    return draw(st.sampled_from([None, torch.linspace(0.5, 2.0, classes, dtype=torch.float64)]))


def _indices(draw: DrawFn, classes: int, places: tuple[int, ...]) -> tuple[int, Tensor]:
    """Draw an index to ignore, and targets."""
    generator = torch.Generator().manual_seed(draw(seeds))
    target = torch.randint(0, classes, places, generator=generator)
    ignored = draw(st.sampled_from([-100, 0, classes - 1]))
    if ignored == -100 and draw(st.booleans()):
        target = target.where(torch.rand(places, generator=generator) < 0.7, -100)
    return ignored, target
