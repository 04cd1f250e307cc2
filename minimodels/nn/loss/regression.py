"""Losses between numbers."""

from torch import Tensor

from minimodels import functional as F
from minimodels.nn.loss.base import Loss


class MSELoss(Loss):
    """Square the errors: ℓ = (x − t)². The mean of them is least where x is the mean of t.

    Drop-in for torch.nn.MSELoss.

    Args:
        size_average: deprecated, see `reduction`.
        reduce: deprecated, see `reduction`.
        reduction: "none", "mean" or "sum".

    Shape:
        - input: [*]
        - target: [*]; another shape is broadcast, with a warning
        - Output: [*] for "none", else []

    Raises:
        NotImplementedError: the numbers are integers or complex.
        RuntimeError: the shapes do not broadcast.
        ValueError: the reduction is unknown.

    Cost: one difference and one product per element; keeps nothing beyond its operands.

    References: Gauss 1809, Theoria motus (least squares).

    See: `minimodels.functional.mse_loss`; tests/nn/loss/test_regression.py.

    Example:
        >>> import torch
        >>> MSELoss()(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0]))
        tensor(2.)
    """

    __constants__ = ["reduction"]

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Compare predictions with the truth.

        Args:
            input: predictions.
            target: the truths.
        """
        return F.mse_loss(input, target, reduction=self.reduction)


class L1Loss(Loss):
    """Take the errors as they are: ℓ = |x − t|. The mean of them is least where x is the median of t.

    Drop-in for torch.nn.L1Loss.

    Args:
        size_average: deprecated, see `reduction`.
        reduce: deprecated, see `reduction`.
        reduction: "none", "mean" or "sum".

    Shape:
        - input: [*], real or complex
        - target: [*]; another shape is broadcast, with a warning
        - Output: [*] for "none", else []

    Raises:
        RuntimeError: the shapes do not broadcast, or integers are averaged.
        ValueError: the reduction is unknown.

    Cost: one difference per element; keeps nothing beyond its operands. The derivative at x = t is 0.

    References: Boscovich 1757; Laplace 1774 (the median minimises absolute errors).

    See: `minimodels.functional.l1_loss`; tests/nn/loss/test_regression.py.

    Example:
        >>> import torch
        >>> L1Loss()(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0]))
        tensor(1.)
    """

    __constants__ = ["reduction"]

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Compare predictions with the truth.

        Args:
            input: predictions.
            target: the truths.
        """
        return F.l1_loss(input, target, reduction=self.reduction)


class SmoothL1Loss(Loss):
    """Square small errors, take large ones as they are: ℓ = d²/2β for |d| < β, else |d| − β/2, with d = x − t.

    Drop-in for torch.nn.SmoothL1Loss. It is Huber's loss divided by its threshold; β = 0 is the L1 loss.

    Args:
        size_average: deprecated, see `reduction`.
        reduce: deprecated, see `reduction`.
        reduction: "none", "mean" or "sum".
        beta: β, where small errors end.

    Shape:
        - input: [*]
        - target: [*]; another shape is broadcast, with a warning
        - Output: [*] for "none", else []

    Raises:
        NotImplementedError: the numbers are integers or complex (unless β = 0).
        RuntimeError: β is negative, or the shapes do not broadcast.
        ValueError: the reduction is unknown.

    Cost: about five operations per element; keeps nothing beyond its operands.

    References: Girshick 2015 (Fast R-CNN), arXiv:1504.08083, equation 3.

    See: `minimodels.functional.smooth_l1_loss`; tests/nn/loss/test_regression.py.

    Example:
        >>> import torch
        >>> SmoothL1Loss(reduction="none")(torch.tensor([0.5, 3.0]), torch.zeros(2))
        tensor([0.1250, 2.5000])
    """

    __constants__ = ["reduction"]

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        beta: float = 1.0,
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.beta = beta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Compare predictions with the truth.

        Args:
            input: predictions.
            target: the truths.
        """
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(Loss):
    """Square small errors, take large ones as they are: ℓ = ½d² for |d| ≤ δ, else δ(|d| − ½δ), with d = x − t.

    Drop-in for torch.nn.HuberLoss.

    Args:
        reduction: "none", "mean" or "sum".
        delta: δ, where small errors end.

    Shape:
        - input: [*]
        - target: [*]; another shape is broadcast, with a warning
        - Output: [*] for "none", else []

    Raises:
        TypeError: δ is not a number.
        NotImplementedError: the numbers are integers or complex.
        RuntimeError: δ is not positive, or the shapes do not broadcast.
        ValueError: the reduction is unknown.

    Cost: about five operations per element; keeps nothing beyond its operands.

    References: Huber 1964, doi:10.1214/aoms/1177703732.

    See: `minimodels.functional.huber_loss`; tests/nn/loss/test_regression.py.

    Example:
        >>> import torch
        >>> HuberLoss(reduction="none", delta=2.0)(torch.tensor([0.5, 3.0]), torch.zeros(2))
        tensor([0.1250, 4.0000])
    """

    __constants__ = ["reduction", "delta"]

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        if not isinstance(delta, float | int):
            raise TypeError(f"delta must be a float or int, got: {type(delta)}")
        super().__init__(reduction=reduction)
        self.delta = delta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Compare predictions with the truth.

        Args:
            input: predictions.
            target: the truths.
        """
        return F.huber_loss(input, target, reduction=self.reduction, delta=self.delta)
