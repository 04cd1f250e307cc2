"""Dropout: in training, silence units at random so that none can rely on another."""

import torch
from torch import Tensor


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zero each element with probability p and scale the rest: y = x · m / (1 − p), m ~ Bernoulli(1 − p).

    The scale keeps the expected value, E[y] = x, so that nothing has to change when training ends. The mask is
    drawn just as PyTorch draws it on the CPU: the same seed gives the same zeros.

    Args:
        input: any tensor of floating-point numbers.
        p: probability of a zero.
        training: without it the input is handed back.
        inplace: write the result over the input.

    Shape:
        - input: [*]
        - Output: [*]

    Raises:
        ValueError: p is not a probability.
        RuntimeError: the numbers are integers, which cannot be scaled.

    Cost: one random number and two products an element; the mask is kept for the backward pass.

    References: Hinton et al. 2012, arXiv:1207.0580; Srivastava et al. 2014, JMLR 15:1929-1958.

    See: `minimodels.nn.Dropout`; tests/functional/test_masking.py.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> dropout(torch.ones(6), p=0.5)
        tensor([0., 0., 2., 0., 0., 0.])
    """
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if not training or p == 0.0 or input.numel() == 0:
        return input
    if p == 1.0:
        return input.zero_() if inplace else input * input.new_zeros(())
    mask = torch.empty_like(input).bernoulli_(1.0 - p)
    mask.div_(1.0 - p)
    return input.mul_(mask) if inplace else input * mask
