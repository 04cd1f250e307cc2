"""Batch normalisation as layers."""

from typing import Any

import torch
from torch import Tensor

from minimodels import functional as F
from minimodels.functional.precision import accumulator
from minimodels.nn.tracking import Tracking


class BatchNorm(Tracking):
    """Batch norm in any number of dimensions.

    Args:
        num_features: C.
        eps: ε, added to the variance.
        momentum: m; None weighs all batches alike.
        affine: learn γ and β.
        track_running_stats: keep running statistics.
        device: where parameters and buffers are.
        dtype: of what type they are.
        bias: learn β, beside γ.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def forward(self, input: Tensor) -> Tensor:
        """Normalise; in training count the batch and move the running statistics.

        Args:
            input: a batch; channels second.
        """
        self._check_input_dim(input)
        momentum: float | Tensor = 0.0 if self.momentum is None else self.momentum
        if self.training and self.track_running_stats and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if self.momentum is None:  # s + (v − s)/k: after k batches the mean of all
                momentum = self.num_batches_tracked.to(accumulator(input.dtype)).reciprocal()
        used = not self.training or self.track_running_stats
        return F.batch_norm(
            input,
            self.running_mean if used else None,
            self.running_var if used else None,
            self.weight,
            self.bias,
            self.training or (self.running_mean is None and self.running_var is None),
            momentum,
            self.eps,
        )


class BatchNorm1d(BatchNorm):
    """Normalise every channel over a batch of rows or of sequences: y = γ[c]·(x − μ[c]) / √(σ²[c] + ε) + β[c].

    Drop-in for torch.nn.BatchNorm1d. In training μ and σ² are the batch's own, and the running statistics move
    towards them, s ← s + m·(v − s), with v = μ or the unbiased σ²·n/(n − 1) of n elements. In evaluation the running
    statistics take their place. The batches' own are used there too if none are kept.

    Args:
        num_features: C.
        eps: ε, added to the variance.
        momentum: m; None is 1/k for the k-th batch, the mean of all.
        affine: learn γ and β.
        track_running_stats: keep running statistics.
        device: where parameters and buffers are.
        dtype: of what type they are.
        bias: learn β, beside γ.

    Shape:
        - input: [N, C, L] or [N, C]
        - Output: [N, C, L] or [N, C]

    Attributes:
        weight: γ [C], ones at first, or None.
        bias: β [C], zeros at first, or None.
        running_mean: [C], zeros at first, or None.
        running_var: [C], ones at first, or None.
        num_batches_tracked: how many batches moved them, or None.

    Raises:
        ValueError: the input has other dimensions, or in training a single value per channel.
        RuntimeError: the input's channels or dtype do not fit.

    Cost: training five passes forward and five backward, evaluation two, of which one read and one write
        leave the cache; x is kept for the derivative.

    References: Ioffe & Szegedy 2015, arXiv:1502.03167.

    See: `minimodels.functional.batch_norm`; tests/nn/test_batchnorm.py.

    Example:
        >>> layer = BatchNorm1d(3)
        >>> layer(torch.zeros(8, 3, 5)).shape, layer.num_batches_tracked
        (torch.Size([8, 3, 5]), tensor(1))
    """

    dimensions = (2, 3)


class BatchNorm2d(BatchNorm):
    """Normalise every channel over a batch of images: y = γ[c]·(x − μ[c]) / √(σ²[c] + ε) + β[c].

    Drop-in for torch.nn.BatchNorm2d. In training μ and σ² are the batch's own, and the running statistics move
    towards them, s ← s + m·(v − s), with v = μ or the unbiased σ²·n/(n − 1) of n elements. In evaluation the running
    statistics take their place. The batches' own are used there too if none are kept.

    Args:
        num_features: C.
        eps: ε, added to the variance.
        momentum: m; None is 1/k for the k-th batch, the mean of all.
        affine: learn γ and β.
        track_running_stats: keep running statistics.
        device: where parameters and buffers are.
        dtype: of what type they are.
        bias: learn β, beside γ.

    Shape:
        - input: [N, C, H, W]
        - Output: [N, C, H, W]

    Attributes:
        weight: γ [C], ones at first, or None.
        bias: β [C], zeros at first, or None.
        running_mean: [C], zeros at first, or None.
        running_var: [C], ones at first, or None.
        num_batches_tracked: how many batches moved them, or None.

    Raises:
        ValueError: the input has other dimensions, or in training a single value per channel.
        RuntimeError: the input's channels or dtype do not fit.

    Cost: training five passes forward and five backward, evaluation two, of which one read and one write
        leave the cache; x is kept for the derivative.

    References: Ioffe & Szegedy 2015, arXiv:1502.03167.

    See: `minimodels.functional.batch_norm`; tests/nn/test_batchnorm.py.

    Example:
        >>> layer = BatchNorm2d(3)
        >>> layer(torch.zeros(8, 3, 5, 5)).shape, layer.num_batches_tracked
        (torch.Size([8, 3, 5, 5]), tensor(1))
    """

    dimensions = (4,)


class BatchNorm3d(BatchNorm):
    """Normalise every channel over a batch of volumes: y = γ[c]·(x − μ[c]) / √(σ²[c] + ε) + β[c].

    Drop-in for torch.nn.BatchNorm3d. In training μ and σ² are the batch's own, and the running statistics move
    towards them, s ← s + m·(v − s), with v = μ or the unbiased σ²·n/(n − 1) of n elements. In evaluation the running
    statistics take their place. The batches' own are used there too if none are kept.

    Args:
        num_features: C.
        eps: ε, added to the variance.
        momentum: m; None is 1/k for the k-th batch, the mean of all.
        affine: learn γ and β.
        track_running_stats: keep running statistics.
        device: where parameters and buffers are.
        dtype: of what type they are.
        bias: learn β, beside γ.

    Shape:
        - input: [N, C, D, H, W]
        - Output: [N, C, D, H, W]

    Attributes:
        weight: γ [C], ones at first, or None.
        bias: β [C], zeros at first, or None.
        running_mean: [C], zeros at first, or None.
        running_var: [C], ones at first, or None.
        num_batches_tracked: how many batches moved them, or None.

    Raises:
        ValueError: the input has other dimensions, or in training a single value per channel.
        RuntimeError: the input's channels or dtype do not fit.

    Cost: training five passes forward and five backward, evaluation two, of which one read and one write
        leave the cache; x is kept for the derivative.

    References: Ioffe & Szegedy 2015, arXiv:1502.03167.

    See: `minimodels.functional.batch_norm`; tests/nn/test_batchnorm.py.

    Example:
        >>> layer = BatchNorm3d(3)
        >>> layer(torch.zeros(8, 3, 5, 5, 5)).shape, layer.num_batches_tracked
        (torch.Size([8, 3, 5, 5, 5]), tensor(1))
    """

    dimensions = (5,)
