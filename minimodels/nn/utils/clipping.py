"""Gradients kept short: all of them together by their norm, or each element by its size."""

import math
import warnings
from collections.abc import Iterable, Iterator
from types import GeneratorType
from typing import Any

import torch
from torch import Tensor

from minimodels.shards import ORDINARY, gathered, is_shared, own_parts, whole

LIST_DEVICES = ("cpu", "cuda", "xpu", "mtia")
"""Where one call works on a whole list of tensors."""


@torch.no_grad()
def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Shorten the gradient, seen as one long vector, to a length of at most `max_norm`; its direction stays.

    g ← g · min(1, max_norm / (‖g‖ₚ + 10⁻⁶))

    Of gradients that several processes share (DTensors) the length is that of the whole, the same in all of them.

    Args:
        parameters: tensors whose `.grad` is changed in place; those without one are passed over.
        max_norm: the greatest length allowed.
        norm_type: p; inf is the largest element.
        error_if_nonfinite: refuse a length that is infinite or no number, which would otherwise spoil every gradient.
        foreach: one call for a list of tensors (True), one for each tensor (False), or what suits them (None).

    Returns:
        ‖g‖ₚ before clipping, on the gradients' device: nothing is read back to the host. It is an ordinary tensor
        also of shared gradients, where torch gives a DTensor.

    Raises:
        RuntimeError: the length is not finite and `error_if_nonfinite` forbids it, or `foreach=True` cannot be had.

    Cost: one pass over the gradients for the norm, one to scale them; with several processes, one message of a number
        a gradient.

    References:
        R. Pascanu, T. Mikolov and Y. Bengio, On the difficulty of training recurrent neural networks, ICML 2013,
        arXiv:1211.5063, algorithm 1.

    See: `get_total_norm` and `clip_grads_with_norm_`, its two halves; tests/nn/utils/test_clipping.py.

    Example:
        >>> weight = torch.zeros(2, requires_grad=True)
        >>> weight.grad = torch.tensor([3.0, 4.0])
        >>> clip_grad_norm_([weight], max_norm=1.0), weight.grad
        (tensor(5.), tensor([0.6000, 0.8000]))
    """
    given = _listed(parameters)
    if isinstance(parameters, GeneratorType) and not given:
        warnings.warn("`parameters` is an empty generator, no gradient clipping will occur.", stacklevel=3)
    norm = get_total_norm(_gradients(given), norm_type, error_if_nonfinite, foreach)
    clip_grads_with_norm_(given, max_norm, norm, foreach)
    return norm


@torch.no_grad()
def get_total_norm(
    tensors: Tensor | Iterable[Tensor],
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Measure tensors as if they were one long vector: the norm of their norms.

    Args:
        tensors: what to measure.
        norm_type: p of ‖·‖ₚ; inf is the largest element.
        error_if_nonfinite: refuse a norm that is infinite or no number.
        foreach: one call for a list of tensors (True), one for each tensor (False), or what suits them (None).

    Returns:
        The norm, an ordinary tensor on the device of the first one; zero if there is none.

    Raises:
        RuntimeError: the norm is not finite and `error_if_nonfinite` forbids it, or `foreach=True` cannot be had.

    Example:
        >>> get_total_norm([torch.tensor([2.0, 4.0]), torch.tensor(4.0)])
        tensor(6.)
    """
    tensors = _listed(tensors)
    p = float(norm_type)
    if not tensors:
        return torch.tensor(0.0)
    norms: list[Tensor] = []
    for group, at_once in _groups(tensors, foreach):
        norms.extend(_shared_norms(group, p, at_once) if is_shared(group[0]) else _norms(group, p, at_once))
    norm: Tensor = torch.linalg.vector_norm(torch.stack([norm.to(tensors[0].device) for norm in norms]), p)
    if error_if_nonfinite and not norm.isfinite():
        raise RuntimeError(
            f"The total norm of order {p} for gradients from `parameters` is non-finite, so it cannot be clipped. To "
            "disable this error and scale the gradients by the non-finite norm anyway, set `error_if_nonfinite=False`"
        )
    return norm


