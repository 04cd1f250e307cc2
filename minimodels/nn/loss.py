"""Losses as layers, so that their settings are kept in one place."""

from torch import Tensor
from torch.nn import Module

from minimodels import functional as F
from minimodels.functional.losses import legacy_reduction


class CrossEntropyLoss(Module):
    """Measure how surprised a prediction is by the truth: ℓ = −Σ_c w_c · t_c · log softmax(x)_c.

    Drop-in for torch.nn.CrossEntropyLoss. The truth t is a distribution over the classes: onehot(y) for a class
    index y, mixed with the uniform one by label smoothing ε, t ← (1 − ε)·t + ε/C.

    Args:
        weight: w, one number a class.
        size_average: deprecated, see `reduction`.
        ignore_index: places with this index as truth count nothing; class indices only.
        reduce: deprecated, see `reduction`.
        reduction: "none", "mean" (over the weights of the truths) or "sum".
        label_smoothing: ε.

    Shape:
        - input: scores [C], [N, C] or [N, C, d₁, …, dₖ]
        - target: class indices of the input's shape without C, or distributions of the input's shape
        - Output: the input's shape without C for "none", else []

    Attributes:
        weight: [C], a buffer, or None.

    Raises:
        RuntimeError: shapes or dtypes do not fit, ε is not in [0, 1], or `ignore_index` meets distributions.
        ValueError: batch sizes differ, or the reduction is unknown.

    Cost: one exponential an element; keeps the log-probabilities for the backward pass, ∂x = softmax(x) − t.

    References: Shannon 1948, doi:10.1002/j.1538-7305.1948.tb01338.x; Szegedy et al. 2016, arXiv:1512.00567.

    See: `minimodels.functional.cross_entropy`; tests/nn/test_loss.py.

    Example:
        >>> import torch
        >>> CrossEntropyLoss()(torch.zeros(1, 10), torch.tensor([3]))  # ten equal guesses: log 10
        tensor(2.3026)
    """

    __constants__ = ["ignore_index", "reduction", "label_smoothing"]

    weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        self.reduction = legacy_reduction(size_average, reduce) or reduction
        self.register_buffer("weight", weight)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Compare scores with the truth.

        Args:
            input: scores of the classes.
            target: class indices or distributions.
        """
        return F.cross_entropy(
            input,
            target,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )
