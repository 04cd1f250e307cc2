"""What the size of initial weights follows from: the inputs of an output, and what the non-linearity takes away."""

import math

from torch import Tensor

_GAINS = {
    **dict.fromkeys(("linear", "conv1d", "conv2d", "conv3d", "sigmoid"), 1.0),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), 1.0),
    "tanh": 5.0 / 3,
    "relu": math.sqrt(2.0),
    "selu": 3.0 / 4,
}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Give the factor by which weights before a non-linearity are larger, to make up for what it takes away.

    linear, convolutions, sigmoid 1; tanh 5/3; relu √2; leaky_relu √(2 / (1 + a²)) with slope a; selu 3/4.

    relu and leaky_relu halve the second moment of a symmetric signal, exactly; tanh's and selu's numbers were found
    by trial. A self-normalising network wants "linear" before its selu: variance 1/fan_in is its fixed point.

    Args:
        nonlinearity: its name in torch.nn.functional.
        param: the slope of leaky_relu, 0.01 by default.

    Raises:
        ValueError: the name or the slope is not known.

    References: He et al. 2015, arXiv:1502.01852, section 2.2.

    Example:
        >>> calculate_gain("relu") ** 2
        2.0000000000000004
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ValueError(f"negative_slope {param} not a valid number")
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity not in _GAINS:
        raise ValueError(f"Unsupported nonlinearity {nonlinearity}")
    return _GAINS[nonlinearity]


def fans(tensor: Tensor) -> tuple[int, int]:
    """Count the inputs that feed one output (fan in), and the outputs that one input feeds (fan out).

    Args:
        tensor: a weight [O, I, *kernel].

    Returns:
        (I·kernel, O·kernel)

    Raises:
        ValueError: the tensor has fewer than two dimensions.

    Example:
        >>> fans(Tensor(64, 32, 3, 3))
        (288, 576)
    """
    if tensor.ndim < 2:
        raise ValueError("Fan in and fan out can not be computed for tensor with fewer than 2 dimensions")
    kernel = math.prod(tensor.shape[2:])
    return tensor.shape[1] * kernel, tensor.shape[0] * kernel
