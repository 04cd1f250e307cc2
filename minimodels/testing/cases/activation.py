"""Cases of activations, and of what else works element by element."""

from typing import Any

import torch
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from minimodels.testing.cases.case import Case, sizes, tensors


@st.composite
def elementwise_cases(draw: DrawFn, /, inplace: bool = False, **settings: SearchStrategy[Any]) -> Case:
    """Draw an input of any shape and the layer's settings; whole numbers among the inputs, where derivatives jump.

    Args:
        draw: hypothesis's own.
        inplace: the layer has that argument.
        settings: what to draw for its other arguments.
    """
    x = draw(tensors(draw(st.lists(st.integers(0, 4), max_size=4).map(tuple))))
    x = x * draw(st.sampled_from([1.0, 1.0, 10.0, 100.0]))
    kwargs = {name: draw(values) for name, values in settings.items()}
    if inplace:
        kwargs["inplace"] = draw(st.booleans())
    return Case((x.round() if draw(st.booleans()) else x,), (), kwargs)


@st.composite
def threshold_cases(draw: DrawFn) -> Case:
    """Draw a threshold layer and its input.

    In place, the value put in is no larger than the threshold: PyTorch's derivative counts on that.

    Args:
        draw: hypothesis's own.
    """
    case = draw(elementwise_cases())
    threshold, value = draw(st.sampled_from([0.0, 1.0, -0.5])), draw(st.sampled_from([0.0, -3.0, 20.0]))
    return Case(case.inputs, (threshold, value), {"inplace": value <= threshold and draw(st.booleans())})


@st.composite
def prelu_cases(draw: DrawFn) -> Case:
    """Draw a rectifier with one slope or with one a channel, and its input, which does not meet the kink.

    Args:
        draw: hypothesis's own.
    """
    shape = draw(st.lists(st.integers(0, 4), max_size=4).map(tuple))
    channels = shape[1] if len(shape) > 1 and draw(st.booleans()) else 1
    return Case((draw(tensors(shape)),), (channels,), {"init": draw(st.sampled_from([0.25, -1.0]))})


@st.composite
def glu_cases(draw: DrawFn) -> Case:
    """Draw a gate over one dimension of even size, and its input.

    Args:
        draw: hypothesis's own.
    """
    shape = draw(st.lists(sizes, min_size=1, max_size=4))
    dim = draw(st.integers(-len(shape), len(shape) - 1))
    shape[dim] *= 2
    return Case((draw(tensors(tuple(shape))),), (dim,))


@st.composite
def softmax2d_cases(draw: DrawFn) -> Case:
    """Draw one image or a batch for a softmax over the channels.

    Args:
        draw: hypothesis's own.
    """
    return Case((draw(tensors((*draw(st.sampled_from([(), (1,), (2,)])), draw(sizes), draw(sizes), draw(sizes)))),))


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
