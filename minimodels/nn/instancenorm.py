"""Instance normalisation as layers."""

import warnings
from typing import Any

import torch
from torch import Tensor

from minimodels import functional as F
from minimodels.nn.tracking import Tracking


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
