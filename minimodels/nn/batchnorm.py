"""Layers that normalise channels and may remember what they saw: batch norm and instance norm."""

import warnings
from typing import Any

import torch
from torch import Tensor

from minimodels import functional as F
from minimodels.functional.precision import accumulator
from minimodels.nn.norm import Affine


class Tracking(Affine):
    """What batch and instance norm share: a scale and a shift for each channel, and running statistics.

    Args:
        num_features: C.
        eps: ε, added to the variance.
        momentum: how far a batch moves the running statistics.
        affine: learn γ and β.
        track_running_stats: keep running statistics.
        device: where parameters and buffers are.
        dtype: of what type they are.
        bias: learn β, beside γ.

    Raises:
        ValueError: the input has another number of dimensions.
    """

    _version = 2  # of the state dict: the second brought num_batches_tracked
    __constants__ = ["track_running_stats", "momentum", "eps", "num_features", "affine"]

    dimensions: tuple[int, ...]  # that an input may have
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
        device: Any,
        dtype: torch.dtype | None,
        bias: bool,
    ) -> None:
        super().__init__((num_features,), affine, affine and bias, device, dtype)
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        for name in ("running_mean", "running_var"):
            statistic = torch.empty(num_features, device=device, dtype=dtype) if track_running_stats else None
            self.register_buffer(name, statistic)
        count = torch.zeros((), dtype=torch.int64, device=device) if track_running_stats else None
        self.register_buffer("num_batches_tracked", count)
        self.reset_running_stats()

    def reset_running_stats(self) -> None:
        """Forget all batches: mean 0, variance 1."""
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Forget all batches, and start from the identity: γ = 1, β = 0."""
        self.reset_running_stats()
        super().reset_parameters()

    def extra_repr(self) -> str:
        """Show the settings."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim not in self.dimensions:
            expected = " or ".join(f"{n}D" for n in self.dimensions)
            raise ValueError(f"expected {expected} input (got {input.ndim}D input)")

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any], *arguments: Any
    ) -> None:
        """Load; a state of the first version counted no batches, and leaves the count as it is."""
        version, key = local_metadata.get("version"), prefix + "num_batches_tracked"
        if (version is None or version < 2) and self.track_running_stats and key not in state_dict:
            count = self.num_batches_tracked
            kept = count is not None and count.device.type != "meta"
            state_dict[key] = count if kept else torch.tensor(0)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *arguments)


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


class InstanceNorm(Tracking):
    """Instance norm in any number of dimensions.

    Args:
        num_features: C.
        eps: ε, added to the variance.
        momentum: m; None moves nothing.
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
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: torch.dtype | None = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def forward(self, input: Tensor) -> Tensor:
        """Normalise.

        Args:
            input: one sample or a batch.
        """
        self._check_input_dim(input)
        unbatched = input.ndim == min(self.dimensions)
        self._check_channels(input.shape[0 if unbatched else 1], 0 if unbatched else 1)
        output = F.instance_norm(
            input.unsqueeze(0) if unbatched else input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            0.0 if self.momentum is None else self.momentum,
            self.eps,
        )
        return output.squeeze(0) if unbatched else output

    def _check_channels(self, channels: int, dim: int) -> None:
        if channels == self.num_features:
            return
        if self.affine:
            raise ValueError(
                f"expected input's size at dim={dim} to match num_features ({self.num_features}), but got: {channels}."
            )
        warnings.warn(
            f"input's size at dim={dim} does not match num_features. You can silence this warning by not passing in "
            "num_features, which is not used because affine=False",
            stacklevel=3,
        )

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Load; say of a state from before versions were counted that its running statistics have no place here."""
        if local_metadata.get("version") is None and not self.track_running_stats:
            found = [prefix + name for name in ("running_mean", "running_var") if prefix + name in state_dict]
            if found:
                error_msgs.append(
                    f"Unexpected running stats buffer(s) {' and '.join(map(repr, found))} for "
                    f"{type(self).__name__} with track_running_stats=False. A checkpoint saved before PyTorch 0.4.0 "
                    "has them although they were not used: remove these keys, or set track_running_stats=True."
                )
            for key in found:
                state_dict.pop(key)
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
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


