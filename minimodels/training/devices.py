"""Where a model is trained, and how batches get there."""

from collections.abc import Iterable
from functools import cache

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from minimodels.errors import InputError


def find_device(name: str | torch.device | None = None, flag: str = "") -> torch.device:
    """The device of that name or, without a name, the best one of this machine: CUDA, Apple's MPS, else the CPU.

    Args:
        name: "cpu", "cuda", "cuda:1", "mps", a `torch.device`, or None (also "auto") to choose.
        flag: of the command line by which it is chosen, for messages.

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
        choices = ", ".join(f"{flag} {choice}".strip() for choice in ("auto", *present))
        raise InputError(f"{flag or 'device'} {name}: there is no such device here; choose {choices}.")
    return device


def device_for(model: nn.Module, name: str | torch.device | None) -> torch.device:
    """The device of that name or, without a name, the accelerator that the model is on, else the best device.

    Args:
        model: what will compute there.
        name: as for `find_device`.

    Raises:
        InputError: as for `find_device`.

    Example:
        >>> device_for(nn.Identity(), "cpu")
        device(type='cpu')
    """
    present = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    return present if name is None and present.type not in ("cpu", "meta") else find_device(name)


def move(model: nn.Module, optimizer: Optimizer | None, device: torch.device) -> None:
    """Move a model, and with it what an optimiser remembers of its parameters.

    Args:
        model: moved in place, as `model.to` does.
        optimizer: over its parameters, or None.
        device: where to.
    """
    before = [parameter.device for parameter in model.parameters()]
    model.to(device)
    if optimizer is not None and before != [parameter.device for parameter in model.parameters()]:
        optimizer.load_state_dict(optimizer.state_dict())  # loading puts the state where its parameters are


def _present() -> list[str]:
    """Names of the devices of this machine, the fastest kind last."""
    cards = [f"cuda:{number}" for number in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    return ["cpu", *(["mps"] if torch.backends.mps.is_available() else []), *cards, *(["cuda"] if cards else [])]


def to_device(tensors: Iterable[Tensor], device: torch.device) -> list[Tensor]:
    """The tensors on a device; towards CUDA through pinned memory and in a stream of their own.

    A copy from ordinary memory has to wait for the driver to stage it; from page-locked memory the card reads by
    itself (`non_blocking`). PyTorch keeps the pinned block until the copy is done. Python runs ahead of the card, so
    that a copy that is queued apart from the computation happens while the steps before are still being computed.

    Args:
        tensors: a batch.
        device: where it is needed.

    Example:
        >>> to_device([torch.zeros(2)], torch.device("cpu"))
        [tensor([0., 0.])]
    """
    if device.type != "cuda":
        return [tensor.to(device) for tensor in tensors]
    copying, computing = _copying(device), torch.cuda.current_stream(device)
    with torch.cuda.stream(copying):
        moved = [_pinned(tensor).to(device, non_blocking=True) for tensor in tensors]
    computing.wait_stream(copying)
    for tensor in moved:
        tensor.record_stream(computing)  # its memory is not given away while the computation may read it
    return moved


@cache
def _copying(device: torch.device) -> torch.cuda.Stream:
    """The stream in which batches are copied to a card."""
    return torch.cuda.Stream(device)


def _pinned(tensor: Tensor) -> Tensor:
    return tensor.pin_memory() if tensor.device.type == "cpu" else tensor
