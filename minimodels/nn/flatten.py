"""Changing the shape and nothing else."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.nn import Module


class Flatten(Module):
    """Merge neighbouring dimensions into one: [N, C, H, W] → [N, C·H·W].

    Drop-in for torch.nn.Flatten.

    Args:
        start_dim: the first dimension to merge.
        end_dim: the last one.

    Shape:
        - input: [*, S_start, …, S_end, *]
        - Output: [*, Π S_i, *]

    Raises:
        IndexError: the input has no such dimension.

    Cost: none for contiguous input, else one copy.

    See: tests/nn/test_flatten.py.

    Example:
        >>> import torch
        >>> Flatten()(torch.zeros(64, 64, 3, 3)).shape
        torch.Size([64, 576])
    """

    __constants__ = ["start_dim", "end_dim"]

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Tensor) -> Tensor:
        """Merge the dimensions.

        Args:
            input: any tensor that has them.
        """
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        """Show the settings."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Split one dimension into several: [N, C·H·W] → [N, C, H, W].

    Drop-in for torch.nn.Unflatten, without named dimensions.

    Args:
        dim: the dimension to split.
        unflattened_size: the sizes that it falls into; one of them may be −1, what is left.

    Shape:
        - input: [*, Π S_i, *]
        - Output: [*, S₁, …, Sₖ, *]

    Raises:
        TypeError: the sizes are not a tuple or list of integers.
        IndexError: the input has no such dimension.
        RuntimeError: the sizes do not multiply to the dimension's.

    Cost: none.

    See: tests/nn/test_flatten.py.

    Example:
        >>> import torch
        >>> Unflatten(1, (64, 3, 3))(torch.zeros(64, 576)).shape
        torch.Size([64, 64, 3, 3])
    """

    __constants__ = ["dim", "unflattened_size"]

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        super().__init__()
        if not isinstance(unflattened_size, (tuple, list)):
            raise TypeError(f"unflattened_size must be a tuple of ints, but found {type(unflattened_size).__name__}")
        for place, size in enumerate(unflattened_size):
            if not isinstance(size, int):
                raise TypeError(
                    f"unflattened_size must be a tuple of ints, but found {type(size).__name__} at place {place}"
                )
        self.dim = dim
        self.unflattened_size = unflattened_size

    def forward(self, input: Tensor) -> Tensor:
        """Split the dimension.

        Args:
            input: any tensor that has it.
        """
        output: Tensor = input.unflatten(self.dim, self.unflattened_size)
        return output

    def extra_repr(self) -> str:
        """Show the settings."""
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"


class Identity(Module):
    """Hand on the input: y = x; stands where a layer may be left out.

    Drop-in for torch.nn.Identity.

    Args:
        args: taken and ignored, so that it fits in for any layer.
        kwargs: likewise.

    Shape:
        - input: [*]
        - Output: [*]

    Cost: none.

    See: tests/nn/test_flatten.py.

    Example:
        >>> import torch
        >>> Identity(64, bias=False)(torch.ones(2))
        tensor([1., 1.])
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        """Hand on.

        Args:
            input: any tensor.
        """
        return input
