"""Dropouts as layers: at work in training, silent in evaluation."""

from torch import Tensor
from torch.nn import Module

from minimodels import functional as F


class DropoutNd(Module):
    """What dropouts share: how likely a zero is, and whether the input is written over.

    Args:
        p: probability of a zero.
        inplace: write the result over the input.

    Raises:
        ValueError: p is not a probability.
    """

    __constants__ = ["p", "inplace"]

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p = p
        self.inplace = inplace

    def extra_repr(self) -> str:
        """Show the settings."""
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(DropoutNd):
    """Zero elements with probability p while training, and scale the rest: y = x · m / (1 − p), m ~ Bernoulli(1 − p).

    Drop-in for torch.nn.Dropout; the same seed gives the same zeros on the CPU. In `eval` mode y = x.

    Args:
        p: probability of a zero.
        inplace: write the result over the input.

    Shape:
        - input: [*]
        - Output: [*]

    Raises:
        ValueError: p is not a probability.

    Cost: one random number and two products per element; the mask is kept for the backward pass.

    References: Hinton et al. 2012, arXiv:1207.0580; Srivastava et al. 2014, JMLR 15:1929-1958.

    See: `minimodels.functional.dropout`; tests/nn/test_dropout.py.

    Example:
        >>> import torch
        >>> Dropout(0.5).eval()(torch.ones(3))
        tensor([1., 1., 1.])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Draw a mask and apply it, in training.

        Args:
            input: any tensor of floating-point numbers.
        """
        return F.dropout(input, self.p, self.training, self.inplace)


class Dropout1d(DropoutNd):
    """Zero whole channels of a sequence with probability p while training, and scale the rest: y = x · m / (1 − p).

    Drop-in for torch.nn.Dropout1d; the same seed gives the same zeros on the CPU. In `eval` mode y = x.

    Args:
        p: probability of a zero.
        inplace: write the result over the input.

    Shape:
        - input: [N, C, L] or [C, L]
        - Output: as the input

    Raises:
        ValueError: p is not a probability.
        RuntimeError: the input has other dimensions.

    Cost: one random number per channel, one product per element.

    References: Tompson et al. 2015, arXiv:1411.4280, section 3.2.

    See: `minimodels.functional.dropout1d`; tests/nn/test_dropout.py.

    Example:
        >>> import torch
        >>> Dropout1d(0.5).eval()(torch.ones(2, 2)).mean()
        tensor(1.)
    """

    def forward(self, input: Tensor) -> Tensor:
        """Draw a mask for the channels and apply it, in training.

        Args:
            input: channels, of floating-point numbers.
        """
        return F.dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(DropoutNd):
    """Zero whole channels of an image with probability p while training, and scale the rest: y = x · m / (1 − p).

    Drop-in for torch.nn.Dropout2d; the same seed gives the same zeros on the CPU. In `eval` mode y = x.

    Args:
        p: probability of a zero.
        inplace: write the result over the input.

    Shape:
        - input: [N, C, H, W]; [N, C, *] is let through with PyTorch's warning
        - Output: as the input

    Raises:
        ValueError: p is not a probability.
        RuntimeError: the input has fewer than two dimensions.

    Cost: one random number per channel, one product per element.

    References: Tompson et al. 2015, arXiv:1411.4280, section 3.2.

    See: `minimodels.functional.dropout2d`; tests/nn/test_dropout.py.

    Example:
        >>> import torch
        >>> Dropout2d(0.5).eval()(torch.ones(2, 2, 2, 2)).mean()
        tensor(1.)
    """

    def forward(self, input: Tensor) -> Tensor:
        """Draw a mask for the channels and apply it, in training.

        Args:
            input: channels, of floating-point numbers.
        """
        return F.dropout2d(input, self.p, self.training, self.inplace)


class Dropout3d(DropoutNd):
    """Zero whole channels of a volume with probability p while training, and scale the rest: y = x · m / (1 − p).

    Drop-in for torch.nn.Dropout3d; the same seed gives the same zeros on the CPU. In `eval` mode y = x.

    Args:
        p: probability of a zero.
        inplace: write the result over the input.

    Shape:
        - input: [N, C, D, H, W] or [C, D, H, W]; [C, *] is let through with PyTorch's warning
        - Output: as the input

    Raises:
        ValueError: p is not a probability.
        RuntimeError: the input has no dimensions.

    Cost: one random number per channel, one product per element.

    References: Tompson et al. 2015, arXiv:1411.4280, section 3.2.

    See: `minimodels.functional.dropout3d`; tests/nn/test_dropout.py.

    Example:
        >>> import torch
        >>> Dropout3d(0.5).eval()(torch.ones(2, 2, 2, 2)).mean()
        tensor(1.)
    """

    def forward(self, input: Tensor) -> Tensor:
        """Draw a mask for the channels and apply it, in training.

        Args:
            input: channels, of floating-point numbers.
        """
        return F.dropout3d(input, self.p, self.training, self.inplace)
