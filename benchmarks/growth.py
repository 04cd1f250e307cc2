"""What grows in the study `scaling`: one size of one layer, everything else staying as it is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.attention import attention
from benchmarks.cases import Case, Outputs, Pair, Setting, layer_cases
from benchmarks.recurrent import Reader
from minimodels.functional.attention import definition

MOST_SCORES = 1 << 29
"""Bytes of the table of all scores beyond which the definition of attention, which writes it down several times, no
longer takes part.
"""


@dataclass(frozen=True)
class Series:
    """A row of cases in which one size grows: a line in the picture.

    `time` is the exponent of the operations that the layer's equations ask for; `memory` that of the numbers which a
    call gives, without and with a backward pass: outputs, and gradients of inputs and weights. `cases` gives the case
    at a place, likewise without and with; `others` gives further sides for the operands of a pair, by name.
    """

    name: str
    axis: str
    places: Sequence[int]
    time: float
    memory: tuple[float, float]
    cases: Callable[[int], list[Case]]
    others: Callable[[Pair, str], dict[str, Callable[[], Outputs]]] = lambda pair, mode: {}


def convolution(
    axis: str,
    places: Sequence[int],
    time: float,
    memory: tuple[float, float],
    sizes: Callable[[int], tuple[int, int, int, int]],
) -> Series:
    """A square convolution that keeps the size of its images.

    Args:
        axis: what grows.
        places: how large it gets.
        time: exponent of the operations.
        memory: exponents of the numbers, without and with a backward pass.
        sizes: batch, channels, image size and kernel size at a place.
    """

    def cases(place: int) -> list[Case]:
        batch, channels, size, kernel = sizes(place)

        def build(module: Any, setting: Setting) -> torch.nn.Module:
            width = min(channels, 3) if setting.tiny else channels
            layer: torch.nn.Module = module.Conv2d(width, width, kernel, padding=kernel // 2)
            return layer

        def shape(setting: Setting) -> list[int]:
            return [1, min(channels, 3), 5, 5] if setting.tiny else [batch, channels, size, size]

        return layer_cases("scaling", f"{batch}x{channels}x{size}x{size}, {kernel}x{kernel}", build, shape)

    return Series(f"conv, {axis}", axis, places, time, memory, cases)


def lstm(
    axis: str,
    places: Sequence[int],
    time: float,
    memory: tuple[float, float],
    sizes: Callable[[int], tuple[int, int, int]],
) -> Series:
    """An LSTM layer with as many features as its state has; `sizes` gives steps, batch and width at a place."""

    def cases(place: int) -> list[Case]:
        steps, batch, hidden = sizes(place)

        def build(module: Any, setting: Setting) -> torch.nn.Module:
            width = 4 if setting.tiny else hidden
            return Reader(module.LSTM(width, width), None)

        def shape(setting: Setting) -> list[int]:
            return [3, 2, 4] if setting.tiny else [steps, batch, hidden]

        return layer_cases("scaling", f"{steps} steps, batch {batch}, width {hidden}", build, shape)

    return Series(f"LSTM, {axis}", axis, places, time, memory, cases)


def encoder(places: Sequence[int]) -> Series:
    """A Transformer's encoder layer, evaluated and learning, without dropout, as its width grows."""

    def cases(width: int) -> list[Case]:
        def build(module: Any, setting: Setting) -> torch.nn.Module:
            size = 8 if setting.tiny else width
            layer: torch.nn.Module = module.TransformerEncoderLayer(
                size, size // 8 if setting.tiny else size // 64, 4 * size, dropout=0.0, batch_first=True
            )
            return layer

        def shape(setting: Setting) -> list[int]:
            return [1, 3, 8] if setting.tiny else [2, 256, width]

        return layer_cases("scaling", f"2x256x{width}", build, shape)

    return Series("encoder layer, width", "width", places, 2, (1, 2), cases)


def lengths(places: Sequence[int], heads: int) -> Series:
    """Attention of a text to all of itself, and beside it the definition, which holds all scores at once."""

    def cases(length: int) -> list[Case]:
        return attention(f"1x{heads}x{length}x64", (1, heads, length, 64))

    def others(pair: Pair, mode: str) -> dict[str, Callable[[], Outputs]]:
        query = pair.operands[0]
        if 4 * query.shape[0] * query.shape[1] * query.shape[2] ** 2 > MOST_SCORES:
            return {}
        return {"definition": partial(_by_definition, *pair.operands)}

    return Series("attention, length", "length", places, 2, (1, 1), cases, others)


def _by_definition(q: Tensor, k: Tensor, v: Tensor, upstream: Tensor | None = None) -> Outputs:
    if upstream is None:
        with torch.no_grad():
            return (definition.attention(q, k, v, None),)
    output = definition.attention(q, k, v, None)
    return (output.detach(), *torch.autograd.grad(output, (q, k, v), upstream))


SERIES = [
    convolution("image size", (14, 28, 56, 112, 224), 2, (2, 2), lambda n: (4, 64, n, 3)),
    convolution("kernel size", (1, 3, 5, 7, 11, 15), 2, (0, 2), lambda n: (8, 16, 32, n)),
    convolution("channels", (16, 32, 64, 128, 256, 512), 2, (1, 2), lambda n: (8, n, 14, 3)),
    convolution("batch", (1, 2, 4, 8, 16, 32, 64), 1, (1, 1), lambda n: (n, 64, 28, 3)),
    lengths((256, 512, 1024, 2048, 4096, 8192, 16384, 32768), heads=1),
    lstm("steps", (16, 32, 64, 128, 256, 512), 1, (1, 1), lambda n: (n, 16, 128)),
    lstm("hidden size", (64, 128, 256, 512, 1024), 2, (1, 2), lambda n: (32, 16, n)),
    encoder((128, 256, 512, 1024)),
]

PEAKED = (1, 12, 8192, 64)
"""Attention as GPT-2 has it, at a length where all scores would take 3.2 GB: what its memory is judged by."""


def peaked() -> list[Case]:
    """The cases of that length: everything and causal, without a backward pass and with one."""
    size = "x".join(map(str, PEAKED))
    return [*attention(f"everything: {size}", PEAKED), *attention(f"causal: {size}", PEAKED, is_causal=True)]
