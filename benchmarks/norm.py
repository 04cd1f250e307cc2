"""Normalisations: GPT-2's layer norm and a wider one, and those of residual networks."""

from typing import Any

import torch

from benchmarks.cases import Case, Setting, layer_cases

LARGER = 16
"""How many times as many rows and images there are on a graphics card, whose cache would hold them otherwise."""


def rows(name: str, layer: str, count: int, width: int) -> list[Case]:
    """The cases of a norm over the last dimension."""

    def sizes(setting: Setting) -> tuple[int, int]:
        return (min(count, 4), min(width, 8)) if setting.tiny else (count * setting.larger, width)

    def build(module: Any, setting: Setting) -> torch.nn.Module:
        return getattr(module, layer)(sizes(setting)[1])

    return layer_cases("norm", name, build, sizes, larger=LARGER)


def images(name: str, layer: str, batch: int, channels: int, size: int, *, training: bool = True) -> list[Case]:
    """The cases of a norm of square images; group norm has 32 groups."""

    def sizes(setting: Setting) -> tuple[int, ...]:
        return (2, 32, min(size, 3), min(size, 3)) if setting.tiny else (batch * setting.larger, channels, size, size)

    def build(module: Any, setting: Setting) -> torch.nn.Module:
        arguments = (32, sizes(setting)[1]) if layer == "GroupNorm" else (sizes(setting)[1],)
        return getattr(module, layer)(*arguments).train(training)

    return layer_cases("norm", name, build, sizes, larger=LARGER)


CASES = [
    *rows("LayerNorm: 512x768", "LayerNorm", 512, 768),
    *rows("LayerNorm: 2048x1024", "LayerNorm", 2048, 1024),
    *rows("RMSNorm: 512x768", "RMSNorm", 512, 768),
    *rows("RMSNorm: 2048x1024", "RMSNorm", 2048, 1024),
    *images("BatchNorm2d: 64x64x28x28", "BatchNorm2d", 64, 64, 28),
    *images("BatchNorm2d: 64x64x28x28, evaluation", "BatchNorm2d", 64, 64, 28, training=False),
    *images("BatchNorm2d: 8x256x14x14", "BatchNorm2d", 8, 256, 14),
    *images("GroupNorm: 64x64x28x28", "GroupNorm", 64, 64, 28),
    *images("GroupNorm: 8x256x14x14", "GroupNorm", 8, 256, 14),
]
