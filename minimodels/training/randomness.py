"""Every random state of a process: what it takes to draw the same numbers again."""

import random
from typing import Any

import numpy as np
import torch


def seed_everything(seed: int) -> None:
    """Let all generators begin with a seed: PyTorch's on CPU and accelerators, NumPy's and Python's.

    Args:
        seed: a whole number from 0 up; NumPy takes its lowest 32 bits.

    Example:
        >>> seed_everything(0)
        >>> torch.rand(1), random.random()
        (tensor([0.4963]), 0.8444218515250481)
    """
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


def random_state(device: torch.device | None = None) -> dict[str, Any]:
    """Give the state of every generator that is global: PyTorch's on the CPU and on a device, NumPy's and Python's.

    Args:
        device: an accelerator whose generator is wanted too.

    Returns:
        A tree of tensors and numbers, as checkpoints hold it.

    Example:
        >>> state = random_state()
        >>> first = torch.rand(3), np.random.rand(), random.random()
        >>> restore_random_state(state)
        >>> second = torch.rand(3), np.random.rand(), random.random()
        >>> torch.equal(first[0], second[0]), first[1:] == second[1:]
        (True, True)
    """
    _, words, place, has_gauss, gauss = np.random.get_state(legacy=True)
    version, numbers, normal = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "device": None if device is None or device.type == "cpu" else _module(device).get_rng_state(*_number(device)),
        "numpy": [torch.from_numpy(np.asarray(words).astype(np.int64)), int(place), int(has_gauss), float(gauss)],
        "python": [version, torch.tensor(numbers), normal],
    }


def restore_random_state(state: dict[str, Any], device: torch.device | None = None) -> None:
    """Set all generators to where they were.

    Args:
        state: what `random_state` gave.
        device: the accelerator, where the state is of one of the same kind.
    """
    torch.set_rng_state(state["torch"])
    if state["device"] is not None and device is not None and device.type != "cpu":
        _module(device).set_rng_state(state["device"], *_number(device))
    words, place, has_gauss, gauss = state["numpy"]
    np.random.set_state(("MT19937", words.numpy().astype(np.uint32), place, has_gauss, gauss))
    version, numbers, normal = state["python"]
    random.setstate((version, tuple(numbers.tolist()), normal))


def _module(device: torch.device) -> Any:
    """Where PyTorch keeps the functions of a kind of device: torch.cuda, torch.mps."""
    return torch.get_device_module(device)


def _number(device: torch.device) -> list[torch.device]:
    """Which of several is meant, where there can be several."""
    return [device] if device.type == "cuda" else []
