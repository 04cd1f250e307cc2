"""All parameters of a model as one vector, as mathematics writes them, and back."""

from collections.abc import Iterable

import torch
from torch import Tensor


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """Lay parameters behind one another in one vector; autograd follows.

    Args:
        parameters: contiguous tensors on one device.

    Returns:
        [the number of all their elements]

    Raises:
        TypeError: they are on different devices.
        RuntimeError: the memory of one has another order than its elements.
        ValueError: there is none.

    See: `vector_to_parameters`, the way back; tests/nn/utils/test_vectors.py.

    Example:
        >>> parameters_to_vector([torch.eye(2), torch.tensor(7.0)])
        tensor([1., 0., 0., 1., 7.])
    """
    parameters = list(parameters)
    _check_device(parameters)
    return torch.cat([parameter.view(-1) for parameter in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Give parameters the values of a vector, one after the other. They become views of it: nothing is copied.

    Args:
        vec: at least as many elements as the parameters have; what is left over is not used.
        parameters: tensors on one device, whose data are replaced.

    Raises:
        TypeError: `vec` is no tensor, or the parameters are on different devices.
        RuntimeError: the vector is too short.

    See: `parameters_to_vector`, the way there; tests/nn/utils/test_vectors.py.

    Example:
        >>> weight, bias = torch.zeros(2, 2), torch.zeros(1)
        >>> vector_to_parameters(torch.arange(5.0), [weight, bias])
        >>> bias
        tensor([4.])
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected torch.Tensor, but got: {torch.typename(vec)}")
    parameters = list(parameters)
    _check_device(parameters)
    start = 0
    for parameter in parameters:
        end = start + parameter.numel()
        parameter.data = vec[start:end].view_as(parameter).data
        start = end


def _check_device(parameters: list[Tensor]) -> None:
    if len({parameter.device for parameter in parameters}) > 1:
        raise TypeError("Found two parameters on different devices, this is currently not supported.")
