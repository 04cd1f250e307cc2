"""Cases of losses."""

from typing import Any

import torch
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from minimodels.testing.cases.case import Case, seeds, sizes, tensors


@st.composite
def cross_entropy_cases(draw: DrawFn) -> Case:
    """Draw a cross-entropy loss with scores and targets: indices (some ignored) or distributions.

    Args:
        draw: hypothesis's own.
    """
    classes = draw(st.integers(1, 5))
    places = draw(st.lists(sizes, max_size=3).map(tuple))
    shape = (places[0], classes, *places[1:]) if places else (classes,)
    scores = draw(tensors(shape))
    kwargs: dict[str, Any] = {
        "reduction": draw(st.sampled_from(["none", "mean", "sum"])),
        "label_smoothing": draw(st.sampled_from([0.0, 0.1, 1.0])),
        "weight": draw(st.sampled_from([None, torch.linspace(0.5, 2.0, classes, dtype=torch.float64)])),
    }
    if draw(st.booleans()):
        return Case((scores, draw(tensors(shape)).softmax(1 if places else 0)), (), kwargs)
    generator = torch.Generator().manual_seed(draw(seeds))
    target = torch.randint(0, classes, places, generator=generator)
    kwargs["ignore_index"] = draw(st.sampled_from([-100, 0, classes - 1]))
    if kwargs["ignore_index"] == -100 and draw(st.booleans()):
        target = target.where(torch.rand(places, generator=generator) < 0.7, -100)
    return Case((scores, target), (), kwargs)
