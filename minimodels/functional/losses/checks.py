"""What a loss over classes refuses, in the words that PyTorch's users know."""

import torch
from torch import Tensor


def check_distribution(shape: tuple[int, ...], classes: int, target: Tensor, ignore_index: int) -> None:
    """Check distributions as targets.

    Args:
        shape: the scores' shape.
        classes: which of its dimensions are the classes.
        target: the distributions.
        ignore_index: an index to ignore, of which there can be none.

    Raises:
        RuntimeError: the distributions are of integers, or there is something to ignore.

    Example:
        >>> check_distribution((2, 3), 1, torch.ones(2, 3) / 3, ignore_index=-100)
    """
    if not target.is_floating_point():
        raise RuntimeError(f"Expected floating point type for target with class probabilities, got {target.dtype}")
    if ignore_index >= 0:
        raise RuntimeError("ignore_index is not supported for floating point target")


def check_indices(shape: tuple[int, ...], classes: int, target: Tensor) -> None:
    """Check class indices as targets: shape and type, not their numbers.

    Args:
        shape: the scores' shape.
        classes: which of its dimensions are the classes.
        target: the indices.

    Raises:
        ValueError: the batch sizes differ.
        RuntimeError: the shape or the type is another.

    Example:
        >>> check_indices((2, 3), 1, torch.tensor([0, 2]))
    """
    wanted = shape[:classes] + shape[classes + 1 :]
    if target.shape != wanted:
        batch = target.shape[0] if target.ndim else 0
        if len(shape) > 1 and batch != shape[0]:
            raise ValueError(f"Expected input batch_size ({shape[0]}) to match target batch_size ({batch}).")
        raise RuntimeError(f"Expected target size {list(wanted)}, got {list(target.shape)}")
    if target.dtype not in (torch.int64, torch.uint8):
        raise RuntimeError(f"expected target dtype to be Long or Byte, but got {target.dtype}")


def check_weight(weight: Tensor | None, classes: int, dtype: torch.dtype) -> None:
    """Check the classes' weights.

    Args:
        weight: the weights, or None.
        classes: how many classes there are.
        dtype: the scores' type.

    Raises:
        RuntimeError: there is not one weight per class, or it is of another type.

    Example:
        >>> check_weight(torch.ones(3), 3, torch.float32)
    """
    if weight is None:
        return
    if weight.shape != (classes,):
        raise RuntimeError(
            f"weight tensor should be defined either for all {classes} classes or no classes "
            f"but got weight tensor of shape: {list(weight.shape)}"
        )
    if weight.dtype != dtype:
        names = [str(kind).removeprefix("torch.") for kind in (dtype, weight.dtype)]
        raise RuntimeError(f"expected scalar type {names[0]} but found {names[1]} for the classes' weights")
