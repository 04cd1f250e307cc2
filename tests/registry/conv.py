"""Convolutions: their rows."""

import functools

import torch

from minimodels import nn, testing
from minimodels.testing import Case
from tests.registry.row import Row, x


def plain(dims):
    """Wrong calls of a convolution in so many dimensions."""
    good, small = x(2, 4, *[6] * dims), x(2, 4, *[6] * (dims - 1), 2)
    return (
        Case((), (4, 6, 3), {"groups": 0}),
        Case((), (4, 6, 3), {"groups": 3}),
        Case((), (3, 4, 3), {"groups": 3}),
        Case((), (3, 4, 3), {"padding": "half"}),
        Case((), (3, 4, 3), {"padding": "same", "stride": 2}),
        Case((), (3, 4, 3), {"padding_mode": "mirror"}),
        Case((x(2, 5, *[6] * dims),), (4, 6, 3)),
        Case((x(*[6] * dims),), (4, 6, 3)),
        Case((x(1, 1, 4, *[6] * dims),), (4, 6, 3)),
        Case((small,), (4, 6, 3)),
        Case((good,), (4, 6, 3), {"stride": 0}),
        Case((good,), (4, 6, 3), {"stride": (1,) * (dims + 1)}),
        Case((good,), (4, 6, 3), {"stride": 1.5}),
        Case((good,), (4, 6, 3), {"dilation": 0}),
        Case((good,), (4, 6, 3), {"padding": -1}),
        Case((good,), (4, 6, 0)),
        Case((good,), (4, 6, (3,) * (dims + 1))),
        Case((good.float(),), (4, 6, 3)),
        Case((good,), (4, 6, 3), {"padding": 6, "padding_mode": "reflect"}),
        Case((good,), (4, 6, 3), {"padding": 7, "padding_mode": "circular"}),
    )


def transposed(dims):
    """Wrong calls of a transposed convolution in so many dimensions."""
    good, least = x(2, 4, *[6] * dims), [8] * dims
    return (
        Case((), (4, 6, 3), {"groups": 0}),
        Case((), (4, 6, 3), {"groups": 3}),
        Case((), (3, 4, 3), {"groups": 3}),
        Case((), (4, 6, 3), {"padding_mode": "reflect"}),
        Case((), (4, 6, 3), {"padding_mode": "mirror"}),
        Case((good,), (4, 6, 3), {"padding": "same"}),
        Case((x(2, 5, *[6] * dims),), (4, 6, 3)),
        Case((x(*[6] * dims),), (4, 6, 3)),
        Case((x(1, 1, 4, *[6] * dims),), (4, 6, 3)),
        Case((x(2, 4, *[6] * (dims - 1), 0),), (4, 6, 3)),
        Case((good,), (4, 6, 3), {"stride": 0}),
        Case((good,), (4, 6, 3), {"stride": (1,) * (dims + 1)}),
        Case((good,), (4, 6, 3), {"stride": 1.5}),
        Case((good,), (4, 6, 3), {"dilation": 0}),
        Case((good,), (4, 6, 3), {"padding": -1}),
        Case((good,), (4, 6, 3), {"padding": 4}),
        Case((good,), (4, 6, 3), {"output_padding": 1}),
        Case((good,), (4, 6, 3), {"output_padding": 2, "stride": 2}),
        Case((good,), (4, 6, 3), {"output_padding": -1, "stride": 2}),
        Case((good,), (4, 6, 3), {"output_padding": 0.5, "stride": 2}),
        Case((good,), (4, 6, 3), {"output_padding": (0,) * (dims + 1)}),
        Case((good,), (4, 6, 0)),
        Case((good.float(),), (4, 6, 3)),
        Case((good, [7] * dims), (4, 6, 3)),
        Case((good, [9] * dims), (4, 6, 3)),
        Case((good, [*least, 8]), (4, 6, 3)),
        Case((good, [6, *least]), (4, 6, 3)),
        Case((good[0], [2, 6, *least]), (4, 6, 3)),
        Case((good, [11.5] * dims), (4, 6, 3), {"stride": 2}),
    )


SIZES = {1: (7,), 2: (6, 5), 3: (4, 3, 5)}

ROWS = [
    *(
        Row(
            ours,
            reference,
            functools.partial(testing.conv_cases, dims),
            Case((x(2, 4, *SIZES[dims]),), (4, 6, 3), {"padding": 1, "stride": 2, "groups": 2}),
            bad=plain(dims),
        )
        for dims, ours, reference in (
            (1, nn.Conv1d, torch.nn.Conv1d),
            (2, nn.Conv2d, torch.nn.Conv2d),
            (3, nn.Conv3d, torch.nn.Conv3d),
        )
    ),
    *(
        Row(
            ours,
            reference,
            functools.partial(testing.conv_transpose_cases, dims),
            Case((x(2, 4, *SIZES[dims]),), (4, 6, 3), {"padding": 1, "stride": 2, "output_padding": 1, "groups": 2}),
            bad=transposed(dims),
        )
        for dims, ours, reference in (
            (1, nn.ConvTranspose1d, torch.nn.ConvTranspose1d),
            (2, nn.ConvTranspose2d, torch.nn.ConvTranspose2d),
            (3, nn.ConvTranspose3d, torch.nn.ConvTranspose3d),
        )
    ),
]
