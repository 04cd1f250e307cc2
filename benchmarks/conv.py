"""Convolutions: the three of the digit CNN, the shapes of larger networks, sequences, volumes, and the way back."""

import math
from typing import Any

import torch

from benchmarks.cases import Case, Setting, layer_cases

LARGER = 16
"""How many times as large the batch is on a graphics card: 8 images do not occupy it."""


def conv(name: str, batch: int, channels: int, size: int, out: int, kernel: int, **settings: Any) -> list[Case]:
    """The cases of one square convolution.

    `layer` is its class; `sizes` are given where the input is not a square image;
    `depthwise=True` gives every channel a filter of its own; `first=True` asks for no gradient of the input.
    """
    first = settings.pop("first", False)
    depthwise = settings.pop("depthwise", False)
    layer = settings.pop("layer", "Conv2d")
    sizes = settings.pop("sizes", (size, size))

    def widths(setting: Setting) -> tuple[int, int]:
        return (min(channels, 4), min(out, 4)) if setting.tiny else (channels, out)

    def build(module: Any, setting: Setting) -> torch.nn.Module:
        inner, outer = widths(setting)
        return getattr(module, layer)(inner, outer, kernel, groups=inner if depthwise else 1, **settings)

    def shape(setting: Setting) -> list[int]:
        images, side = (1, [min(n, 9) for n in sizes]) if setting.tiny else (batch * setting.larger, sizes)
        return [images, widths(setting)[0], *side]

    def products(setting: Setting) -> list[float]:
        images, inner, *side = shape(setting)
        margin, stride = 2 * settings.get("padding", 0) - kernel, settings.get("stride", 1)
        turned = layer.startswith("ConvTranspose")  # there each element of the input meets the whole kernel
        places = math.prod(side if turned else ((n + margin) // stride + 1 for n in side))
        pairs = inner if depthwise else inner * widths(setting)[1]
        return [2.0 * images * places * pairs * kernel ** len(side)]

    return layer_cases("conv", name, build, shape, first=first, larger=LARGER, products=products)


CASES = [
    *conv("CNN layer 1: 64x1x28x28 to 32, 3x3", 64, 1, 28, 32, 3, first=True),
    *conv("CNN layer 2: 64x32x13x13 to 64, 3x3", 64, 32, 13, 64, 3),
    *conv("CNN layer 3: 64x64x5x5 to 64, 3x3", 64, 64, 5, 64, 3),
    *conv("8x64x56x56 to 64, 3x3", 8, 64, 56, 64, 3, padding=1),
    *conv("8x256x14x14 to 256, 3x3", 8, 256, 14, 256, 3, padding=1),
    *conv("8x64x56x56 to 256, 1x1", 8, 64, 56, 256, 1),
    *conv("8x3x224x224 to 64, 7x7, stride 2", 8, 3, 224, 64, 7, stride=2, padding=3, first=True),
    *conv("8x64x56x56, 3x3, depthwise", 8, 64, 56, 64, 3, padding=1, depthwise=True),
    *conv("sequences, 64x64x100 to 64, 3", 64, 64, 100, 64, 3, padding=1, layer="Conv1d", sizes=(100,)),
    *conv("volumes, 2x16x16x28x28 to 32, 3x3x3", 2, 16, 28, 32, 3, padding=1, layer="Conv3d", sizes=(16, 28, 28)),
    *conv(
        "transposed, 8x64x14x14 to 32, 4x4, stride 2", 8, 64, 14, 32, 4, stride=2, padding=1, layer="ConvTranspose2d"
    ),
]
