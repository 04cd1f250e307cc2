"""Activations: their rows."""

import functools

import torch
from hypothesis import strategies as st

from minimodels import nn, testing
from minimodels.testing import Case
from tests.registry.row import Row, labels, x

GRID = Case((x(2, 3, 4, 5),))
INTEGERS, COMPLEX, TRUTHS = Case((labels(-1, 2),)), Case((x(2) * 1j,)), Case((labels(0, 1) > 0,))
FLOATS_ONLY = (INTEGERS, COMPLEX, TRUTHS)


def cases(inplace: bool = False, **settings: list[float]):
    """The strategy of an element-wise layer whose settings are one of those listed."""
    return functools.partial(
        testing.elementwise_cases, inplace, **{name: st.sampled_from(values) for name, values in settings.items()}
    )


def softmin_cases():
    """Costs are scores the other way round: an infinite one is no choice."""
    return testing.softmax_cases().map(lambda case: Case((-case.inputs[0],), case.args, case.kwargs))


ROWS = [
    Row(nn.ReLU, torch.nn.ReLU, cases(inplace=True), GRID, dissolves=True, bad=(COMPLEX, TRUTHS)),
    Row(
        nn.LeakyReLU,
        torch.nn.LeakyReLU,
        cases(inplace=True, negative_slope=[0.01, 0.5, 2.0, 0.0]),
        GRID,
        bad=FLOATS_ONLY,
    ),
    Row(
        nn.PReLU,
        torch.nn.PReLU,
        testing.prelu_cases,
        Case((x(2, 3, 4, 5),), (3,)),
        bad=(
            Case((x(2, 3),), (2,)),
            Case((x(2),), (2,)),
            Case((x(),), (2,)),
            *(Case(case.inputs) for case in FLOATS_ONLY),
            Case((x(2).float(),)),
        ),
    ),
    Row(
        nn.Threshold,
        torch.nn.Threshold,
        testing.threshold_cases,
        Case((x(2, 3, 4, 5),), (0.1, 20.0)),
        bad=(Case(COMPLEX.inputs, (0.1, 20.0)), Case(TRUTHS.inputs, (0.1, 20.0))),
    ),
    Row(
        nn.Hardtanh,
        torch.nn.Hardtanh,
        cases(inplace=True, min_val=[-1.0, -2.5], max_val=[1.0, 0.5, 50.0]),
        GRID,
        bad=(
            COMPLEX,
            TRUTHS,
            Case((labels(1, 2).to(torch.uint8),)),
            Case((), (1.0, -1.0)),
            Case((), (1.0, 1.0)),
        ),
    ),
    Row(nn.ReLU6, torch.nn.ReLU6, cases(inplace=True), GRID, bad=(COMPLEX, TRUTHS)),
    Row(
        nn.Hardsigmoid,
        torch.nn.Hardsigmoid,
        cases(inplace=True),
        GRID,
        order=1,
        tolerance=1e-7,  # its derivative is float32's 1/6 for float64 too
        bad=FLOATS_ONLY,
    ),
    Row(nn.Hardswish, torch.nn.Hardswish, cases(inplace=True), GRID, bad=FLOATS_ONLY),
    Row(nn.ELU, torch.nn.ELU, cases(inplace=True, alpha=[1.0, 0.5, 2.0]), GRID, bad=FLOATS_ONLY),
    Row(
        nn.CELU,
        torch.nn.CELU,
        cases(inplace=True, alpha=[1.0, 0.5, 2.0]),
        GRID,
        bad=(*FLOATS_ONLY, Case((x(2),), (0.0,))),
    ),
    Row(nn.SELU, torch.nn.SELU, cases(inplace=True), GRID, bad=FLOATS_ONLY),
    Row(nn.Sigmoid, torch.nn.Sigmoid, cases(), GRID, dissolves=True, algebra=True),
    Row(nn.Tanh, torch.nn.Tanh, cases(), GRID, dissolves=True, algebra=True),
    Row(nn.Softsign, torch.nn.Softsign, cases(), GRID, dissolves=True, bad=(TRUTHS,)),
    Row(
        nn.Softplus,
        torch.nn.Softplus,
        cases(beta=[1.0, 0.5, 3.0], threshold=[20.0, 1.3, -2.3]),
        GRID,
        bad=FLOATS_ONLY,
    ),
    Row(nn.LogSigmoid, torch.nn.LogSigmoid, cases(), GRID, bad=FLOATS_ONLY),
    Row(
        nn.GELU,
        torch.nn.GELU,
        cases(approximate=["none", "tanh"]),
        GRID,
        bad=(*FLOATS_ONLY, Case((x(2),), ("sigmoid",))),
    ),
    Row(nn.SiLU, torch.nn.SiLU, cases(inplace=True), GRID, bad=(INTEGERS, TRUTHS)),
    Row(nn.Mish, torch.nn.Mish, cases(inplace=True), GRID, bad=FLOATS_ONLY),
    Row(
        nn.GLU,
        torch.nn.GLU,
        testing.glu_cases,
        Case((x(4, 6),)),
        bad=(*FLOATS_ONLY, Case((x(),)), Case((x(3),)), Case((x(4),), (1,)), Case((x(4, 2),), (-3,))),
    ),
    Row(
        nn.Softmax,
        torch.nn.Softmax,
        testing.softmax_cases,
        Case((x(4, 5),), (), {"dim": 1}),
        bad=(
            Case((x(4, 5),), (), {"dim": 2}),
            Case((x(),), (), {"dim": 1}),
            Case((labels(1, 2),), (), {"dim": 0}),
            Case((x(2) * 1j,), (), {"dim": 0}),
        ),
    ),
    Row(
        nn.LogSoftmax,
        torch.nn.LogSoftmax,
        testing.softmax_cases,
        Case((x(4, 5),), (), {"dim": 1}),
        bad=(Case((x(4, 5),), (), {"dim": -3}), Case((labels(1, 2),), (), {"dim": 0})),
    ),
    Row(
        nn.Softmin,
        torch.nn.Softmin,
        softmin_cases,
        Case((x(4, 5),), (), {"dim": 1}),
        bad=(
            Case((x(4, 5),), (), {"dim": 2}),
            Case((labels(1, 2),), (), {"dim": 0}),
            Case(TRUTHS.inputs, (), {"dim": 0}),
        ),
    ),
    Row(
        nn.Softmax2d,
        torch.nn.Softmax2d,
        testing.softmax2d_cases,
        GRID,
        bad=(Case((x(4, 5),)), Case((x(1, 2, 3, 4, 5),)), Case((labels(1, 2).view(2, 1, 1),))),
    ),
]
