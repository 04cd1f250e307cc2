"""Max pooling: the two of the digit CNN, and the one behind the first convolution of a residual network."""

from typing import Any

import torch

from benchmarks.cases import Case, Setting, layer_cases


def pool(name: str, batch: int, channels: int, size: int, kernel: int, **settings: Any) -> list[Case]:
    """The cases of one square max pooling."""

    def build(module: Any, setting: Setting) -> torch.nn.Module:
        return module.MaxPool2d(kernel, **settings)

    def shape(setting: Setting) -> list[int]:
        return [1, min(channels, 4), min(size, 9), min(size, 9)] if setting.tiny else [batch, channels, size, size]

    return layer_cases("pooling", name, build, shape)


CASES = [
    *pool("CNN pooling 1: 64x32x26x26, 2x2", 64, 32, 26, 2),
    *pool("CNN pooling 2: 64x64x11x11, 2x2", 64, 64, 11, 2),
    *pool("8x64x112x112, 3x3, stride 2", 8, 64, 112, 3, stride=2, padding=1),
]
