"""Layers that normalise what one sample holds: a row of features, or groups of an image's channels."""

import operator
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module, Parameter

from minimodels import functional as F


class Affine(Module):
    """What normalisations share: a scale γ that starts at one and a shift β that starts at zero.

    Args:
        shape: the shape of both.
        weight: learn the scale γ; without it `weight` is None.
        bias: learn the shift β; None where the layer has no such thing.
        device: where the parameters are.
        dtype: of what type they are.
    """

    weight: Tensor | None
    bias: Tensor | None

    def __init__(
        self,
        shape: tuple[int, ...],
        weight: bool,
        bias: bool | None,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        for name, learned in (("weight", weight), ("bias", bias)):
            if learned is not None:
                parameter = Parameter(torch.empty(shape, device=device, dtype=dtype)) if learned else None
                self.register_parameter(name, parameter)
        Affine.reset_parameters(self)

    def reset_parameters(self) -> None:
        """Start from the identity: γ = 1, β = 0."""
        with torch.no_grad():
            for name, parameter in self.named_parameters(recurse=False):
                parameter.fill_(float(name == "weight"))


class LayerNorm(Affine):
    """Normalise over the last dimensions: y[…, i] = γ[i]·(x[…, i] − μ[…]) / √(σ²[…] + ε) + β[i].

    Drop-in for torch.nn.LayerNorm. A sample's own numbers decide, so that training and evaluation are the same.

    Args:
        normalized_shape: the last dimensions, over which i runs; a number for one dimension.
        eps: ε, added to the variance.
        elementwise_affine: learn γ and β.
        bias: learn β, beside γ.
        device: where the parameters are.
        dtype: of what type they are.

    Shape:
        - input: [*, *normalized_shape]
        - Output: [*, *normalized_shape]

    Attributes:
        weight: γ of normalized_shape, ones at first, or None.
        bias: β of normalized_shape, zeros at first, or None.

    Raises:
        RuntimeError: the input does not end in this shape, or its dtype does not fit.

    Cost: five passes forward and six backward, beside sums, of which one read and one write leave the cache;
        x is kept for the derivative.

    References: Ba, Kiros & Hinton 2016, arXiv:1607.06450.

    See: `minimodels.functional.layer_norm`; tests/nn/test_norm.py.

    Example:
        >>> LayerNorm(2)(torch.tensor([[1.0, 3.0], [10.0, 30.0]])).detach()
        tensor([[-1.0000,  1.0000],
                [-1.0000,  1.0000]])
    """

    __constants__ = ["normalized_shape", "eps", "elementwise_affine"]

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        shape = _shape(normalized_shape)
        super().__init__(shape, elementwise_affine, elementwise_affine and bias, device, dtype)
        self.normalized_shape = shape
        self.eps = eps
        self.elementwise_affine = elementwise_affine

    def forward(self, input: Tensor) -> Tensor:
        """Normalise.

        Args:
            input: any number of leading dimensions.
        """
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Show the settings."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
            f"bias={self.bias is not None}"
        )


class RMSNorm(Affine):
    """Divide by the root of the mean square over the last dimensions: y[…, i] = γ[i]·x[…, i] / √(mean_j x[…, j]² + ε).

    Drop-in for torch.nn.RMSNorm. Layer norm without the mean and without β.

    Args:
        normalized_shape: the last dimensions, over which i and j run; a number for one dimension.
        eps: ε; None is the machine epsilon of the type that is computed in.
        elementwise_affine: learn γ.
        device: where the parameter is.
        dtype: of what type it is.

    Shape:
        - x: [*, *normalized_shape]
        - Output: [*, *normalized_shape]

    Attributes:
        weight: γ of normalized_shape, ones at first, or None.

    Raises:
        RuntimeError: the input does not end in this shape.

    Cost: three passes forward and four backward, of which one read and one write leave the cache; x is kept for the
        derivative.

    References: Zhang & Sennrich 2019, arXiv:1910.07467, equation (4).

    See: `minimodels.functional.rms_norm`; tests/nn/test_norm.py.

    Example:
        >>> RMSNorm(2)(torch.tensor([[1.0, 7.0], [10.0, 70.0]])).detach()
        tensor([[0.2000, 1.4000],
                [0.2000, 1.4000]])
    """

    __constants__ = ["normalized_shape", "eps", "elementwise_affine"]

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        shape = _shape(normalized_shape)
        super().__init__(shape, elementwise_affine, None, device, dtype)
        self.normalized_shape = shape
        self.eps = eps
        self.elementwise_affine = elementwise_affine

    def forward(self, x: Tensor) -> Tensor:
        """Normalise.

        Args:
            x: any number of leading dimensions.
        """
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        """Show the settings."""
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(Affine):
    """Normalise each group of channels of every sample.

        y[n, c, s] = γ[c]·(x[n, c, s] − μ[n, g]) / √(σ²[n, g] + ε) + β[c]

    Drop-in for torch.nn.GroupNorm. A sample's own numbers decide: neither the batch's size nor the mode matters.

    Args:
        num_groups: G, by which C is divisible.
        num_channels: C.
        eps: ε, added to the variance.
        affine: learn γ and β.
        device: where the parameters are.
        dtype: of what type they are.
        bias: learn β, beside γ.

    Shape:
        - input: [N, C, *]
        - Output: [N, C, *]

    Attributes:
        weight: γ [C], ones at first, or None.
        bias: β [C], zeros at first, or None.

    Raises:
        ValueError: G does not divide C, or there is a single value per group.
        RuntimeError: the input's channels or dtype do not fit.

    Cost: five passes forward and six backward, of which one read and one write leave the cache; x is kept for the
        derivative.

    References: Wu & He 2018, arXiv:1803.08494.

    See: `minimodels.functional.group_norm`; tests/nn/test_norm.py.

    Example:
        >>> GroupNorm(2, 4)(torch.tensor([[1.0, 3.0, 10.0, 30.0]])).detach()
        tensor([[-1.0000,  1.0000, -1.0000,  1.0000]])
    """

    __constants__ = ["num_groups", "num_channels", "eps", "affine"]

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        bias: bool = True,
    ) -> None:
        if num_channels % num_groups:
            raise ValueError(f"num_channels ({num_channels}) must be divisible by num_groups ({num_groups})")
        super().__init__((num_channels,), affine, affine and bias, device, dtype)
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine

    def forward(self, input: Tensor) -> Tensor:
        """Normalise.

        Args:
            input: a batch; channels second.
        """
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Show the settings."""
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )


def _shape(normalized_shape: int | Sequence[int]) -> tuple[int, ...]:
    """Take a number, of whatever integer type, for one dimension."""
    if isinstance(normalized_shape, Iterable):
        return tuple(normalized_shape)
    operator.index(normalized_shape)  # refuses what is no whole number
    return (normalized_shape,)
