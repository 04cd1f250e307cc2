"""Where a model is trained, and how batches get there."""

from collections.abc import Iterable

import torch
from torch import Tensor

from minimodels.errors import InputError


def find_device(name: str | torch.device | None = None) -> torch.device:
    """The device of that name or, without a name, the best one of this machine: CUDA, Apple's MPS, else the CPU.

    Args:
        name: "cpu", "cuda", "cuda:1", "mps", a `torch.device`, or None (also "auto") to choose.

    Raises:
        InputError: a name that torch does not know, or a device that this machine does not have.

    Example:
        >>> find_device("cpu")
        device(type='cpu')
        >>> find_device("gpu")
        Traceback (most recent call last):
        ...
        minimodels.errors.InputError: device gpu: there is no such device here; choose auto, cpu.
    """
    present = _present()
    if name is None or name == "auto":
        return torch.device(present[-1])
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or str(device) not in present:
        raise InputError(f"device {name}: there is no such device here; choose {', '.join(['auto', *present])}.")
    return device


def _present() -> list[str]:
    """Names of the devices of this machine, the fastest kind last."""
    cards = [f"cuda:{number}" for number in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    return ["cpu", *(["mps"] if torch.backends.mps.is_available() else []), *cards, *(["cuda"] if cards else [])]


def to_device(tensors: Iterable[Tensor], device: torch.device) -> list[Tensor]:
    """The tensors on a device; towards CUDA through pinned memory, so that the copy runs while Python goes on.

    A copy from ordinary memory has to wait for the driver to stage it; from page-locked memory the card reads by
    itself (`non_blocking`). PyTorch keeps the pinned block until the copy is done.

    Args:
        tensors: a batch.
        device: where it is needed.

    Example:
        >>> to_device([torch.zeros(2)], torch.device("cpu"))
        [tensor([0., 0.])]
    """
    if device.type != "cuda":
        return [tensor.to(device) for tensor in tensors]
    return [
        (tensor.pin_memory() if tensor.device.type == "cpu" else tensor).to(device, non_blocking=True)
        for tensor in tensors
    ]
