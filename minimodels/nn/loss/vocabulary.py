"""The last layer and its loss in one."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import LinearCrossEntropyOptions

from minimodels import functional as F
from minimodels.nn.affine import Linear
from minimodels.nn.loss.base import WeightedLoss


class LinearCrossEntropyLoss(WeightedLoss):
    """Map features onto classes and compare with the truth: CrossEntropyLoss(x·Wᵀ + b), whose scores are never whole.

    Drop-in for torch.nn.LinearCrossEntropyLoss. PyTorch works in chunks of rows where `options` ask for it; here it is
    always so, whatever the target, and of `options` only the number of rows a chunk counts.

    Args:
        in_features: I, size of an input row.
        num_classes: C.
        out_features: d₁, …, dₖ: as many losses a row, each with its own W and b.
        bias: learn b.
        device: where the parameters are.
        dtype: of what type they are.
        reduction: "none", "mean" (over the weights of the truths) or "sum".
        weight: one number per class.
        ignore_index: rows whose target is this index are ignored; None is −100, and needed for distributions.
        label_smoothing: ε, see `CrossEntropyLoss`.
        options: PyTorch's object, or None.

    Shape:
        - input: [I] or [N, I]
        - target: class indices [] or [N, d₁, …, dₖ], or distributions [C] or [N, C, d₁, …, dₖ]
        - Output: [] or [N, d₁, …, dₖ] for "none", else []

    Attributes:
        linear: the layer whose weight [C·d₁·…·dₖ, I] is W, and whose bias is b.
        weight: [C], a buffer, or None.

    Raises:
        RuntimeError: shapes or dtypes do not fit, ε is not in [0, 1], or `ignore_index` meets distributions.
        ValueError: batch sizes differ, or the reduction is unknown.

    Cost: N·C·I multiply-adds forward and twice that for the gradients, made in the forward pass; beside them 128·C
        numbers, where layer and loss one after the other take up to 3·N·C.

    References: Wijmans et al. 2024, arXiv:2411.09009; Hsu et al. 2024, arXiv:2410.10989.

    See: `minimodels.functional.linear_cross_entropy`; tests/nn/loss/test_vocabulary.py.

    Example:
        >>> loss = LinearCrossEntropyLoss(4, 10)
        >>> loss(torch.zeros(2, 4), torch.tensor([3, 5]))  # ten equal guesses: log 10
        tensor(2.3026, grad_fn=<...>)
    """

    __constants__ = ["num_classes", "out_features", "reduction", "ignore_index", "label_smoothing"]

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        out_features: tuple[int, ...] = (),
        bias: bool = False,
        device: Any = None,
        dtype: torch.dtype | None = None,
        reduction: str = "mean",
        weight: Tensor | None = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        options: LinearCrossEntropyOptions | None = None,
    ) -> None:
        if weight is not None and weight.shape != (num_classes,):
            raise RuntimeError(f"expected weight shape to be {(num_classes,)}, got {tuple(weight.shape)}")
        if not 0.0 <= label_smoothing <= 1.0:
            raise RuntimeError(f"expected label_smoothing to be in range [0, 1], got {label_smoothing}")
        super().__init__(weight, reduction=reduction)
        self.num_classes = num_classes
        self.out_features = out_features
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        self.linear = Linear(in_features, math.prod(out_features, start=num_classes), bias, device, dtype)
        self.options = options

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Map features onto classes and compare with the truth.

        Args:
            input: rows of features.
            target: class indices or distributions.
        """
        shape, bias = (self.num_classes, *self.out_features), self.linear.bias
        return F.linear_cross_entropy(
            input,
            self.linear.weight.unflatten(0, shape),
            target,
            linear_bias=None if bias is None else bias.unflatten(0, shape),
            weight=self.weight,
            reduction=self.reduction,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            options=self.options,
        )

    def extra_repr(self) -> str:
        """Show the settings."""
        return (
            f"in_features={self.linear.in_features}, num_classes={self.num_classes}, "
            f"out_features={self.out_features}, bias={self.linear.bias is not None}, reduction={self.reduction}, "
            f"ignore_index={self.ignore_index}, label_smoothing={self.label_smoothing}, options={self.options}"
        )
