"""Functions ρ of a difference that give x − t and t − x the same loss, so that their slopes are odd."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from minimodels.functional.losses.elementwise import Rule, elementwise_loss
from minimodels.functional.losses.reduction import reduced
from minimodels.functional.precision import accumulator

OfDifference = Callable[[Tensor], Tensor]


class Even(NamedTuple):
    """An even function of d: the equation, a fast way to its value, and its slope. What ends in _ may write over d.

    Args:
        value: ρ, differentiable by autograd as often as one likes.
        value_: ρ in the fewest operations.
        slope_: ρ′ but for the factor, differentiable by autograd.
        scale: what ρ is multiplied by to be the loss.
        factor: what the slope is to be multiplied by.
    """

    value: OfDifference
    value_: OfDifference
    slope_: OfDifference
    scale: float = 1.0
    factor: float = 1.0


SQUARE = Even(torch.square, lambda d: d.mul_(d), lambda d: d, factor=2)
ABSOLUTE = Even(torch.abs, Tensor.abs_, Tensor.sign_)


def huber(delta: float) -> Even:
    """Give ½d² for |d| ≤ δ, and δ(|d| − ½δ) beyond.

    Args:
        delta: δ.

    Example:
        >>> huber(1.0).value(torch.tensor([0.5, -3.0]))
        tensor([0.1250, 2.5000])
    """
    return Even(lambda d: _huber(d, delta), lambda d: _huber_(d, delta), lambda d: _clip_(d, delta))


def loss_of_difference(rho: Even, input: Tensor, target: Tensor, reduction: str) -> Tensor:
    """Apply an even function to x − t, whose slope by the target is then ∂t = −ρ′(x − t) = ρ′(t − x).

    Args:
        rho: ρ.
        input: x.
        target: t; of another shape or type, it is plain algebra.
        reduction: "none", "mean" or "sum".

    Cost: the operations of ρ; no memory beyond a piece, see `elementwise_loss`.

    See: tests/functional/losses/test_regression.py.

    Example:
        >>> loss_of_difference(SQUARE, torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0]), "mean")
        tensor(2.)
    """
    plain = input.shape != target.shape or input.dtype != target.dtype or not input.is_floating_point()
    if plain:
        d = input - target
        dtype = d.dtype.to_real() if d.is_complex() else d.dtype
        loss = reduced(rho.value(d.to(accumulator(d.dtype))), reduction)
        return (loss if rho.scale == 1 else loss * rho.scale).to(dtype)
    rule = Rule(
        definition=lambda x, t: rho.value(x - t),
        value=lambda x, t, out: rho.value_(torch.sub(x, t, out=out)),
        slope=lambda x, t, out: rho.slope_(torch.sub(x, t, out=out)),
        slope_by_target=lambda x, t, out: rho.slope_(torch.sub(t, x, out=out)),
        factor=rho.factor,
    )
    return elementwise_loss(rule, reduction, input, target, scale=rho.scale)


def _huber(d: Tensor, delta: float) -> Tensor:
    """With c the error clipped to ±δ, Huber's two branches are one: (d − ½c)·c."""
    c = _corners_outside(d, delta) if d.requires_grad else d.clamp(-delta, delta)
    return torch.sub(d, c, alpha=0.5) * c


def _huber_(d: Tensor, delta: float) -> Tensor:
    """The same, written over d."""
    c = d.clamp(-delta, delta)
    return d.sub_(c, alpha=0.5).mul_(c)


def _clip_(d: Tensor, delta: float) -> Tensor:
    """Huber's slope, written over d unless that is differentiated."""
    return _corners_outside(d, delta) if d.requires_grad else d.clamp_(-delta, delta)


def _corners_outside(d: Tensor, delta: float) -> Tensor:
    """Clip so that at ±δ itself the derivative is that of outside, as PyTorch has it."""
    return d.where(d.abs() < delta, delta * d.sign())
