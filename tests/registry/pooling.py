"""Pooling: their rows."""

from functools import partial

import torch

from minimodels import nn, testing
from minimodels.testing import Case
from tests.registry.row import Row, x

SIZE = (5, 7, 6)


def signal(dims: int, batch: int = 1) -> torch.Tensor:
    return x(batch, 2, *SIZE[:dims])


def misfits(dims: int) -> tuple[Case, ...]:
    """Wrong calls that every pooling over windows refuses."""
    plain = signal(dims)
    return (
        *(Case((wrong,), (2,)) for wrong in (x(3), x(1, *plain.shape), x(1, 0, *SIZE[:dims]), x(0, *SIZE[:dims]))),
        *(Case((wrong,), (2,)) for wrong in (plain > 0, plain * 1j, x(1, 2, *(1,) * dims), x(1, 2, *(0,) * dims))),
        *(Case((plain,), (wrong,)) for wrong in (0, -1, 9, 2.5, None, (), (2,) * (dims + 1))),
        *(Case((plain,), (2,), {"stride": wrong}) for wrong in (0, -1, 1.5, (2,) * (dims + 1))),
        *(Case((plain,), (2,), {"padding": wrong}) for wrong in (2, -1, 0.5, None, (1,) * (dims + 1))),
    )


def max_pool(ours: type, reference: type, dims: int) -> Row:
    dilated = ({"dilation": wrong} for wrong in (0, -1, 9, 1.5, None, (1,) * (dims + 1)))
    return Row(
        ours,
        reference,
        partial(testing.pool_cases, dims),
        Case((signal(dims, 2),), (3,), {"stride": 2, "padding": 1}),
        bad=(
            *misfits(dims),
            *(Case((signal(dims),), (2,), wrong) for wrong in dilated),
            Case((x(1, 1, *(9,) * dims),), (3,), {"padding": 2, "dilation": 2}),
        ),
    )


def average_pool(ours: type, reference: type, dims: int) -> Row:
    plain = signal(dims)
    divided = [Case((plain,), (2,), {"divisor_override": wrong}) for wrong in (0, 2.5)] if dims > 1 else []
    few = [Case((x(4, 4),), (2,)), Case((plain,), (6,), {"padding": 3})] if dims == 3 else []
    return Row(
        ours,
        reference,
        partial(testing.average_pool_cases, dims),
        Case((signal(dims, 2),), (3,), {"stride": 2, "padding": 1, "count_include_pad": False}),
        bad=(*misfits(dims), Case((plain.int(),), (2,)), *divided, *few),
        low_precision=dims < 3,
    )


def adaptive_pool(ours: type, reference: type, dims: int, indices: bool) -> Row:
    plain = signal(dims)
    empty = [Case((x(1, 0, *SIZE[:dims]),), (2,))] if indices or dims == 3 else []
    return Row(
        ours,
        reference,
        partial(testing.adaptive_pool_cases, dims, indices),
        Case((signal(dims, 2),), (3,)),
        bad=(
            *(Case((wrong,), (2,)) for wrong in (x(3), x(1, *plain.shape), x(1, 2, *(0,) * dims))),
            *(Case((wrong,), (2,)) for wrong in (plain > 0, plain * 1j, plain.long())),
            *(Case((plain,), (wrong,)) for wrong in (-1, 2.5, None, (), (2,) * (dims + 1), (2,) * (dims + 2))),
            Case((plain[0],), ((2,) * (dims + 1),)),
            *empty,
        ),
    )


ROWS = [
    max_pool(nn.MaxPool1d, torch.nn.MaxPool1d, 1),
    max_pool(nn.MaxPool2d, torch.nn.MaxPool2d, 2),
    max_pool(nn.MaxPool3d, torch.nn.MaxPool3d, 3),
    average_pool(nn.AvgPool1d, torch.nn.AvgPool1d, 1),
    average_pool(nn.AvgPool2d, torch.nn.AvgPool2d, 2),
    average_pool(nn.AvgPool3d, torch.nn.AvgPool3d, 3),
    adaptive_pool(nn.AdaptiveAvgPool1d, torch.nn.AdaptiveAvgPool1d, 1, indices=False),
    adaptive_pool(nn.AdaptiveAvgPool2d, torch.nn.AdaptiveAvgPool2d, 2, indices=False),
    adaptive_pool(nn.AdaptiveAvgPool3d, torch.nn.AdaptiveAvgPool3d, 3, indices=False),
    adaptive_pool(nn.AdaptiveMaxPool1d, torch.nn.AdaptiveMaxPool1d, 1, indices=True),
    adaptive_pool(nn.AdaptiveMaxPool2d, torch.nn.AdaptiveMaxPool2d, 2, indices=True),
    adaptive_pool(nn.AdaptiveMaxPool3d, torch.nn.AdaptiveMaxPool3d, 3, indices=True),
]
