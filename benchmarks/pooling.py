"""Pooling: the largest of the digit CNN and of residual networks, means side by side and of whole images, volumes."""

from collections.abc import Collection
from typing import Any

import torch

from benchmarks.cases import Case, Setting, layer_cases


def pool(
    layer: str,
    name: str,
    shape: tuple[int, ...],
    *arguments: Any,
    lacking: Collection[tuple[str, torch.dtype]] = (),
    **settings: Any,
) -> list[Case]:
    """The cases of one pooling layer.

    Args:
        layer: the layer's name.
        name: the first column of the table.
        shape: the input's, batch and channels first.
        arguments: what the layer is made with.
        lacking: kinds of device and precisions in which the reference does not run.
        settings: likewise, by name.
    """

    def build(module: Any, setting: Setting) -> torch.nn.Module:
        return getattr(module, layer)(*arguments, **settings)

    def size(setting: Setting) -> list[int]:
        return [1, *(min(n, 9) for n in shape[1:])] if setting.tiny else [shape[0] * setting.larger, *shape[1:]]

    return layer_cases("pooling", name, build, size, larger=8, lacking=lacking)


IMAGES = (8, 64, 112, 112)
HALVES = (("cpu", torch.bfloat16), ("cpu", torch.float16))

CASES = [
    *pool("MaxPool2d", "CNN pooling 1: 64x32x26x26, 2x2", (64, 32, 26, 26), 2),
    *pool("MaxPool2d", "CNN pooling 2: 64x64x11x11, 2x2", (64, 64, 11, 11), 2),
    *pool("MaxPool2d", "8x64x112x112, 3x3, stride 2", IMAGES, 3, stride=2, padding=1),
    *pool("MaxPool1d", "32x128x1024, 2", (32, 128, 1024), 2),
    *pool("MaxPool3d", "2x32x16x56x56, 3x3x3, stride 2", (2, 32, 16, 56, 56), 3, stride=2, padding=1),
    *pool("AvgPool2d", "mean, 8x64x112x112, 2x2", IMAGES, 2),
    *pool("AvgPool2d", "mean, 8x64x112x112, 3x3, stride 2", IMAGES, 3, stride=2, padding=1),
    *pool("AvgPool3d", "mean, 2x32x16x56x56, 2x2x2", (2, 32, 16, 56, 56), 2, lacking=HALVES),
    *pool("AdaptiveAvgPool2d", "mean of a whole image, 64x512x7x7", (64, 512, 7, 7), 1),
    *pool("AdaptiveAvgPool2d", "mean, 8x256x15x15 to 7x7", (8, 256, 15, 15), 7),
    *pool("AdaptiveMaxPool2d", "8x256x15x15 to 7x7", (8, 256, 15, 15), 7),
]
