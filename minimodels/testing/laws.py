"""Laws: what must hold of an operation whatever numbers go in."""

from collections.abc import Callable

import torch
from torch import Tensor

Map = Callable[[Tensor], Tensor]


def assert_commutes(f: Map, g: Map, x: Tensor, rtol: float | None = None, atol: float | None = None) -> None:
    """Assert f(g(x)) = g(f(x)): a convolution commutes with translation, an activation with a permutation.

    Args:
        f: the operation under test.
        g: the transformation.
        x: where to try.
        rtol: relative tolerance; None takes `torch.testing.assert_close`'s.
        atol: absolute tolerance, likewise.

    Raises:
        AssertionError: the two differ.

    Example:
        >>> assert_commutes(torch.relu, lambda x: x.flip(0), torch.tensor([-1.0, 2.0]))
    """
    torch.testing.assert_close(f(g(x)), g(f(x)), rtol=rtol, atol=atol, equal_nan=True)


def assert_invariant(f: Map, g: Map, x: Tensor, rtol: float | None = None, atol: float | None = None) -> None:
    """Assert f(g(x)) = f(x): a softmax ignores a shift of all scores.

    Args:
        f: the operation under test.
        g: the transformation.
        x: where to try.
        rtol: relative tolerance; None takes `torch.testing.assert_close`'s.
        atol: absolute tolerance, likewise.

    Raises:
        AssertionError: the two differ.

    Example:
        >>> assert_invariant(torch.abs, torch.neg, torch.tensor([-1.0, 2.0]))
    """
    torch.testing.assert_close(f(g(x)), f(x), rtol=rtol, atol=atol, equal_nan=True)


def assert_linear(f: Map, x: Tensor, y: Tensor, rtol: float | None = None, atol: float | None = None) -> None:
    """Assert f(2x + 3y) = 2·f(x) + 3·f(y).

    Args:
        f: the operation under test.
        x: one point.
        y: another.
        rtol: relative tolerance; None takes `torch.testing.assert_close`'s.
        atol: absolute tolerance, likewise.

    Raises:
        AssertionError: the two sides differ.

    Example:
        >>> assert_linear(lambda x: x.sum(0), torch.ones(3), torch.arange(3.0))
    """
    torch.testing.assert_close(f(2 * x + 3 * y), 2 * f(x) + 3 * f(y), rtol=rtol, atol=atol)
