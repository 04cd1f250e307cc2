"""Pooling's way back for compilers: what the scatter gives, element by element, and one graph for every layout."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels import functional as F
from minimodels.functional.pooling_compiled import MANY, gathers
from minimodels.functional.pooling_spans import Even, Uneven
from minimodels.testing import assert_same, tensors

MAX = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
MEAN = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


@st.composite
def pools(draw):
    """An input and windows over it: with gaps, overlaps and padding, and elements that nobody reads; some with ties."""
    dims = draw(st.integers(1, 3))
    kernel, stride = (tuple(draw(st.integers(1, most)) for _ in range(dims)) for most in (4, 5))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    x = draw(tensors((2, 2, *(draw(st.integers(4, 7)) for _ in range(dims)))))
    last = {2: torch.channels_last, 3: torch.channels_last_3d}.get(dims, torch.contiguous_format)
    x = x.contiguous(memory_format=draw(st.sampled_from([last, torch.contiguous_format])))
    return x.round() if draw(st.booleans()) else x, (kernel, stride, padding)


@given(case=pools(), ceil=st.booleans(), seed=st.integers(0, 99))
def test_gives_back_what_the_scatter_does(case, ceil, seed):
    x, settings = case
    for pool, arguments in ((MAX, (*settings, 1, ceil)), (MEAN, (*settings, ceil))):
        x = x.detach().requires_grad_()
        y = pool[x.ndim - 2](x, *arguments)
        upstream = torch.randn(y.shape, generator=torch.Generator().manual_seed(seed), dtype=y.dtype)
        upstream[upstream > 1.5] = torch.inf  # goes to the winner alone, and makes nothing else NaN
        (expected,) = torch.autograd.grad(y, x, upstream, retain_graph=True)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.compiler, "is_compiling", lambda: True)
            (gathered,) = torch.autograd.grad(y, x, upstream)
        torch.testing.assert_close(gathered, expected, equal_nan=True)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize("settings", [(2,), (3, 2, 1), (2, 3), (3, 1, 1), (6, 1), (2, 1, 1, 2)], ids=str)
def test_compiled_the_same_elements_win_and_are_handed_back_to(layout, settings):
    x = torch.randint(0, 5, (2, 3, 9, 8), dtype=torch.float64).contiguous(memory_format=layout)  # with ties
    x[0, 0, 2, 3], x[1, 1, 4, 4] = torch.nan, -torch.inf
    x.requires_grad_()
    torch.compiler.reset()
    for pool in (F.max_pool2d, *([] if len(settings) > 3 else [F.avg_pool2d])):
        run = torch.compile(lambda x, pool=pool: pool(x, *settings), fullgraph=True, backend="aot_eager")
        mine, theirs = run(x), pool(x, *settings)
        assert_same(mine, theirs)
        assert mine.stride() == theirs.stride()
        assert_same(*(torch.autograd.grad(y, x, torch.ones_like(y))[0] for y in (mine, theirs)))


def test_what_is_left_to_the_scatter():
    """Uneven windows, holes in windows, no windows, and many that share an element."""
    span = Even(size=9, windows=4, kernel=3, stride=2, padding=0, dilation=1)
    assert gathers((span, span, span))
    assert not gathers((span, Uneven(size=9, windows=4)))
    assert not gathers((span._replace(dilation=2),))
    assert not gathers((span._replace(windows=0),))
    assert not gathers((span._replace(kernel=MANY + 1, stride=1),))
