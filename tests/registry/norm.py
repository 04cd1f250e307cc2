"""Normalisations: their rows."""

import functools

import torch

from minimodels import nn, testing
from minimodels.testing import Case
from tests.registry.row import Row, x

FLOAT64_SUMS = 16
"""PyTorch's batch norm adds float32 numbers up in float64 on a CPU; ours in float32, dozens of terms that cancel."""

BATCH = [
    Row(
        ours,
        reference,
        functools.partial(testing.batch_norm_cases, dims=dims),
        Case((x(4, 3, *[2] * dims) + 2,), (3,)),
        tracks=True,
        roundings=FLOAT64_SUMS,
        bad=(
            Case((x(4),), (4,)),
            Case((x(4, 3, *[2] * (dims + 1)),), (3,)),
            Case((x(1, 3, *[1] * dims),), (3,)),
            Case((x(4, 2, *[2] * dims),), (3,)),
            Case((x(4, 2, *[2] * dims),), (3,), {"track_running_stats": False}),
            Case((x(4, 2, *[2] * dims),), (3,), {"affine": False}),
            Case((x(4, 3, *[2] * dims).float(),), (3,)),
            Case((x(4, 3, *[2] * dims).long(),), (3,), {"affine": False, "track_running_stats": False}),
            Case((x(4, 3, *[2] * dims),), (3,), {"eps": 0.0}),
            Case((x(4, 3, *[2] * dims),), (3,), {"eps": -1e-5}),
            Case((), (2.5,)),
            Case((), (-1,)),
        ),
    )
    for dims, ours, reference in (
        (1, nn.BatchNorm1d, torch.nn.BatchNorm1d),
        (2, nn.BatchNorm2d, torch.nn.BatchNorm2d),
        (3, nn.BatchNorm3d, torch.nn.BatchNorm3d),
    )
]

INSTANCE = [
    Row(
        ours,
        reference,
        functools.partial(testing.instance_norm_cases, dims=dims),
        Case((x(4, 3, *[2] * dims) + 2,), (3,), {"affine": True}),
        roundings=FLOAT64_SUMS,
        bad=(
            Case((x(4),), (4,)),
            Case((x(4, 3, *[2] * (dims + 1)),), (3,)),
            Case((x(4, 3, *[1] * dims),), (3,)),
            Case((x(4, 2, *[2] * dims),), (3,), {"affine": True}),
            Case((x(2, *[2] * dims),), (3,), {"affine": True}),
            Case((x(4, 3, *[2] * dims).float(),), (3,), {"affine": True}),
            Case((x(4, 3, *[2] * dims).long(),), (3,)),
            Case((), (2.5,), {"affine": True}),
        ),
    )
    for dims, ours, reference in (
        (1, nn.InstanceNorm1d, torch.nn.InstanceNorm1d),
        (2, nn.InstanceNorm2d, torch.nn.InstanceNorm2d),
        (3, nn.InstanceNorm3d, torch.nn.InstanceNorm3d),
    )
]

ROWS: list[Row] = [
    *BATCH,
    *INSTANCE,
    Row(
        nn.LayerNorm,
        torch.nn.LayerNorm,
        testing.layer_norm_cases,
        Case((x(4, 3, 5) + 2,), ((3, 5),)),
        bad=(
            Case((x(4, 6),), (5,)),
            Case((x(5),), ((4, 5),)),
            Case((x(4, 5),), ([],)),
            Case((x(4, 5).float(),), (5,)),
            Case((x(4, 5).long(),), (5,), {"elementwise_affine": False}),
            Case((x(4, 5) * 1j,), (5,), {"elementwise_affine": False}),
            Case((), (4.5,)),
            Case((), (-1,)),
        ),
    ),
    Row(
        nn.RMSNorm,
        torch.nn.RMSNorm,
        testing.rms_norm_cases,
        Case((x(4, 3, 5) + 2,), ((3, 5),)),
        dissolves=True,
        bad=(
            Case((x(4, 6),), (5,)),
            Case((x(5),), ((4, 5),)),
            Case((x(4, 5),), ([],)),
            Case((x(4, 5).long(),), (5,), {"elementwise_affine": False}),
            Case((), (4.5,)),
            Case((), (-1,)),
        ),
    ),
    Row(
        nn.GroupNorm,
        torch.nn.GroupNorm,
        testing.group_norm_cases,
        Case((x(4, 6, 2, 3) + 2,), (3, 6)),
        bad=(
            Case((), (4, 6)),
            Case((), (0, 6)),
            Case((x(4, 6),), (-2, 6)),
            Case((x(4, 6),), (2.0, 6)),
            Case((x(6),), (2, 6)),
            Case((x(4, 5, 2),), (2, 6)),
            Case((x(4, 4, 2),), (2, 6)),
            Case((x(1, 6),), (6, 6)),
            Case((x(4, 6, 2).float(),), (2, 6)),
            Case((x(4, 6, 2).long(),), (2, 6), {"affine": False}),
        ),
    ),
]
