"""The affine map y = x·Wᵀ + b: a layer of neurons, each a weighted sum of all inputs."""

from torch import Tensor

from minimodels.functional.matmul import product
from minimodels.functional.precision import autocast_to_low_precision


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Map each row of the input through a matrix: y = x·Wᵀ + b.

    Args:
        input: any number of leading dimensions, features last.
        weight: one row per output feature; a vector gives a single output without a dimension.
        bias: added to every output row.

    Shape:
        - input: [*, I]; weight: [O, I] or [I]; bias: [O] or []
        - Output: [*, O] or [*]

    Raises:
        RuntimeError: the feature counts or dtypes differ, or a tensor has too few dimensions.

    Cost: rows·I·O multiply-adds forward, twice that backward.

    References: Rosenblatt 1958, "The perceptron", doi:10.1037/h0042519.

    See: `minimodels.nn.Linear`; tests/functional/test_affine.py.

    Example:
        >>> import torch
        >>> linear(torch.tensor([1.0, 2.0]), torch.tensor([[1.0, 0.0], [1.0, 1.0]]), torch.tensor([0.0, 10.0]))
        tensor([ 1., 13.])
    """
    if input.ndim == 0 or weight.ndim == 0:
        raise RuntimeError(f"linear needs at least 1-D tensors, but input is {input.ndim}-D and weight {weight.ndim}-D")
    if weight.ndim == 1:
        y = input @ weight
        return y if bias is None else y + autocast_to_low_precision(y, bias)
    rows = input.flatten(0, -2) if input.ndim > 1 else input[None]  # [rows, I]
    return product(rows, weight, bias).reshape(*input.shape[:-1], weight.shape[0])  # [*, O]
