"""Whether the numbers of some tensors are numbers, and how large they are."""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from minimodels.shards import own

NAN, INFINITY = "NaN", "infinity"


class Look(NamedTuple):
    """What is seen of some tensors together.

    Args:
        largest: magnitude; of those that hold infinity nothing is counted.
        some: whether there is a tensor at all.
        flaw: `NAN`, else `INFINITY`, else nothing.
    """

    largest: float = 0.0
    some: bool = False
    flaw: str = ""


def look(value: Any, masks: bool = False) -> Look:
    """See how large the numbers of all tensors in a value are, and whether they are finite.

    Args:
        value: what `tensors_in` takes.
        masks: let tensors pass that are made of 0 and −∞, as what is added to the scores of attention.

    Cost: reads every tensor once, and waits for two numbers of each.

    Example:
        >>> look([torch.tensor([1.0, -3.0]), {"more": torch.zeros(2)}])
        Look(largest=3.0, some=True, flaw='')
        >>> look(torch.tensor([0.0, -math.inf])).flaw, look(torch.tensor([0.0, -math.inf]), masks=True).flaw
        ('infinity', '')
    """
    largest, some, flaw = 0.0, False, ""
    for tensor in tensors_in(value):
        low, high = torch.stack(tensor.aminmax()).tolist()
        if math.isnan(low):
            return Look(math.nan, True, NAN)
        if math.isinf(low) or math.isinf(high):
            flaw = flaw if masks and _is_mask(tensor) else INFINITY
        else:
            largest = max(largest, -low, high)
        some = True
    return Look(largest, some, flaw)


def first_spoiled(model: nn.Module) -> str:
    """Name the first parameter of a model that holds something other than finite numbers; nothing where none does.

    Args:
        model: whose parameters are looked at.

    Cost: reads every parameter once, and waits for the answer of each.

    Example:
        >>> first_spoiled(nn.ParameterDict({"gain": torch.tensor([1.0, math.nan])}))
        'gain'
    """
    for name, parameter in model.named_parameters():
        if not bool(own(parameter.detach()).isfinite().all()):
            return name
    return ""


def _is_mask(tensor: Tensor) -> bool:
    """Whether a tensor is made of 0 and −∞."""
    zero = tensor == 0
    return bool(zero.any()) and bool((zero | (tensor == -math.inf)).all())


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors that can be NaN at all in what a module takes or gives; of a DTensor the part that is here.

    Args:
        value: a tensor, or tuples, lists, mappings and dataclasses of them; whatever else there is, is passed over.

    Example:
        >>> [tensor.shape for tensor in tensors_in((torch.zeros(2), [torch.arange(3)], {"more": torch.ones(4)}))]
        [torch.Size([2]), torch.Size([4])]
    """
    if isinstance(value, Tensor):
        tensor = own(value)
        tensor = tensor.coalesce().values() if tensor.is_sparse else tensor
        tensor = torch.view_as_real(tensor) if tensor.is_complex() else tensor
        if tensor.is_floating_point() and tensor.numel():
            yield tensor.float() if tensor.element_size() == 1 else tensor  # 8 bits know no maximum
        return
    if isinstance(value, Mapping):
        value = list(value.values())
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = [getattr(value, field.name) for field in dataclasses.fields(value)]
    if isinstance(value, tuple | list):
        for part in value:
            yield from tensors_in(part)
