"""Cases of normalisations."""

from typing import Any

import torch
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from torch import Tensor

from minimodels.testing.cases.case import Case, sizes, tensors

EPS = st.sampled_from([1e-5, 1e-3, 0.5])


def _spread(draw: DrawFn, shape: tuple[int, ...]) -> Tensor:
    """Draw numbers that go up and down along every dimension: their deviation is about as large as they are.

    What rounding does to numbers whose deviation is small beside their mean is the subject of tests of its own.
    """
    x = draw(tensors(shape)).mul_(0.5)
    for dim, size in enumerate(shape):
        x.add_(1.5 - 3 * (torch.arange(size, dtype=x.dtype) % 2).view(-1, *[1] * (len(shape) - dim - 1)))
    return x


def _affine(draw: DrawFn) -> dict[str, bool]:
    return {"affine": draw(st.booleans()), "bias": draw(st.booleans())}


@st.composite
def batch_norm_cases(draw: DrawFn, dims: int = 2) -> Case:
    """Draw a batch norm and a batch, of more than one element a channel; sometimes one without any.

    Args:
        draw: hypothesis's own.
        dims: how many spatial dimensions; with one, sometimes none.
    """
    channels = draw(sizes)
    places = [draw(sizes) for _ in range(dims)]
    if dims == 1 and draw(st.booleans()):
        places = []
    batch = draw(st.sampled_from([0, 2, 3, 5]))
    kwargs: dict[str, Any] = {
        "eps": draw(EPS),
        "momentum": draw(st.sampled_from([0.1, 0.7, 1.0, 0.0, None])),
        "track_running_stats": draw(st.booleans()),
        **_affine(draw),
    }
    x = _spread(draw, (batch, channels, *places))
    return Case((x,), (channels,), kwargs)


@st.composite
def instance_norm_cases(draw: DrawFn, dims: int = 2) -> Case:
    """Draw an instance norm and one sample or a batch, of more than one place a channel.

    Args:
        draw: hypothesis's own.
        dims: how many spatial dimensions.
    """
    channels = draw(sizes)
    places = [draw(st.integers(2, 4)), *(draw(sizes) for _ in range(dims - 1))]
    batch = draw(st.sampled_from([(), (1,), (2,), (3,)]))
    kwargs: dict[str, Any] = {
        "eps": draw(EPS),
        "momentum": draw(st.sampled_from([0.1, 0.7, 1.0])),
        "track_running_stats": draw(st.booleans()),
        **_affine(draw),
    }
    return Case((_spread(draw, (*batch, channels, *places)),), (channels,), kwargs)


@st.composite
def group_norm_cases(draw: DrawFn) -> Case:
    """Draw a group norm and a batch with any number of spatial dimensions; sometimes an empty one.

    Args:
        draw: hypothesis's own.
    """
    groups, each = draw(sizes), draw(sizes)
    batch = draw(st.sampled_from([0, 2, 3]))
    places = draw(st.lists(sizes, max_size=3))
    x = _spread(draw, (batch, groups * each, *places))
    return Case((x,), (groups, groups * each), {"eps": draw(EPS), **_affine(draw)})


@st.composite
def layer_norm_cases(draw: DrawFn) -> Case:
    """Draw a layer norm over one to three last dimensions, and an input with any number of leading ones.

    Args:
        draw: hypothesis's own.
    """
    x, shape, kwargs = _over_last(draw)
    return Case((x,), (shape,), {"eps": draw(EPS), "bias": draw(st.booleans()), **kwargs})


@st.composite
def rms_norm_cases(draw: DrawFn) -> Case:
    """Draw an RMS norm over one to three last dimensions, and an input with any number of leading ones.

    Args:
        draw: hypothesis's own.
    """
    x, shape, kwargs = _over_last(draw)
    return Case((x,), (shape,), {"eps": draw(st.one_of(st.none(), EPS)), **kwargs})


def _over_last(draw: DrawFn) -> tuple[Any, Any, dict[str, Any]]:
    shape = tuple(draw(st.lists(sizes, min_size=1, max_size=3)))
    leading = draw(st.lists(st.integers(0, 4), max_size=4 - len(shape)))
    x = _spread(draw, (*leading, *shape))
    ways: list[Any] = [shape, list(shape)] + [shape[0]] * (len(shape) == 1)
    return x, draw(st.sampled_from(ways)), {"elementwise_affine": draw(st.booleans())}
