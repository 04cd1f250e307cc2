"""The oracle that proves this library, for your own layers too: strategies, laws, and equivalence to a reference.

cases         valid constructor arguments and inputs for each family of layers, drawn by hypothesis
equivalence   assert_equivalent: outputs, gradients, second derivatives and buffers of two modules or functions
laws          assert_commutes, assert_invariant, assert_linear: what must hold whatever the numbers

Needs hypothesis, which comes with the `dev` extra.

Example:
    >>> import torch
    >>> from minimodels import nn
    >>> assert_equivalent(nn.Linear(3, 2), torch.nn.Linear(3, 2), torch.randn(4, 3))
"""

try:
    import hypothesis  # noqa: F401  (asked for first, so that its absence is named with the remedy)
except ModuleNotFoundError as error:
    remedy = "minimodels.testing draws its cases with hypothesis; run: pip install hypothesis"
    raise ModuleNotFoundError(remedy, name="hypothesis") from error

from minimodels.testing.cases import *  # noqa: F403  (all strategies, under one name)
from minimodels.testing.cases import __all__ as _strategies
from minimodels.testing.equivalence import assert_equivalent, assert_same, derivatives
from minimodels.testing.laws import assert_commutes, assert_invariant, assert_linear

__all__ = [
    "assert_commutes",
    "assert_equivalent",
    "assert_invariant",
    "assert_linear",
    "assert_same",
    "derivatives",
]
__all__ += _strategies
