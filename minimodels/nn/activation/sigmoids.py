"""Sigmoids, their integrals and logarithms as layers."""

from torch import Tensor
from torch.nn import Module

from minimodels import functional as F


class Sigmoid(Module):
    """Squash into (0, 1): y = σ(x) = 1 / (1 + exp(−x)).

    Drop-in for torch.nn.Sigmoid.

    Args: none.

    Shape:
        - input: [*]
        - Output: [*]

    Cost: one exponential per element; keeps its output for the backward pass.

    References: Rumelhart, Hinton & Williams 1986, doi:10.1038/323533a0.

    See: `minimodels.functional.sigmoid`; tests/nn/test_activation.py.

    Example:
        >>> import torch
        >>> Sigmoid()(torch.tensor([0.0, 100.0]))
        tensor([0.5000, 1.0000])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Apply the function to every element.

        Args:
            input: any tensor.
        """
        return F.sigmoid(input)


class Tanh(Module):
    """Squash into (−1, 1): y = (exp(x) − exp(−x)) / (exp(x) + exp(−x)).

    Drop-in for torch.nn.Tanh.

    Args: none.

    Shape:
        - input: [*]
        - Output: [*]

    Cost: one hyperbolic tangent per element; keeps its output for the backward pass.

    References: LeCun et al. 1998, "Efficient BackProp", doi:10.1007/3-540-49430-8_2, section 1.4.4.

    See: `minimodels.functional.tanh`; tests/nn/test_activation.py.

    Example:
        >>> import torch
        >>> Tanh()(torch.tensor([-100.0, 0.0]))
        tensor([-1.,  0.])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Apply the function to every element.

        Args:
            input: any tensor.
        """
        return F.tanh(input)


class Softsign(Module):
    """Squash into (−1, 1), levelling out as slowly as 1/x: y = x / (1 + |x|).

    Drop-in for torch.nn.Softsign.

    Args: none.

    Shape:
        - input: [*]
        - Output: [*]

    Raises:
        NotImplementedError: the input is boolean.

    Cost: three operations per element; keeps its input for the backward pass.

    References: Glorot & Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks".

    See: `minimodels.functional.softsign`; tests/nn/test_activation.py.

    Example:
        >>> import torch
        >>> Softsign()(torch.tensor([-3.0, 1.0]))
        tensor([-0.7500,  0.5000])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Apply the function to every element.

        Args:
            input: any tensor.
        """
        return F.softsign(input)


class LogSigmoid(Module):
    """Take the logarithm of the sigmoid without forming it: y = min(0, x) − log(1 + exp(−|x|)).

    Drop-in for torch.nn.LogSigmoid.

    Args: none.

    Shape:
        - input: [*]
        - Output: [*]

    Raises:
        NotImplementedError: the input is not floating-point.

    Cost: one exponential and one logarithm per element; keeps its input for the backward pass.

    See: `minimodels.functional.logsigmoid`; tests/nn/test_activation.py.

    Example:
        >>> import torch
        >>> LogSigmoid()(torch.tensor([-1000.0]))
        tensor([-1000.])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Apply the function to every element.

        Args:
            input: any tensor.
        """
        return F.logsigmoid(input)


class Softplus(Module):
    """Round off the kink of the rectifier: y = log(1 + exp(β·x)) / β.

    Drop-in for torch.nn.Softplus.

    Args:
        beta: β, the larger, the closer to the rectifier.
        threshold: where β·x exceeds it, y = x.

    Shape:
        - input: [*]
        - Output: [*]

    Raises:
        NotImplementedError: the input is not floating-point.

    Cost: one exponential and one logarithm per element; keeps its input for the backward pass.

    References: Dugas et al. 2001, "Incorporating second-order functional knowledge for better option pricing".

    See: `minimodels.functional.softplus`; tests/nn/test_activation.py.

    Example:
        >>> import torch
        >>> Softplus()(torch.tensor([0.0, 100.0]))
        tensor([  0.6931, 100.0000])
    """

    __constants__ = ["beta", "threshold"]

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta = beta
        self.threshold = threshold

    def forward(self, input: Tensor) -> Tensor:
        """Apply the function to every element.

        Args:
            input: any tensor of floating-point numbers.
        """
        return F.softplus(input, self.beta, self.threshold)

    def extra_repr(self) -> str:
        """Show the settings."""
        return f"beta={self.beta}, threshold={self.threshold}"
