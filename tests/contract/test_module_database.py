"""PyTorch's own database of module inputs and error inputs, run over every registered layer."""

import pytest
import torch
from torch.testing._internal.common_modules import ModuleErrorEnum, module_db
from torch.utils._pytree import tree_leaves

from minimodels.testing import assert_equivalent, assert_same
from tests.registry import LAYERS, Row

INFOS = {info.module_cls: info for info in module_db}
# PyTorch 2.13's database has no entry for these; the other contracts cover them.
UNKNOWN = {
    *("Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "Hardsigmoid"),
    *("Identity", "Flatten", "Unflatten", "TransformerDecoder"),
}
COVERED = [row for row in LAYERS if row.reference in INFOS]
rows = pytest.mark.parametrize("row", COVERED, ids=str)
modes = pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])


def entries(row: Row, dtype, training, device="cpu"):
    info = INFOS[row.reference]
    return info.module_inputs_func(info, device=device, dtype=dtype, requires_grad=False, training=training)


def pair(row: Row, entry, dtype, device, training):
    """Build both, the reference as it computes when nobody gives it advice: only that promises all derivatives."""
    modules = []
    args, kwargs = entry.constructor_input.args, entry.constructor_input.kwargs
    plainly = {name: value for name, value in kwargs.items() if name not in row.advice}
    for layer, settings in ((row.ours, kwargs), (row.reference, plainly)):
        torch.manual_seed(0)
        module = layer(*args, **settings)
        modules.append(module.to(device, dtype).train(training))
    return modules


class Call(torch.nn.Module):
    """A module whose last arguments go in by name."""

    def __init__(self, module, names):
        super().__init__()
        self.module, self.names = module, names

    def forward(self, *inputs):
        first = len(inputs) - len(self.names)
        return self.module(*inputs[:first], **dict(zip(self.names, inputs[first:], strict=True)))


def test_the_database_knows_most_layers():
    assert {row.ours.__name__ for row in LAYERS} - {row.ours.__name__ for row in COVERED} <= UNKNOWN


@rows
@modes
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_entries(row, dtype, training, device):
    found = entries(row, dtype, training, str(device))
    assert found
    tolerance = {} if dtype is torch.float64 else {"rtol": 1e-4, "atol": 1e-4}
    for entry in found:
        ours, reference = pair(row, entry, dtype, device, training)
        forward = entry.forward_input
        names, values = list(forward.kwargs), list(forward.kwargs.values())
        calls = [Call(module, names) for module in (ours, reference)]
        order = row.order if dtype is torch.float64 else 1  # a backward may go another way when differentiated itself
        assert_equivalent(*calls, *forward.args, *values, order=order, **tolerance)
        constructor = entry.constructor_input
        assert repr(ours) == repr(row.reference(*constructor.args, **constructor.kwargs))


@rows
@modes
def test_reference_functions(row, training, device):
    """Where the database carries a formula of its own for the output, it holds for ours as it does for PyTorch's.

    Some formulas are evaluated in float32, whatever goes in.
    """
    for entry in entries(row, torch.float64, training, str(device)):
        if entry.reference_fn is not None:
            ours, reference = pair(row, entry, torch.float64, device, training)
            forward = entry.forward_input
            expected = tree_leaves(entry.reference_fn(ours, *forward.args, **forward.kwargs))
            outputs, theirs = (tree_leaves(f(*forward.args, **forward.kwargs)) for f in (ours, reference))
            for output, their, wanted in zip(outputs, theirs, expected, strict=True):
                formula = torch.as_tensor(wanted, dtype=output.dtype)
                distance = max(1e-7, (their - formula).abs().max().item()) if their.numel() else 0.0
                assert_same(output, formula, entry.desc, rtol=1e-7, atol=1.001 * distance)


@rows
def test_error_inputs(row, device):
    info = INFOS[row.reference]
    if info.module_error_inputs_func is None:
        return
    for error in info.module_error_inputs_func(
        info, device=str(device), dtype=torch.float32, requires_grad=False, training=True
    ):
        entry = error.module_error_input
        construction, forward = entry.constructor_input, entry.forward_input
        if error.error_on is ModuleErrorEnum.CONSTRUCTION_ERROR:
            with pytest.raises(error.error_type, match=error.error_regex):
                row.ours(*construction.args, **construction.kwargs)
        else:
            module = row.ours(*construction.args, **construction.kwargs).to(device)
            with pytest.raises(error.error_type, match=error.error_regex):
                module(*forward.args, **forward.kwargs)
