"""Losses of yes-or-no questions."""

from torch import Tensor

from minimodels import functional as F
from minimodels.nn.loss.base import Loss, WeightedLoss


class BCELoss(WeightedLoss):
    """Measure the surprise at yes-or-no answers: ℓ = −w·(t·log x + (1 − t)·log(1 − x)), logarithms at least −100.

    Drop-in for torch.nn.BCELoss.

    Args:
        weight: w, broadcast to the input.
        size_average: deprecated, see `reduction`.
        reduce: deprecated, see `reduction`.
        reduction: "none", "mean" or "sum".

    Shape:
        - input: [*], probabilities of yes
        - target: [*], between 0 and 1
        - Output: [*] for "none", else []

    Attributes:
        weight: a buffer, or None.

    Raises:
        ValueError: input and target differ in shape, or the reduction is unknown.
        RuntimeError: a number is not between 0 and 1 (seen on a CPU), dtypes differ, the weight does not broadcast,
            or autocast is on where it would run in float16 (CUDA).

    Cost: two logarithms per element; keeps nothing beyond its operands.

    References: Good 1952, doi:10.1111/j.2517-6161.1952.tb00104.x.

    See: `minimodels.functional.binary_cross_entropy`; tests/nn/loss/test_binary.py.

    Example:
        >>> import torch
        >>> BCELoss()(torch.tensor([0.5, 0.5]), torch.tensor([1.0, 0.0]))
        tensor(0.6931)
    """

    __constants__ = ["reduction"]

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Compare probabilities with the truth.

        Args:
            input: probabilities of yes.
            target: the truths.
        """
        return F.binary_cross_entropy(input, target, weight=self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(Loss):
    """Measure the surprise at yes-or-no answers given as scores: ℓ = −w·(p·t·log σ(x) + (1 − t)·log(1 − σ(x))).

    Drop-in for torch.nn.BCEWithLogitsLoss. Nothing in it overflows, whatever the scores.

    Args:
        weight: w, broadcast to the input.
        size_average: deprecated, see `reduction`.
        reduce: deprecated, see `reduction`.
        reduction: "none", "mean" or "sum".
        pos_weight: p, how much a yes weighs, against a no's 1; broadcast to the input.

    Shape:
        - input: [*], scores of yes
        - target: [*], between 0 and 1
        - Output: [*] for "none", else []

    Attributes:
        weight: a buffer, or None.
        pos_weight: a buffer, or None.

    Raises:
        ValueError: input and target differ in shape, or the reduction is unknown.
        RuntimeError: a weight does not broadcast.

    Cost: one exponential and one logarithm per element; keeps nothing beyond its operands.

    References: Cox 1958, doi:10.1111/j.2517-6161.1958.tb00292.x.

    See: `minimodels.functional.binary_cross_entropy_with_logits`; tests/nn/loss/test_binary.py.

    Example:
        >>> import torch
        >>> BCEWithLogitsLoss()(torch.tensor([0.0, 0.0]), torch.tensor([1.0, 0.0]))
        tensor(0.6931)
    """

    weight: Tensor | None
    pos_weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Compare scores with the truth.

        Args:
            input: scores of yes.
            target: the truths.
        """
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, pos_weight=self.pos_weight, reduction=self.reduction
        )
