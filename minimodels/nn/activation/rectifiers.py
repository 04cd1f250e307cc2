"""Rectifiers as layers."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import Module, Parameter

from minimodels import functional as F
from minimodels.nn.activation.base import ShownInPlace


class ReLU(ShownInPlace):
    """Keep what is positive: y = max(0, x).

    Drop-in for torch.nn.ReLU.

    Args:
        inplace: write the result over the input.

    Shape:
        - input: [*]
        - Output: [*]

    Cost: one comparison per element.

    References: Fukushima 1969, doi:10.1109/TSSC.1969.300225; Nair & Hinton 2010 (in deep networks).

    See: `minimodels.functional.relu`; tests/nn/test_activation.py.

    Example:
        >>> import torch
        >>> ReLU()(torch.tensor([-1.0, 2.0]))
        tensor([0., 2.])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Apply the function to every element.

        Args:
            input: any tensor of real numbers.
        """
        return F.relu(input, self.inplace)


class LeakyReLU(ShownInPlace):
    """Weaken what is negative instead of cutting it off: y = max(0, x) + a·min(0, x).

    Drop-in for torch.nn.LeakyReLU.

    Args:
        negative_slope: a.
        inplace: write the result over the input.

    Shape:
        - input: [*]
        - Output: [*]

    Raises:
        NotImplementedError: the input is not floating-point.

    Cost: three operations per element; keeps its input for the backward pass.

    References: Maas, Hannun & Ng 2013, "Rectifier nonlinearities improve neural network acoustic models".

    See: `minimodels.functional.leaky_relu`; tests/nn/test_activation.py.

    Example:
        >>> import torch
        >>> LeakyReLU(0.1)(torch.tensor([-1.0, 2.0]))
        tensor([-0.1000,  2.0000])
    """

    __constants__ = ["inplace", "negative_slope"]

    def __init__(self, negative_slope: float = 1e-2, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.negative_slope = negative_slope

    def forward(self, input: Tensor) -> Tensor:
        """Apply the function to every element.

        Args:
            input: any tensor of floating-point numbers.
        """
        return F.leaky_relu(input, self.negative_slope, self.inplace)

    def extra_repr(self) -> str:
        """Show the settings."""
        return self._shown(f"negative_slope={self.negative_slope}")


class PReLU(Module):
    """Learn how much to weaken what is negative: y = max(0, x) + a·min(0, x).

    Drop-in for torch.nn.PReLU.

    Args:
        num_parameters: one a, or one per channel.
        init: what a starts from.
        device: where the parameters are.
        dtype: of what type they are.

    Shape:
        - input: [*], or [N, C, *] with one per channel
        - Output: as the input

    Attributes:
        weight: [num_parameters], a.

    Raises:
        RuntimeError: there are not as many numbers as channels, or the types differ.

    Cost: four operations per element; ∂a is the sum of ∂y·min(0, x) over all elements that share a.

    References: He et al. 2015, arXiv:1502.01852, equation (1).

    See: `minimodels.functional.prelu`; tests/nn/test_activation.py.

    Example:
        >>> import torch
        >>> PReLU()(torch.tensor([-1.0, 2.0])).detach()
        tensor([-0.2500,  2.0000])
    """

    __constants__ = ["num_parameters"]

    weight: Tensor

    def __init__(
        self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: torch.dtype | None = None
    ) -> None:
        super().__init__()
        self.num_parameters = num_parameters
        self.init = init
        self.weight = Parameter(torch.empty(num_parameters, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start again from `init`."""
        with torch.no_grad():
            self.weight.fill_(self.init)

    def forward(self, input: Tensor) -> Tensor:
        """Apply the function to every element.

        Args:
            input: any tensor of floating-point numbers.
        """
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        """Show the setting."""
        return f"num_parameters={self.num_parameters}"


class Threshold(ShownInPlace):
    """Replace what does not exceed a threshold: y = x if x > t, else v.

    Drop-in for torch.nn.Threshold.

    Args:
        threshold: t.
        value: v.
        inplace: write the result over the input.

    Shape:
        - input: [*]
        - Output: [*]

    Raises:
        NotImplementedError: the input is boolean, or complex and so without an order.

    Cost: five operations per element; keeps its input for the backward pass.

    See: `minimodels.functional.threshold`; tests/nn/test_activation.py.

    Example:
        >>> import torch
        >>> Threshold(0.5, 20.0)(torch.tensor([-1.0, 2.0]))
        tensor([20.,  2.])
    """

    __constants__ = ["threshold", "value", "inplace"]

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.threshold = threshold
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        """Apply the function to every element.

        Args:
            input: any tensor of real numbers.
        """
        return F.threshold(input, self.threshold, self.value, self.inplace)

    def extra_repr(self) -> str:
        """Show the settings."""
        return self._shown(f"threshold={self.threshold}, value={self.value}")