@torch.no_grad()
def clip_grads_with_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, total_norm: Tensor, foreach: bool | None = None
) -> None:
    """Shorten gradients whose norm is known already, as `clip_grad_norm_` does.

    Args:
        parameters: tensors whose `.grad` is changed in place; those without one are passed over.
        max_norm: the greatest length allowed.
        total_norm: the length that they have, from `get_total_norm`, or summed up over several machines.
        foreach: one call for a list of tensors (True), one for each tensor (False), or what suits them (None).

    Raises:
        RuntimeError: `foreach=True` cannot be had on the gradients' device.

    Example:
        >>> weight = torch.zeros(2, requires_grad=True)
        >>> weight.grad = torch.tensor([3.0, 4.0])
        >>> clip_grads_with_norm_(weight, 1.0, torch.tensor(10.0))
        >>> weight.grad
        tensor([0.3000, 0.4000])
    """
    limit = float(max_norm)
    gradients = _gradients(_listed(parameters))
    if not gradients:
        return
    # Multiplied in any case: to ask whether it is below 1 would wait for the device.
    scale = (limit / (whole(total_norm) + 1e-6)).clamp(max=1.0)
    for group, at_once in _groups(gradients, foreach):
        here = scale.to(group[0].device)
        parts = own_parts(group, group[0])
        if at_once:
            torch._foreach_mul_(parts, here)
        else:
            for part in parts:
                part.mul_(here)


@torch.no_grad()
def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None) -> None:
    """Bring every element of the gradients into [−clip_value, clip_value]; their direction may turn.

    Where there is no gradient there is nothing to do; torch.nn.utils fails there.

    Args:
        parameters: tensors whose `.grad` is changed in place; those without one are passed over.
        clip_value: the greatest size allowed.
        foreach: one call for a list of tensors (True), one for each tensor (False), or what suits them (None).

    Raises:
        RuntimeError: `foreach=True` cannot be had on the gradients' device.

    Example:
        >>> weight = torch.zeros(2, requires_grad=True)
        >>> weight.grad = torch.tensor([3.0, -0.5])
        >>> clip_grad_value_(weight, 1.0)
        >>> weight.grad
        tensor([ 1.0000, -0.5000])
    """
    limit = float(clip_value)
    for group, at_once in _groups(_gradients(_listed(parameters)), foreach):
        parts = own_parts(group, group[0])
        if at_once:
            torch._foreach_clamp_min_(parts, -limit)
            torch._foreach_clamp_max_(parts, limit)
        else:
            for part in parts:
                part.clamp_(-limit, limit)


def clip_grad_norm(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The deprecated name of `clip_grad_norm_`.

    Args:
        parameters: as there.
        max_norm: as there.
        norm_type: as there.
        error_if_nonfinite: as there.
        foreach: as there.
    """
    warnings.warn(
        "`torch.nn.utils.clip_grad_norm` is now deprecated in favor of `torch.nn.utils.clip_grad_norm_`.",
        FutureWarning,
        stacklevel=2,
    )
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)


def _listed(tensors: Tensor | Iterable[Tensor]) -> list[Tensor]:
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def _gradients(parameters: list[Tensor]) -> list[Tensor]:
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


def _norms(tensors: list[Tensor], p: float, at_once: bool) -> list[Tensor]:
    if at_once and tensors:
        return list(torch._foreach_norm(tensors, p))
    return [torch.linalg.vector_norm(tensor, p) for tensor in tensors]


def _shared_norms(tensors: list[Tensor], p: float, at_once: bool) -> list[Tensor]:
    """The norms of tensors that are divided alike among processes: the norms of their parts' norms."""
    parts = own_parts(tensors, tensors[0])
    found = iter(_norms([part for part in parts if part.numel()], p, at_once))
    nothing = parts[0].new_full((), 0.0 if p >= 0 else math.inf, dtype=parts[0].dtype.to_real())
    norms = torch.stack([next(found) if part.numel() else nothing for part in parts])
    assert is_shared(tensors[0])
    for axis, placement in enumerate(tensors[0].placements):
        if not placement.is_replicate():
            norms = torch.linalg.vector_norm(gathered(norms, tensors[0], axis), p, dim=0)
    return list(norms.unbind())


def _groups(tensors: list[Tensor], foreach: bool | None) -> Iterator[tuple[list[Tensor], bool]]:
    """Tensors of one device, dtype and division among processes at a time, and whether to work on them in one call."""
    groups: dict[tuple[Any, ...], list[Tensor]] = {}
    for tensor in tensors:
        division = (tensor.device_mesh, tensor.placements) if is_shared(tensor) else None
        groups.setdefault((tensor.device, tensor.dtype, division), []).append(tensor)
    for (device, _, division), group in groups.items():
        able = device.type in LIST_DEVICES
        if foreach and not able:
            raise RuntimeError(f"foreach=True was passed, but can't use the foreach API on {device.type} tensors")
        plain = division is not None or all(type(tensor) in ORDINARY for tensor in group)
        yield group, able and (plain if foreach is None else foreach)
