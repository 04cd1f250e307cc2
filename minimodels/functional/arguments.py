"""Numbers that a caller gives once or once a dimension, brought into one form."""

import operator
from collections.abc import Iterable
from typing import Any

import torch

from minimodels.shapes import ntuple


def spread(value: int | Iterable[int], dims: int, name: str) -> tuple[int, ...]:
    """Give each spatial dimension its number; a single one serves all.

    Args:
        value: one number, or one per dimension, of any whole type.
        dims: the number of spatial dimensions.
        name: what the numbers are, for the message.

    Raises:
        RuntimeError: there are too many or too few.
        TypeError: one is not whole.

    Example:
        >>> spread(2, 3, "stride"), spread((1, 2), 2, "stride")
        ((2, 2, 2), (1, 2))
    """
    values = tuple(map(whole, ntuple(value, dims)))
    values = values * dims if len(values) == 1 else values
    if len(values) != dims:
        raise RuntimeError(f"{name} must either be a single int, or a tuple of {dims} ints, but got {value}")
    return values


def whole(number: Any) -> Any:
    """Take whole numbers of any make, NumPy's and a compiler's symbols too; a fraction or None is a TypeError.

    Args:
        number: what the caller gave.

    Example:
        >>> import numpy
        >>> whole(numpy.int64(3))
        3
    """
    return number if isinstance(number, torch.SymInt) else operator.index(number)
