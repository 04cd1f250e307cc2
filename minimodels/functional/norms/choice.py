"""Which form of a normalisation serves whom, and in which type."""

import torch
from torch import Tensor

from minimodels.functional.norms import definition, pieces
from minimodels.functional.norms.definition import Axes, Normalized
from minimodels.functional.precision import Operand, autocast_to_float32
from minimodels.functional.transforms import steps_aside
from minimodels.tap import listened


def normalize(x: Tensor, weight: Tensor | None, bias: Tensor | None, axes: Axes) -> Normalized:
    """Choose the algorithm: pieces for eager CPU and GPU code, the definition for all who would look inside.

    Args:
        x: what is normalised.
        weight: γ, broadcastable to x; None is 1.
        bias: β, likewise; None is 0.
        axes: the dimensions, and ε.

    See: tests/functional/test_norms.py.

    Example:
        >>> normalize(torch.tensor([[1.0, 3.0, 3.0, 1.0]]), None, None, Axes((1,), 0.0)).output
        tensor([[-1.,  1.,  1., -1.]])
    """
    if left_to_the_definition(x, weight, bias):
        return definition.normalize(x, weight, bias, axes)
    return pieces.normalize(x, weight, bias, axes)


def left_to_the_definition(x: Tensor, *parameters: Tensor | None) -> bool:
    """Say whether the definition serves: a compiler, a transform, a listener, complex numbers, or nothing at all.

    Args:
        x: what is normalised.
        parameters: γ and β; None does not count.

    Example:
        >>> left_to_the_definition(torch.ones(2, 3)), left_to_the_definition(torch.ones(0, 3))
        (False, True)
    """
    operands = [t for t in (x, *parameters) if t is not None]
    return torch.compiler.is_compiling() or listened() or x.is_complex() or not x.numel() or steps_aside(*operands)


def viewed(parameter: Tensor | None, shape: tuple[int, ...]) -> Tensor | None:
    """Bring γ or β into a shape that meets the input's.

    Args:
        parameter: one of them, or None.
        shape: of as many numbers.
    """
    return None if parameter is None else parameter.reshape(shape)


def autocast(reference: Tensor, operand: Operand) -> Operand:
    """Cast to float32 on the devices where autocast counts the operation among the float32 ones; a CPU is none.

    Args:
        reference: the input, of which the device counts.
        operand: the input or a parameter, or None.
    """
    return operand if reference.device.type == "cpu" else autocast_to_float32(reference, operand)
