"""What losses as layers share: the reduction, and for some of them weights."""

from torch import Tensor
from torch.nn import Module

from minimodels.functional.losses import legacy_reduction


class Loss(Module):
    """A loss with a reduction.

    Args:
        size_average: deprecated, see `reduction`.
        reduce: deprecated, see `reduction`.
        reduction: "none", "mean" or "sum"; checked when the loss is called.

    Attributes:
        reduction: as given, or what the deprecated arguments mean.
    """

    reduction: str

    def __init__(self, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = legacy_reduction(size_average, reduce, stacklevel=4) or reduction


class WeightedLoss(Loss):
    """A loss with a reduction and weights.

    Args:
        weight: the weights; no parameter, but moved and saved with the layer.
        size_average: deprecated, see `reduction`.
        reduce: deprecated, see `reduction`.
        reduction: "none", "mean" or "sum".

    Attributes:
        weight: a buffer, or None.
    """

    weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)
