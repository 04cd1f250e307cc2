"""Clipped lines as layers."""

import warnings

from torch import Tensor

from minimodels import functional as F
from minimodels.nn.activation.base import InPlace, ShownInPlace


class Hardtanh(ShownInPlace):
    """Clip to a range: y = min(max(x, a), b).

    Drop-in for torch.nn.Hardtanh.

    Args:
        min_val: a.
        max_val: b.
        inplace: write the result over the input.
        min_value: deprecated name of `min_val`.
        max_value: deprecated name of `max_val`.

    Shape:
        - input: [*]
        - Output: [*]

    Raises:
        AssertionError: a is not smaller than b.
        RuntimeError: the input is boolean, or unsigned where a bound is negative.

    Cost: two comparisons per element; keeps its input for the backward pass.

    References: Collobert 2004, "Large scale machine learning", PhD thesis, Université Paris VI.

    See: `minimodels.functional.hardtanh`; tests/nn/test_activation.py.

    Example:
        >>> import torch
        >>> Hardtanh()(torch.tensor([-3.0, 0.5, 3.0]))
        tensor([-1.0000,  0.5000,  1.0000])
    """

    __constants__ = ["min_val", "max_val", "inplace"]

    def __init__(
        self,
        min_val: float = -1.0,
        max_val: float = 1.0,
        inplace: bool = False,
        min_value: float | None = None,
        max_value: float | None = None,
    ) -> None:
        super().__init__(inplace)
        self.min_val = min_val if min_value is None else _renamed("min", min_value)
        self.max_val = max_val if max_value is None else _renamed("max", max_value)
        if self.max_val <= self.min_val:
            raise AssertionError(f"max_val ({self.max_val}) must be greater than min_val ({self.min_val})")

    def forward(self, input: Tensor) -> Tensor:
        """Apply the function to every element.

        Args:
            input: any tensor of real numbers.
        """
        return F.hardtanh(input, self.min_val, self.max_val, self.inplace)

    def extra_repr(self) -> str:
        """Show the settings."""
        return self._shown(f"min_val={self.min_val}, max_val={self.max_val}")


class ReLU6(Hardtanh):
    """Keep what is positive, up to 6: y = min(max(0, x), 6).

    Drop-in for torch.nn.ReLU6.

    Args:
        inplace: write the result over the input.

    Shape:
        - input: [*]
        - Output: [*]

    Raises:
        RuntimeError: the input is boolean.

    Cost: two comparisons per element; keeps its input for the backward pass.

    References: Krizhevsky 2010, "Convolutional deep belief networks on CIFAR-10".

    See: `minimodels.functional.relu6`; tests/nn/test_activation.py.

    Example:
        >>> import torch
        >>> ReLU6()(torch.tensor([-3.0, 0.5, 9.0]))
        tensor([0.0000, 0.5000, 6.0000])
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(0.0, 6.0, inplace)

    def extra_repr(self) -> str:
        """Show the setting if it is not the default."""
        return "inplace=True" if self.inplace else ""


class Hardsigmoid(InPlace):
    """Approximate the sigmoid by a clipped line: y = min(max(x + 3, 0), 6) / 6.

    Drop-in for torch.nn.Hardsigmoid.

    Args:
        inplace: write the result over the input.

    Shape:
        - input: [*]
        - Output: [*]

    Raises:
        NotImplementedError: the input is not floating-point.

    Cost: four operations per element; keeps its input for the backward pass.

    References: Howard et al. 2019, arXiv:1905.02244, section 5.2.

    See: `minimodels.functional.hardsigmoid`; tests/nn/test_activation.py.

    Example:
        >>> import torch
        >>> Hardsigmoid()(torch.tensor([-4.0, 0.0, 4.0]))
        tensor([0.0000, 0.5000, 1.0000])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Apply the function to every element.

        Args:
            input: any tensor of floating-point numbers.
        """
        return F.hardsigmoid(input, self.inplace)


class Hardswish(InPlace):
    """Approximate the SiLU: y = x · min(max(x + 3, 0), 6) / 6.

    Drop-in for torch.nn.Hardswish.

    Args:
        inplace: write the result over the input.

    Shape:
        - input: [*]
        - Output: [*]

    Raises:
        NotImplementedError: the input is not floating-point.

    Cost: five operations per element; keeps its input for the backward pass.

    References: Howard et al. 2019, arXiv:1905.02244, section 5.2.

    See: `minimodels.functional.hardswish`; tests/nn/test_activation.py.

    Example:
        >>> import torch
        >>> Hardswish()(torch.tensor([1.5, 4.0]))
        tensor([1.1250, 4.0000])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Apply the function to every element.

        Args:
            input: any tensor of floating-point numbers.
        """
        return F.hardswish(input, self.inplace)


def _renamed(end: str, value: float) -> float:
    warnings.warn(
        f"keyword argument `{end}_value` is deprecated and renamed to `{end}_val`", FutureWarning, stacklevel=3
    )
    return value
