"""Losses of choosing one class among many, and of believing one distribution where another is true."""

from torch import Tensor

from minimodels import functional as F
from minimodels.nn.loss.base import Loss, WeightedLoss


class CrossEntropyLoss(WeightedLoss):
    """Measure how surprised a prediction is by the truth: ℓ = −Σ_c w_c · t_c · log softmax(x)_c.

    Drop-in for torch.nn.CrossEntropyLoss. The truth t is a distribution over the classes: onehot(y) for a class
    index y, mixed with the uniform one by label smoothing ε, t ← (1 − ε)·t + ε/C.

    Args:
        weight: w, one number per class.
        size_average: deprecated, see `reduction`.
        ignore_index: positions whose target is this index are ignored; class indices only.
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

    Cost: one exponential per element, and once more in the backward pass, ∂x = softmax(x) − t; keeps the scores and
        two numbers per place.

    References: Shannon 1948, doi:10.1002/j.1538-7305.1948.tb01338.x; Szegedy et al. 2016, arXiv:1512.00567.

    See: `minimodels.functional.cross_entropy`; tests/nn/loss/test_classification.py.

    Example:
        >>> import torch
        >>> CrossEntropyLoss()(torch.zeros(1, 10), torch.tensor([3]))  # ten equal guesses: log 10
        tensor(2.3026)
    """

    __constants__ = ["ignore_index", "reduction", "label_smoothing"]

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
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


class NLLLoss(WeightedLoss):
    """Read the negative log-likelihood of the truth: ℓ = −w_y · x_y, with x = log p.

    Drop-in for torch.nn.NLLLoss. After a LogSoftmax it is the CrossEntropyLoss.

    Args:
        weight: w, one number per class.
        size_average: deprecated, see `reduction`.
        ignore_index: positions whose target is this index are ignored.
        reduce: deprecated, see `reduction`.
        reduction: "none", "mean" (over the weights of the truths) or "sum".

    Shape:
        - input: log-probabilities [C], [N, C] or [N, C, d₁, …, dₖ]
        - target: class indices of the input's shape without C
        - Output: the input's shape without C for "none", else []

    Attributes:
        weight: [C], a buffer, or None.

    Raises:
        RuntimeError: shapes or dtypes do not fit.
        ValueError: batch sizes differ, or the reduction is unknown.

    Cost: one number read a place; the gradient has the input's size.

    References: Fisher 1922, doi:10.1098/rsta.1922.0009.

    See: `minimodels.functional.nll_loss`; tests/nn/loss/test_classification.py.

    Example:
        >>> import torch
        >>> NLLLoss()(torch.tensor([[0.25, 0.75]]).log(), torch.tensor([0]))  # log 4
        tensor(1.3863)
    """

    __constants__ = ["ignore_index", "reduction"]

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Compare log-probabilities with the truth.

        Args:
            input: log-probabilities of the classes.
            target: class indices.
        """
        return F.nll_loss(input, target, weight=self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class KLDivLoss(Loss):
    """Measure what believing q costs where t is true: ℓ = t·(log t − x), with x = log q.

    Drop-in for torch.nn.KLDivLoss. Summed over a distribution it is never negative, and 0 only for t = q.

    Args:
        size_average: deprecated, see `reduction`.
        reduce: deprecated, see `reduction`.
        reduction: "none", "sum", "batchmean" (the sum divided by N: the divergence that textbooks mean) or "mean"
            (divided by the number of elements, with a warning).
        log_target: the target is given as logarithms.

    Shape:
        - input: [N, *], log-probabilities
        - target: [N, *], probabilities or their logarithms
        - Output: [N, *] for "none", else []

    Raises:
        RuntimeError: the numbers are integers or complex, or the shapes do not broadcast.
        ValueError: the reduction is unknown.

    Cost: one logarithm (or exponential) and three operations per element.

    References: Kullback & Leibler 1951, doi:10.1214/aoms/1177729694.

    See: `minimodels.functional.kl_div`; tests/nn/loss/test_classification.py.

    Example:
        >>> import torch
        >>> KLDivLoss(reduction="batchmean")(torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[1.0, 0.0]]))
        tensor(0.6931)
    """

    __constants__ = ["reduction"]

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        log_target: bool = False,
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.log_target = log_target

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Compare what is believed with what is true.

        Args:
            input: logarithms of the probabilities believed.
            target: the true probabilities, or their logarithms.
        """
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)
