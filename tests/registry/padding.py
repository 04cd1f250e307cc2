"""Padding as layers: their rows."""

from functools import partial

import torch

from minimodels import nn, testing
from minimodels.testing import Case
from tests.registry.row import Row, x

SIZE = (4, 5, 3)


def pad(name: str, mode: str, dims: int) -> Row:
    """The row of one layer; what each mode refuses follows from what it shows."""
    plain, number = x(2, 3, *SIZE[:dims]), (1.5,) if name == "Constant" else ()
    too_many = {"constant": -3, "reflect": 5, "replicate": None, "circular": 6}[mode]
    wrong = [] if too_many is None else [Case((plain,), (too_many, *number))]
    if mode != "constant":
        wrong += [Case((x(5),), (1,)), Case((x(1, *plain.shape),), (1,))]
    layer = f"{name}Pad{dims}d"
    return Row(
        getattr(nn, layer),
        getattr(torch.nn, layer),
        partial(testing.pad_cases, dims, mode, value=name == "Constant"),
        Case((plain,), ((1, 2, *(2, 1) * (dims - 1)), *number)),
        bad=(*wrong, Case((plain,), ((1,) * (2 * dims - 1), *number))),
        dissolves=mode == "circular",
    )


MODES = {
    "Constant": "constant",
    "Zero": "constant",
    "Reflection": "reflect",
    "Replication": "replicate",
    "Circular": "circular",
}

ROWS = [pad(name, mode, dims) for name, mode in MODES.items() for dims in (1, 2, 3)]
