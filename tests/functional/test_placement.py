"""What is chosen for an accelerator, proved here: every rule is told that launches are what costs."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels import functional as F
from minimodels import nn
from minimodels.functional import placement
from minimodels.functional.activations import curves
from minimodels.functional.attention import definition
from minimodels.functional.attention.launched import attention as launched_attention
from minimodels.functional.attention.launched import serves as launched_serves
from minimodels.functional.attention.masks import Band
from minimodels.functional.conv import rows
from minimodels.functional.losses import classification
from minimodels.testing import assert_equivalent

T = torch.nn.functional


@pytest.fixture(params=[8, placement.PIECE], scope="module", autouse=True)
def launched(request):
    """Pieces of a few numbers, and of all that there are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(placement, "launches", lambda x: True)
        patch.setattr(placement, "PIECE", request.param)
        patch.setattr(curves, "DEVICE_CHUNK", request.param)
        patch.setattr(classification, "LARGE", 1)
        yield


ROWS = {
    "gelu": (F.gelu, T.gelu),
    "silu": (F.silu, T.silu),
    "softmax": (lambda x: F.softmax(x, 1), lambda x: T.softmax(x, 1)),
    "log_softmax": (lambda x: F.log_softmax(x, 1), lambda x: T.log_softmax(x, 1)),
    "layer_norm": (lambda x: F.layer_norm(x, x.shape[1:]), lambda x: T.layer_norm(x, x.shape[1:])),
    "rms_norm": (lambda x: F.rms_norm(x, x.shape[1:]), lambda x: T.rms_norm(x, x.shape[1:])),
    "group_norm": (lambda x: F.group_norm(x[None], 1), lambda x: T.group_norm(x[None], 1)),
    "cross_entropy": (
        lambda x: F.cross_entropy(x, torch.zeros(len(x), dtype=torch.int64)),
        lambda x: T.cross_entropy(x, torch.zeros(len(x), dtype=torch.int64)),
    ),
}


@pytest.mark.parametrize("name", ROWS)
@given(rows=st.integers(2, 7), columns=st.integers(2, 9), seed=st.integers(0, 99))
def test_rows(name, rows, columns, seed):
    x = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    assert_equivalent(*ROWS[name], x, order=1, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
@given(steps=st.integers(1, 6), batch=st.integers(1, 3), both=st.booleans(), seed=st.integers(0, 99))
def test_recurrent_layers(kind, steps, batch, both, seed):
    mine, theirs = (getattr(library, kind)(3, 4, bidirectional=both).double() for library in (nn, torch.nn))
    x = torch.randn(steps, batch, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    assert_equivalent(mine, theirs, x, order=1, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@given(
    groups=st.sampled_from([1, 1, 2]),
    inputs=st.sampled_from([1, 3, 4, 8]),
    stride=st.integers(1, 2),
    padding=st.integers(0, 1),
    last=st.booleans(),
    bias=st.booleans(),
    seed=st.integers(0, 99),
)
def test_convolution(dtype, groups, inputs, stride, padding, last, bias, seed):
    """Windows are copied several numbers at a time where channels allow it: every number arrives."""
    generator = torch.Generator().manual_seed(seed)
    x, w, b = (
        torch.randn(s, generator=generator, dtype=torch.float64).to(dtype)
        for s in ((2, groups * inputs, 6, 5), (groups * 2, inputs, 3, 2), (groups * 2,))
    )
    x = x.contiguous(memory_format=torch.channels_last) if last else x

    def function(convolve, *operands):
        return convolve(*operands, *([] if bias else [None]), stride, padding, 1, groups)

    operands = (x, w, b) if bias else (x, w)
    tolerance = {torch.float32: 1e-4, torch.float64: 1e-9, torch.bfloat16: 5e-2}[dtype]
    mine, theirs = (lambda *o, f=f: function(f, *o) for f in (F.conv2d, T.conv2d))
    assert_equivalent(mine, theirs, *operands, order=1, rtol=tolerance, atol=tolerance)


def test_windows_are_copied_in_wide_elements():
    image = torch.zeros(2, 6, 6, 8, dtype=torch.bfloat16)
    assert rows.widened(image, 1).dtype is torch.complex128
    assert rows.widened(image, 2).dtype is torch.int64
    assert rows.widened(image, 4).dtype is torch.bfloat16
    assert rows.widened(image.flatten()[3:131].view(2, 8, 8), 1).dtype is torch.bfloat16


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-5), (torch.bfloat16, 2e-2), (torch.float16, 4e-3)])
@given(
    sizes=st.tuples(*[st.integers(1, n) for n in (2, 2, 2, 9, 9, 5, 5)]),
    offset=st.none() | st.integers(-3, 9),
    window=st.none() | st.integers(1, 9),
    peak=st.sampled_from([1.0, 30.0, 1e5]),
    seed=st.integers(0, 99),
)
def test_attention(dtype, tolerance, sizes, offset, window, peak, seed):
    """Whatever is hidden, and whatever the scores' size: from the same numbers in float64."""
    batch, groups, share, queries, keys, width, values = sizes
    peak = min(peak, 1e3) if dtype is torch.float16 else peak
    shapes = (batch, groups * share, queries, width), (batch, groups, keys, width), (batch, groups, keys, values)
    generator = torch.Generator().manual_seed(seed)
    q, k, v, g = (torch.randn(s, generator=generator) for s in (*shapes, (*shapes[0][:3], values)))
    operands = [t.to(dtype) for t in (q * peak, k, v)]
    band = None if offset is None else Band(offset, window)
    mask = None if band is None else band.mask(queries, keys)

    def truth(q, k, v):
        k, v = (t.repeat_interleave(share, 1) for t in (k, v))
        return definition.attention(q, k, v, mask, 0.5)

    found, wanted = [], []
    for results, f, kind in (
        (found, lambda *o: launched_attention(*o, band, 0.5), dtype),
        (wanted, truth, torch.float64),
    ):
        leaves = [o.to(kind).requires_grad_() for o in operands]
        y = f(*leaves)
        results += [y, *torch.autograd.grad(y, leaves, g.to(dtype).to(kind))]
    for mine, exact in zip(found, wanted, strict=True):
        assert mine.dtype is dtype
        assert (mine.double() - exact).abs().max() <= tolerance * peak * (1 + exact.abs().max())


def test_who_attends():
    q = torch.ones(1, 1, 4, 2)
    assert launched_serves(q, None, 1.0)
    for t, mask, scale in ((q.double(), None, 1.0), (q, torch.ones(4, 4), 1.0), (q, None, 0.0)):
        assert not launched_serves(t, mask, scale)
