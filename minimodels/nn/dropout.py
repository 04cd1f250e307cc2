"""Dropout as a layer: at work in training, silent in evaluation."""

from torch import Tensor
from torch.nn import Module

from minimodels import functional as F


class Dropout(Module):
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

    Cost: one random number and two products an element; the mask is kept for the backward pass.

    References: Hinton et al. 2012, arXiv:1207.0580; Srivastava et al. 2014, JMLR 15:1929-1958.

    See: `minimodels.functional.dropout`; tests/nn/test_dropout.py.

    Example:
        >>> import torch
        >>> Dropout(0.5).eval()(torch.ones(3))
        tensor([1., 1., 1.])
    """

    __constants__ = ["p", "inplace"]

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p = p
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """Draw a mask and apply it, in training.

        Args:
            input: any tensor of floating-point numbers.
        """
        return F.dropout(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        """Show the settings."""
        return f"p={self.p}, inplace={self.inplace}"
