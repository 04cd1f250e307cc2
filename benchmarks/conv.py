"""Convolutions: the three of the digit CNN, and the shapes that larger networks are made of."""

from typing import Any

import torch

from benchmarks.cases import Case, Setting, layer_cases


def conv(name: str, batch: int, channels: int, size: int, out: int, kernel: int, **settings: Any) -> list[Case]:
    """The cases of one square convolution; `depthwise=True` gives every channel a filter of its own."""
    first = settings.pop("first", False)
    depthwise = settings.pop("depthwise", False)

    def build(module: Any, setting: Setting) -> torch.nn.Module:
        inner, outer = (min(channels, 4), min(out, 4)) if setting.tiny else (channels, out)
        return module.Conv2d(inner, outer, kernel, groups=inner if depthwise else 1, **settings)

    def shape(setting: Setting) -> list[int]:
        return [1, min(channels, 4), min(size, 9), min(size, 9)] if setting.tiny else [batch, channels, size, size]

    return layer_cases("conv", name, build, shape, first=first)


CASES = [
    *conv("CNN layer 1: 64x1x28x28 to 32, 3x3", 64, 1, 28, 32, 3, first=True),
    *conv("CNN layer 2: 64x32x13x13 to 64, 3x3", 64, 32, 13, 64, 3),
    *conv("CNN layer 3: 64x64x5x5 to 64, 3x3", 64, 64, 5, 64, 3),
    *conv("8x64x56x56 to 64, 3x3", 8, 64, 56, 64, 3, padding=1),
    *conv("8x256x14x14 to 256, 3x3", 8, 256, 14, 256, 3, padding=1),
    *conv("8x64x56x56 to 256, 1x1", 8, 64, 56, 256, 1),
    *conv("8x3x224x224 to 64, 7x7, stride 2", 8, 3, 224, 64, 7, stride=2, padding=3, first=True),
    *conv("8x64x56x56, 3x3, depthwise", 8, 64, 56, 64, 3, padding=1, depthwise=True),
]
