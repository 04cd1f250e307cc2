"""Activations, at the width of GPT-2's inner layer."""

from typing import Any

import torch

from benchmarks.cases import Case, Setting, layer_cases


def activation(name: str, **settings: Any) -> list[Case]:
    """The cases of one activation on 512 rows of 3072 numbers."""

    def build(module: Any, setting: Setting) -> torch.nn.Module:
        layer: torch.nn.Module = getattr(module, name)(**settings)
        return layer

    def shape(setting: Setting) -> list[int]:
        return [3, 8] if setting.tiny else [512 * setting.larger, 3072]

    told = ", ".join(f"{key}={value}" for key, value in settings.items())
    return layer_cases("activations", f"{name}({told}): 512x3072", build, shape, larger=16)


CASES = [
    *activation("GELU"),
    *activation("GELU", approximate="tanh"),
    *activation("SiLU"),
    *activation("Mish"),
    *activation("ELU"),
    *activation("Tanh"),
    *activation("Softmax", dim=1),
]
