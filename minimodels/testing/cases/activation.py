"""Cases of activations, and of what else works element by element."""

import torch
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from minimodels.testing.cases.case import Case, sizes, tensors


@st.composite
def elementwise_cases(draw: DrawFn) -> Case:
    """Draw an input of any shape for a layer without arguments; zeros among the numbers, where derivatives jump.

    Args:
        draw: hypothesis's own.
    """
    x = draw(tensors(draw(st.lists(st.integers(0, 4), max_size=4).map(tuple))))
    return Case((x.round() if draw(st.booleans()) else x,))


@st.composite
def softmax_cases(draw: DrawFn) -> Case:
    """Draw a softmax over one dimension, with scores of any size, −∞ among them.

    Args:
        draw: hypothesis's own.
    """
    shape = draw(st.lists(sizes, min_size=1, max_size=4).map(tuple))
    x = draw(tensors(shape)) * draw(st.sampled_from([1.0, 30.0, 1000.0]))
    if draw(st.booleans()) and shape[-1] > 1:
        x[..., 0] = -torch.inf  # a masked score; the others keep the slice alive
        return Case((x,), (), {"dim": len(shape) - 1})
    return Case((x,), (), {"dim": draw(st.integers(-len(shape), len(shape) - 1))})
