"""What batch and instance normalisation share: statistics that run along with training."""

from typing import Any

import torch
from torch import Tensor

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