class InstanceNorm1d(InstanceNorm):
    """Normalise every channel of every sample: y = γ[c]·(x − μ[n, c]) / √(σ²[n, c] + ε) + β[c].

    Drop-in for torch.nn.InstanceNorm1d. Running statistics, if kept, take the place of μ and σ² in evaluation.

    Args:
        num_features: C.
        eps: ε, added to the variance.
        momentum: how far a batch moves the running statistics.
        affine: learn γ and β.
        track_running_stats: keep running statistics.
        device: where parameters and buffers are.
        dtype: of what type they are.
        bias: learn β, beside γ.

    Shape:
        - input: [N, C, L] or [C, L]
        - Output: [N, C, L] or [C, L]

    Attributes:
        weight: γ [C], ones at first, or None.
        bias: β [C], zeros at first, or None.
        running_mean: [C], zeros at first, or None.
        running_var: [C], ones at first, or None.
        num_batches_tracked: 0 for ever, as in torch.nn, or None.

    Raises:
        ValueError: the input has other dimensions or channels, or a single place a channel.
        RuntimeError: the input's dtype does not fit.

    Cost: five passes forward and six backward, of which one read and one write leave the cache; x is kept for the
        derivative.

    References: Ulyanov, Vedaldi & Lempitsky 2016, arXiv:1607.08022.

    See: `minimodels.functional.instance_norm`; tests/nn/test_batchnorm.py.

    Example:
        >>> InstanceNorm1d(3)(torch.zeros(8, 3, 5)).shape
        torch.Size([8, 3, 5])
    """

    dimensions = (2, 3)


class InstanceNorm2d(InstanceNorm):
    """Normalise every channel of every sample: y = γ[c]·(x − μ[n, c]) / √(σ²[n, c] + ε) + β[c].

    Drop-in for torch.nn.InstanceNorm2d. Running statistics, if kept, take the place of μ and σ² in evaluation.

    Args:
        num_features: C.
        eps: ε, added to the variance.
        momentum: how far a batch moves the running statistics.
        affine: learn γ and β.
        track_running_stats: keep running statistics.
        device: where parameters and buffers are.
        dtype: of what type they are.
        bias: learn β, beside γ.

    Shape:
        - input: [N, C, H, W] or [C, H, W]
        - Output: [N, C, H, W] or [C, H, W]

    Attributes:
        weight: γ [C], ones at first, or None.
        bias: β [C], zeros at first, or None.
        running_mean: [C], zeros at first, or None.
        running_var: [C], ones at first, or None.
        num_batches_tracked: 0 for ever, as in torch.nn, or None.

    Raises:
        ValueError: the input has other dimensions or channels, or a single place a channel.
        RuntimeError: the input's dtype does not fit.

    Cost: five passes forward and six backward, of which one read and one write leave the cache; x is kept for the
        derivative.

    References: Ulyanov, Vedaldi & Lempitsky 2016, arXiv:1607.08022.

    See: `minimodels.functional.instance_norm`; tests/nn/test_batchnorm.py.

    Example:
        >>> InstanceNorm2d(3)(torch.zeros(8, 3, 5, 5)).shape
        torch.Size([8, 3, 5, 5])
    """

    dimensions = (3, 4)


class InstanceNorm3d(InstanceNorm):
    """Normalise every channel of every sample: y = γ[c]·(x − μ[n, c]) / √(σ²[n, c] + ε) + β[c].

    Drop-in for torch.nn.InstanceNorm3d. Running statistics, if kept, take the place of μ and σ² in evaluation.

    Args:
        num_features: C.
        eps: ε, added to the variance.
        momentum: how far a batch moves the running statistics.
        affine: learn γ and β.
        track_running_stats: keep running statistics.
        device: where parameters and buffers are.
        dtype: of what type they are.
        bias: learn β, beside γ.

    Shape:
        - input: [N, C, D, H, W] or [C, D, H, W]
        - Output: [N, C, D, H, W] or [C, D, H, W]

    Attributes:
        weight: γ [C], ones at first, or None.
        bias: β [C], zeros at first, or None.
        running_mean: [C], zeros at first, or None.
        running_var: [C], ones at first, or None.
        num_batches_tracked: 0 for ever, as in torch.nn, or None.

    Raises:
        ValueError: the input has other dimensions or channels, or a single place a channel.
        RuntimeError: the input's dtype does not fit.

    Cost: five passes forward and six backward, of which one read and one write leave the cache; x is kept for the
        derivative.

    References: Ulyanov, Vedaldi & Lempitsky 2016, arXiv:1607.08022.

    See: `minimodels.functional.instance_norm`; tests/nn/test_batchnorm.py.

    Example:
        >>> InstanceNorm3d(3)(torch.zeros(8, 3, 5, 5, 5)).shape
        torch.Size([8, 3, 5, 5, 5])
    """

    dimensions = (4, 5)
