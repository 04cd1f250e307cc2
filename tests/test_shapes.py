"""Sizes, counted by hand: the formulas against windows laid one by one."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from minimodels.shapes import Windows, effective_kernel_size, ntuple, output_size, pool_output_size, same_pads

small = st.integers(1, 4)


@given(
    size=st.integers(1, 20),
    before=st.integers(0, 4),
    after=st.integers(0, 4),
    kernel=small,
    dilation=small,
    stride=small,
)
def test_windows_counted_one_by_one(size, before, after, kernel, dilation, stride):
    length = size + before + after
    starts = [start for start in range(0, length, stride) if start + effective_kernel_size(kernel, dilation) <= length]
    assert max(0, output_size(size, (before, after), kernel, dilation, stride)) == len(starts)


@given(size=st.integers(1, 20), kernel=small, dilation=small, stride=small, ceil=st.booleans(), data=st.data())
def test_pooling_sizes_are_torchs(size, kernel, dilation, stride, ceil, data):
    padding = data.draw(st.integers(0, kernel // 2))
    count = pool_output_size(size, padding, kernel, dilation, stride, ceil)
    if count >= 1:
        x = torch.zeros(1, 1, size)
        assert torch.nn.functional.max_pool1d(x, kernel, stride, padding, dilation, ceil).shape[-1] == count


@given(size=st.integers(1, 20), kernel=small, dilation=small)
def test_same_keeps_the_size(size, kernel, dilation):
    (pads,) = same_pads((kernel,), (dilation,))
    assert output_size(size, pads, kernel, dilation, stride=1) == size
    assert pads[1] - pads[0] in (0, 1)


@given(size=st.integers(1, 9), kernel=small, dilation=small, before=st.integers(0, 5), after=st.integers(0, 5))
def test_mirrored_windows_lead_back(size, kernel, dilation, before, after):
    windows = Windows((kernel,), (1,), ((before, after),), (dilation,), groups=1)
    count = windows.output_size((size,))[0]
    if count >= 1:
        assert windows.mirrored().output_size((count,)) == (size,)


@given(size=st.integers(1, 9), kernel=small, dilation=small, stride=small, before=st.integers(0, 3))
def test_each_kernel_element_meets_its_inputs(size, kernel, dilation, stride, before):
    windows = Windows((kernel,), (stride,), ((before, 0),), (dilation,), groups=1)
    counts = windows.output_size((size,))
    if counts[0] >= 1:
        padded = list(range(windows.padded((size,))[0]))
        for (i,) in windows.elements():
            (met,) = windows.met_by((i,), counts)
            assert padded[met] == [stride * p + dilation * i for p in range(counts[0])]
        assert padded[windows.inside((size,))[0]] == list(range(before, before + size))


@given(
    size=st.integers(1, 9),
    kernel=small,
    dilation=small,
    stride=small,
    before=st.integers(0, 9),
    after=st.integers(0, 9),
)
def test_what_an_element_and_the_input_share(size, kernel, dilation, stride, before, after):
    windows = Windows((kernel,), (stride,), ((before, after),), (dilation,), 1)
    counts = windows.output_size((size,))
    places = range(max(0, counts[0]))
    for i in range(kernel):
        (read,), (written,) = windows.shared_by((i,), (size,), counts)
        met = {p: stride * p + dilation * i - before for p in places}
        assert list(places[written]) == [p for p, x in met.items() if 0 <= x < size]
        assert list(range(size)[read]) == [x for x in met.values() if 0 <= x < size]


def test_one_number_serves_all_dimensions():
    assert ntuple(2, 3) == (2, 2, 2)
    assert ntuple([1, 2], 3) == (1, 2)  # a sequence is the caller's business
