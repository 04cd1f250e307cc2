"""Tensors that several processes hold together (PyTorch's DTensor): whole, or this process's part of them.

FSDP2 (`torch.distributed.fsdp.fully_shard`) makes every parameter such a tensor. Each process keeps a shard of it, and
of its gradient the same shard, so that elementwise work needs no word from the others. Ordinary tensors pass through
all of these functions as they are: whoever uses them works on both kinds.
"""

import sys
from typing import TYPE_CHECKING, TypeGuard

import torch
from torch import Tensor

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor

ORDINARY = (Tensor, torch.nn.Parameter)
"""PyTorch's own kinds, no subclasses with a mind of their own."""


def is_shared(tensor: Tensor) -> "TypeGuard[DTensor]":
    """Whether several processes hold a tensor together.

    Nothing is imported for the answer: where nobody has imported DTensor yet, there is none.

    Args:
        tensor: any tensor.

    Example:
        >>> is_shared(torch.zeros(2))
        False
    """
    if type(tensor) in ORDINARY:
        return False
    kind = getattr(sys.modules.get("torch.distributed.tensor"), "DTensor", None)
    return kind is not None and isinstance(tensor, kind)


def own(tensor: Tensor) -> Tensor:
    """The part of a tensor that this process holds: what is written to it is written to the tensor.

    Args:
        tensor: any tensor.

    Raises:
        RuntimeError: its parts have yet to be summed over the processes, so that none of them means anything alone.

    Example:
        >>> weight = torch.zeros(2)
        >>> own(weight) is weight
        True
    """
    if not is_shared(tensor):
        return tensor
    if any(placement.is_partial() for placement in tensor.placements):
        raise RuntimeError(f"a DTensor placed as {tensor.placements} has yet to be summed: redistribute it first")
    return tensor.to_local()


def own_parts(tensors: list[Tensor], like: Tensor) -> list[Tensor]:
    """`own` of several tensors that lie as one of them does.

    Args:
        tensors: such as a parameter, its gradient and what an optimiser keeps of it.
        like: the one.

    Returns:
        The list itself where it is an ordinary tensor.

    Example:
        >>> weight = torch.zeros(2)
        >>> own_parts([weight, weight + 1], weight)
        [tensor([0., 0.]), tensor([1., 1.])]
    """
    return [own(tensor) for tensor in tensors] if is_shared(like) else tensors


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor, gathered from the processes that hold it; they all have to ask for it.

    Args:
        tensor: any tensor.

    Example:
        >>> weight = torch.zeros(2)
        >>> whole(weight) is weight
        True
    """
    return tensor.full_tensor() if is_shared(tensor) else tensor


def placed_as(tensor: Tensor, other: Tensor) -> Tensor:
    """A tensor, divided among the processes as another of its shape is.

    Args:
        tensor: an ordinary one, which every process has whole, or a shared one (a gradient, as a rule).
        other: whose placement it takes.

    Returns:
        The tensor itself where nothing has to be done.

    Example:
        >>> weight = torch.zeros(2)
        >>> placed_as(weight, torch.ones(2)) is weight
        True
    """
    if not is_shared(other):
        return tensor
    if not is_shared(tensor):
        from torch.distributed.tensor import distribute_tensor

        # Every process has all of it: each takes its part, and nothing is sent.
        return distribute_tensor(tensor, other.device_mesh, other.placements, src_data_rank=None)
    if tensor.placements == other.placements:
        return tensor
    return tensor.redistribute(other.device_mesh, other.placements)


def gathered(tensor: Tensor, other: "DTensor", axis: int) -> Tensor:
    """What every process has of something small, one below the other; they all have to ask for it.

    Args:
        tensor: an ordinary one, of the same shape in each of them.
        other: a shared tensor; it is between the processes that it is divided among.
        axis: of their mesh.
    """
    group = other.device_mesh.get_group(axis)
    parts = [torch.empty_like(tensor) for _ in range(group.size())]
    torch.distributed.all_gather(parts, tensor, group)
    return torch.stack(parts)
